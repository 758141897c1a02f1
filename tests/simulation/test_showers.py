"""What a simulation draws and hands over: energies, directions, impact points, triggers, keys."""

import numpy as np
import pytest

from gammalearn.errors import SettingsError
from gammalearn.settings import SimulationSettings
from gammalearn.simulation.array_simulation import draw_cores
from gammalearn.simulation.optics import direction
from gammalearn.simulation.showers import ShowerSimulation, _power_law


def simulation(**changes):
    settings = {
        "output": "x.dl1.h5",
        "particle": "gamma",
        "n_showers": 1,
        "energy": (0.05, 1.0),
        "scatter": 250.0,
        "reuse": 3,
        "seed": 11,
    }
    return ShowerSimulation(SimulationSettings(**{**settings, **changes}))


@pytest.fixture(scope="module")
def gammas():
    return simulation()


@pytest.fixture(scope="module")
def block(gammas):
    return gammas.block(0, 12)


def same(one, other):
    """Whether two blocks' telescopes have the same images, byte by byte."""
    return one.keys() == other.keys() and all(
        np.array_equal(getattr(one[name], column), getattr(other[name], column))
        for name in one
        for column in ("tel_id", "image", "peak_time", "true_image", "trigger_time")
    )


def test_blocks_do_not_depend_on_how_they_are_cut(gammas, block):
    parts = [gammas.block(0, 5), gammas.block(5, 12)]
    for column in ("showers", "core_distance"):
        joined = np.concatenate([getattr(part, column) for part in parts])
        assert np.array_equal(joined, getattr(block, column))
    joined = np.concatenate([part.events for part in parts])
    assert np.array_equal(joined["event_id"], block.events["event_id"])
    images = np.concatenate([part.telescopes["LST"].image for part in parts])
    assert np.array_equal(images, block.telescopes["LST"].image)


@pytest.mark.parametrize("change", [{"seed": 12}, {"run": 2}, {"particle": "electron"}])
def test_another_seed_run_or_particle_is_another_shower(block, change):
    assert not np.any(np.isin(simulation(**change).block(0, 3).showers["energy"],
                              block.showers["energy"]))  # fmt: skip


def test_the_same_settings_give_the_same_events(block):
    again = simulation().block(0, 12)
    assert np.array_equal(again.showers, block.showers)
    assert same(again.telescopes, block.telescopes)


def test_room_for_light_changes_nothing(block):
    """A shower with more light than fits is done again, and is the same shower."""
    narrow = simulation()
    narrow._capacity = 50
    assert same(narrow.block(0, 12).telescopes, block.telescopes)


def test_events_and_images_have_their_keys(block):
    events, images = block.events, block.telescopes["LST"]
    number = block.showers["shower"][events["row"]]
    assert np.array_equal(events["event_id"], 100 * number + events["use"])
    assert np.all(np.diff(events["event_id"]) > 0)
    assert np.all(np.diff(images.event) >= 0)
    telescopes = np.bincount(images.event, minlength=len(events))
    assert telescopes.min() >= 2
    assert telescopes.max() <= 4
    keys = np.column_stack([images.event, images.tel_id])
    assert len(np.unique(keys, axis=0)) == len(keys)


def test_images_are_of_the_light(block):
    images = block.telescopes["LST"]
    assert images.image.dtype == np.float32
    light = images.true_image.sum(axis=1)
    assert light.min() > 30
    bright = images.true_image > 20
    ratio = images.image[bright].sum() / images.true_image[bright].sum()
    # A sum of thousands of photoelectrons; charges leak at the window's edges by a few percent.
    assert ratio == pytest.approx(1.0, abs=0.06)


def test_telescopes_trigger_when_the_front_of_light_is_there(gammas, block):
    """A plane wave from the shower comes to each telescope; the light is some tens of ns late."""
    images = block.telescopes["LST"]
    showers = block.showers[block.events["row"]][images.event]
    places = gammas.array.positions[images.tel_id - 1]
    towards = direction(showers["alt"], showers["az"])
    front = -np.sum(places * towards, axis=1) / 0.299792458
    late = images.trigger_time - front
    assert late.min() > -2.0
    assert late.max() < 60.0


def test_a_nucleus_is_as_many_nucleons_as_share_its_energy():
    """Helium of 100 GeV makes as many electrons as four protons of 25 GeV, and begins higher."""

    def developed(particle, energy):
        made = simulation(particle=particle, energy=(energy, 1.001 * energy), reuse=1)
        showers = [made.shower(number) for number in range(1, 81)]
        electrons = np.mean([shower.profile.sum() for shower in showers])
        return electrons, np.mean([shower.h_first_int for shower in showers])

    (helium, high), (proton, low) = developed("helium", 0.1), developed("proton", 0.025)
    assert helium / proton == pytest.approx(4, rel=0.2)
    # The first of four exponential depths: a quarter of a mean free path, ln 4 scale heights up.
    assert high - low == pytest.approx(6500 * np.log(4), rel=0.3)


def test_one_telescope_is_enough_where_there_is_one():
    alone = simulation(array="lst1").block(0, 6)
    assert len(alone.events) == len(alone.telescopes["LST"].event) > 0


def test_more_telescopes_asked_for_give_fewer_events(block):
    strict = simulation(min_telescopes=4).block(0, 12)
    assert 0 < len(strict.events) < len(block.events)
    assert np.all(np.bincount(strict.telescopes["LST"].event) == 4)


def test_more_telescopes_than_there_are_is_refused():
    with pytest.raises(SettingsError, match="min_telescopes=5, but the array 'lst4' has 4"):
        simulation(min_telescopes=5)


def test_showers_fill_the_view_cone_evenly():
    cone = simulation(viewcone=5.0)
    rng = np.random.default_rng(0)
    alt, az = np.array([cone._direction(rng) for _ in range(2000)]).T
    cosine = direction(alt, az) @ direction(cone.alt, cone.az)
    # Uniform in solid angle: uniform in the cosine, whose mean has a relative error of 1.3 %.
    depth = (1.0 - cosine) / (1.0 - np.cos(np.radians(5.0)))
    assert depth.max() <= 1.0 + 1e-9
    assert depth.mean() == pytest.approx(0.5, abs=4 * 0.0065)


def test_a_point_source_keeps_its_offset():
    beside = simulation(offset=0.7)
    rng = np.random.default_rng(0)
    vectors = np.array([direction(*beside._direction(rng)) for _ in range(50)])
    separation = np.degrees(np.arccos(vectors @ direction(beside.alt, beside.az)))
    assert separation == pytest.approx(np.full(50, 0.7), abs=1e-6)


def test_impact_points_fill_a_disc_across_the_shower():
    many = simulation(reuse=100, zenith=40.0, azimuth=70.0)
    rng = np.random.default_rng(0)
    cores = np.concatenate([draw_cores(many.alt, many.az, 250.0, 100, rng) for _ in range(30)])
    axis = direction(many.alt, many.az)
    distance = np.linalg.norm(
        np.cross(np.column_stack([cores, np.zeros(len(cores))]), axis), axis=1
    )
    assert distance.max() <= 250.0 * (1 + 1e-9)
    # Uniform on the disc: uniform in the squared distance.
    assert np.mean((distance / 250.0) ** 2) == pytest.approx(0.5, abs=4 * 0.29 / np.sqrt(3000))
    assert np.all(
        np.abs(cores.mean(axis=0)) < 4 * 250.0 / 2 / np.cos(np.radians(40)) / np.sqrt(3000)
    )


@pytest.mark.parametrize("index", [-1.0, -2.0, -2.7])
def test_energies_follow_the_power_law(index):
    rng = np.random.default_rng(0)
    energies = np.array([_power_law(0.1, 10.0, index, rng) for _ in range(4000)])
    power = index + 1.0
    # The expected share below 1 TeV.
    share = 0.5 if index == -1 else (0.1**power - 1.0) / (0.1**power - 10.0**power)
    sigma = np.sqrt(share * (1 - share) / 4000)
    assert np.mean(energies < 1.0) == pytest.approx(share, abs=4 * sigma)


def test_protons_and_electrons_come_to_events():
    protons = simulation(particle="proton", energy=(0.5, 5.0)).block(0, 20)
    assert len(protons.events)
    assert np.all(protons.showers["shower_primary_id"] == 101)
    electrons = simulation(particle="electron").block(0, 10)
    assert len(electrons.events)
    assert np.all(electrons.showers["shower_primary_id"] == 1)
