"""Augmentation: how large it is, and that it depends on the image, the seed and the epoch alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data import event_loader
from gammalearn.data.images.augmentation import augment, chances, kept_images
from gammalearn.settings import AugmentationSettings, TaskSettings
from gammalearn.tasks import build_tasks

N_IMAGES, N_PIXELS = 40, 1855


def vary(charge=0.0, time=10.0, images=None, seed=1, epoch=0, **settings):
    pixels = {
        "charge": np.full((N_IMAGES, N_PIXELS), charge, dtype=np.float32),
        "peak_time": np.full((N_IMAGES, N_PIXELS), time, dtype=np.float32),
        "cleaning_mask": np.ones((N_IMAGES, N_PIXELS), dtype=bool),
    }
    images = np.arange(N_IMAGES) if images is None else images
    varied = augment(pixels, images, AugmentationSettings(**settings), seed, epoch)
    assert np.all(pixels["charge"] == charge) and np.all(pixels["peak_time"] == time)
    assert varied["cleaning_mask"] is pixels["cleaning_mask"]
    return varied["charge"], varied["peak_time"]


def test_night_sky_is_poisson_about_its_mean():
    charge, time = vary(charge=5, nsb=1.5)
    assert charge.mean() == pytest.approx(5, abs=0.03)
    assert charge.var() == pytest.approx(1.5, rel=0.03)
    # Whole photoelectrons, and as skewed as Poisson's: mean cube of the deviation is the mean.
    assert np.allclose((charge - 3.5) % 1, 0, atol=1e-5)
    assert ((charge - 5) ** 3).mean() == pytest.approx(1.5, rel=0.1)
    assert np.all(time == 10)


def test_gain_is_relative():
    charge, _ = vary(charge=200, gain_jitter=0.1)
    assert charge.mean() == pytest.approx(200, rel=0.005)
    assert charge.std() == pytest.approx(20, rel=0.03)
    assert not vary(charge=0, gain_jitter=0.1)[0].any()


def test_time():
    charge, time = vary(charge=3, time_jitter=0.7)
    assert time.mean() == pytest.approx(10, abs=0.01)
    assert time.std() == pytest.approx(0.7, rel=0.03)
    assert np.all(charge == 3)


def test_dropped_pixels_have_neither_charge_nor_time():
    charge, time = vary(charge=3, pixel_dropout=0.05)
    assert np.isnan(charge).mean() == pytest.approx(0.05, rel=0.1)
    np.testing.assert_array_equal(np.isnan(charge), np.isnan(time))
    assert np.nanmin(charge) == np.nanmax(charge) == 3


def test_depends_on_image_seed_and_epoch():
    everything = dict(nsb=1.0, gain_jitter=0.1, time_jitter=0.5, pixel_dropout=0.01)
    charge, time = vary(charge=9, **everything)
    again = vary(charge=9, **everything)
    np.testing.assert_array_equal(charge, again[0])
    np.testing.assert_array_equal(time, again[1])
    # An image among others.
    other, _ = vary(charge=9, images=np.arange(N_IMAGES)[::-1], **everything)
    np.testing.assert_array_equal(other[::-1], charge)
    for changed in ({"seed": 2}, {"epoch": 1}):
        assert np.mean(vary(charge=9, **changed, **everything)[0] == charge) < 0.1
    assert np.mean(charge[0] == charge[1]) < 0.1


@pytest.fixture
def loader(make):
    """Loader with noise and without."""
    names = "proton_run202_prod5", "gamma_lsts_run7_7.0.0"
    dataset = make(*names, shuffle_window=20, augmentation={"nsb": 2.0})

    def load(augment, batch_size=3, **options):
        return event_loader(dataset, batch_size, shuffle_seed=1, augment=augment, **options)

    return load


def by_event(loader, epoch=0):
    """The images of each event."""
    loader.sampler.set_epoch(epoch)
    found = {}
    for batch in loader:
        for row, event in enumerate(batch.index.tolist()):
            found[event] = [
                images.pixels[images.event == row].numpy()
                for images in batch.images.values()
                if (images.event == row).any()
            ]
    return found


def same(one, other):
    return all(
        np.array_equal(mine, others)
        for event in one
        for mine, others in zip(one[event], other[event], strict=True)
    )


def test_of_a_loader(loader):
    """In training only; whatever the batches are, and after a resume."""
    plain, noisy = by_event(loader(False)), by_event(loader(True))
    assert set(plain) == set(noisy) and not same(plain, noisy)
    assert same(noisy, by_event(loader(True, batch_size=2)))
    assert same(plain, by_event(loader(False), epoch=1))
    assert not same(noisy, by_event(loader(True), epoch=1))
    resumed = loader(True)
    resumed.load_state_dict({"epoch": 0, "batch": 2})
    for event, images in by_event(resumed).items():
        assert same({event: images}, noisy)


def test_nothing_to_do(make):
    dataset = make("proton_run201_prod5")
    (batch,) = event_loader(dataset, 4, augment=True)
    expected = dataset[[0]]
    for name, images in batch.images.items():
        assert np.array_equal(images.pixels, expected.images[name].pixels)


@given(
    st.lists(st.integers(1, 6), max_size=8),
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_images_that_stay_when_telescopes_drop_out(multiplicity, dropout, minimum, epoch):
    """Those that chance leaves; where these are too few, those nearest to be left."""
    multiplicity = np.array(multiplicity, dtype=int)
    chance = chances(int(multiplicity.sum()), 1, epoch)
    kept = kept_images(chance, multiplicity, dropout, minimum)
    for mine, stays in zip(*(np.split(a, np.cumsum(multiplicity)) for a in (chance, kept)),
                           strict=True):  # fmt: skip
        expected = {n for n, u in enumerate(mine) if u >= dropout}
        if len(expected) < minimum:
            expected = set(sorted(range(len(mine)), key=lambda n: -mine[n])[:minimum])
        assert set(np.flatnonzero(stays)) == expected


def test_chances_are_even_and_others_for_each_seed_and_epoch():
    chance = chances(100_000, 3, 4)
    share = np.histogram(chance, 10, (0, 1))[0] / len(chance)
    assert share == pytest.approx(0.1, abs=0.005)
    assert np.array_equal(chance, chances(100_000, 3, 4))
    for other in (chances(100_000, 4, 4), chances(100_000, 3, 5)):
        assert abs(np.corrcoef(chance, other)[0, 1]) < 0.02


@pytest.fixture
def with_dropout(make):
    """Loader of events that lose half of their images; two stay at the least."""
    tasks = build_tasks({"impact": TaskSettings(particles=["proton"])})

    def load(augment=True, batch_size=3, dropout=0.5, **options):
        dataset = make(
            "proton_run202_prod5",
            "proton_run1_6.0.2",
            min_multiplicity=2,
            parameters=["light", "centroid"],
            augmentation={"telescope_dropout": dropout},
        )
        dataset.tasks = tasks
        dataset.targets = {
            name: torch.from_numpy(task.targets(dataset.index.events))
            for name, task in tasks.items()
        }
        return event_loader(dataset, batch_size, shuffle_seed=1, augment=augment, **options)

    return load


def contents(loader, epoch=0):
    """Of each event the images, their positions, the targets and the images' descriptors."""
    loader.sampler.set_epoch(epoch)
    found = {}
    for batch in loader:
        for row, event in enumerate(batch.index.tolist()):
            parts = [
                (
                    images.pixels[mine],
                    images.position[mine],
                    torch.cat([images.scalars[mine], images.vectors[mine, 0]], dim=1),
                )
                for images in batch.images.values()
                if len(mine := torch.flatten((images.event == row).nonzero()))
            ]
            pixels = [image.numpy() for images, *_ in parts for image in images]
            position, described = (
                torch.cat(values).numpy() for values in list(zip(*parts, strict=True))[1:]
            )
            found[event] = pixels, position, batch.targets["impact"][row].numpy(), described
    return found


def test_events_are_as_if_the_dropped_telescopes_had_not_triggered(with_dropout, seen_from_the_sky):
    """Positions and impact relative to the mean position of the telescopes that are left, whose
    descriptors stay with their images."""
    loader = with_dropout()
    events, images = loader.dataset.index.events, loader.dataset.index.images
    whole, n_dropped = contents(with_dropout(augment=False)), 0
    for event, (pixels, position, target, described) in contents(loader).items():
        all_pixels, all_positions, _, all_described = whole[event]
        stays = [
            next(n for n, other in enumerate(all_pixels) if np.array_equal(image, other))
            for image in pixels
        ]
        assert 2 <= len(set(stays)) == len(pixels) <= len(all_pixels)
        n_dropped += len(all_pixels) - len(stays)
        relative = all_positions[stays]
        np.testing.assert_allclose(position, relative - relative.mean(axis=0), atol=1e-3)
        np.testing.assert_array_equal(described, all_described[stays])
        # Independent of our reference: the telescopes' own positions.
        mine = images[images["event"] == event]
        pointing = events["pointing_alt"][event], events["pointing_az"][event]
        places = seen_from_the_sky(np.column_stack([mine[axis] for axis in "xyz"]), *pointing)
        centred = places - places.mean(axis=0)
        left = [int(np.hypot(*(centred - place[:2]).T).argmin()) for place in relative]
        core = [[events["true_core_x"][event], events["true_core_y"][event], 0.0]]
        core = seen_from_the_sky(core, *pointing)[0]
        assert target * 100 == pytest.approx(core - places[left].mean(axis=0), abs=0.01)
    assert 5 < n_dropped < len(images)


def test_dropped_telescopes_depend_on_the_seed_and_the_epoch_alone(with_dropout):
    def same_images(one, other):
        return all(same({0: one[event][0]}, {0: other[event][0]}) for event in one)

    dropped = contents(with_dropout())
    other_batches = contents(with_dropout(batch_size=2))
    assert {e: len(v[0]) for e, v in dropped.items()} == {
        e: len(v[0]) for e, v in other_batches.items()
    }
    assert same_images(dropped, other_batches)
    next_epoch = contents(with_dropout(), epoch=1)
    assert {e: len(v[0]) for e, v in dropped.items()} != {
        e: len(v[0]) for e, v in next_epoch.items()
    }
    resumed = with_dropout()
    resumed.load_state_dict({"epoch": 0, "batch": 2})
    rest = contents(resumed)
    assert 0 < len(rest) < len(dropped) and same_images(rest, dropped)
