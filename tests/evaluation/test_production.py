"""What was simulated, as the files tell it."""

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import QTable, Table, vstack
from ctapipe.io import write_table

from gammalearn.cli import main
from gammalearn.errors import EvaluationError
from gammalearn.evaluation import read_events
from gammalearn.evaluation.performance.observation import evaluate_performance
from gammalearn.evaluation.performance.production import (
    read_productions,
    simulated_flux,
    thrown_density,
)
from gammalearn.settings import EvaluationSettings

TOTAL = 2 * 1000 * 10


@pytest.fixture
def read(tmp_path, make_truth, smear, write_dl2):
    """Function that writes a file of some particles and reads what was simulated."""

    def make(particles=("gamma",), runs=None, **options):
        truth = vstack([make_truth(20, particle=particle) for particle in particles])
        path = write_dl2(tmp_path / "a.h5", smear(truth), runs=runs, **options)
        found = read_productions([path], read_events([path]))
        return found.known, found.lacking

    return make


def test_runs_of_one_particle_are_added(read):
    # One run with events and one in which nothing triggered.
    (production,), lacking = read(runs={"obs_id": [1, 7]})
    assert lacking == {}
    assert production.particle == "gamma"
    assert production.is_diffuse
    assert production.showers.n_showers == TOTAL
    assert production.showers.spectral_index == -2
    assert production.showers.viewcone_max == 2 * u.deg


def test_particles_are_told_apart(read):
    productions, lacking = read(["gamma", "proton"], runs={"max_viewcone_radius": 0.0})
    assert {p.particle: p.showers.n_showers for p in productions} == {
        "gamma": TOTAL / 2,
        "proton": TOTAL / 2,
    }
    assert not any(p.is_diffuse for p in productions)
    assert lacking == {}


def test_a_run_whose_particle_nothing_tells(read):
    productions, lacking = read(["gamma", "proton"], runs={"obs_id": [1, 102, 7]})
    assert productions == []
    assert lacking["gamma"] == "run 7 of a.h5 has no events that tell its particle"


@pytest.mark.parametrize("order", [("gamma", "proton"), ("proton", "gamma")])
@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_run_of_several_particles(tmp_path, make_truth, smear, write_dl2, order, n_rows):
    """Under one obs_id, merged or not: how many of each were simulated nothing tells."""
    truth = vstack([make_truth(20, particle=particle) for particle in order])
    truth["obs_id"], truth["event_id"] = 1, np.arange(40)
    path = write_dl2(tmp_path / "a.h5", smear(truth), runs={"obs_id": [1] * n_rows})
    events = read_events([path])
    why = (
        "run 1 of a.h5 holds gammas and protons, and nothing tells how many of each were simulated"
    )
    productions = read_productions([path], events)
    assert productions.known == []
    assert productions.lacking == {"gamma": why, "proton": why}
    findings = evaluate_performance([path], events, "gamma", EvaluationSettings())
    assert findings.metrics == {"n_simulated_signal": None, "best_relative_sensitivity": None}
    assert findings.warnings == [
        f"There is no effective area: {why}.",
        f"There is no sensitivity: {why}.",
    ]


def test_showers_of_a_file_without_events_are_not_forgotten(tmp_path, make_truth, smear, write_dl2):
    """They may be of any particle, and areas without them would come out too large."""
    gammas = smear(make_truth(20))
    paths = [
        write_dl2(tmp_path / "gamma.h5", gammas, runs={}),
        write_dl2(tmp_path / "empty.h5", gammas[:0], runs={"obs_id": [7]}),
    ]
    events = read_events(paths)
    found = read_productions(paths, events)
    (production,), lacking = found.known, found.lacking
    assert production.showers.n_showers == TOTAL / 2
    assert lacking == {
        "unknown": "10000 simulated showers of empty.h5 are not counted, as no event tells their "
        "particle: its effective area comes out too large"
    }
    findings = evaluate_performance(paths, events, "gamma", EvaluationSettings())
    assert f"{lacking['unknown']}." in findings.warnings


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        (None, "a.h5 does not tell how its gammas were simulated"),
        ({"n_showers": 0}, "the gammas of a.h5 do not tell how many were simulated"),
        ({"energy_range_max": 0.05}, "the gammas of a.h5 were simulated at the one energy of 0.05"),
        ({"energy_range_min": np.nan}, "do not tell the energies"),
        ({"spectral_index": 0.0}, "with the spectral index 0, above −1"),
        ({"max_scatter_range": 0.0}, "do not tell the area that they fell on"),
    ],
)
def test_what_is_lacking_is_said(read, runs, why):
    productions, lacking = read(runs=runs)
    assert productions == []
    assert why in lacking["gamma"]


def test_thrown_showers_add_up_by_area(tmp_path, make_truth, smear, write_dl2):
    """Between 0.05 and 20 TeV, E⁻² has (1/0.1 − 1/1) / (1/0.05 − 1/20) of it from 0.1 to 1 TeV."""
    paths = [
        write_dl2(
            tmp_path / f"{radius}.h5", smear(make_truth(5)), runs={"max_scatter_range": radius}
        )
        for radius in (300.0, 600.0)
    ]
    productions = read_productions(paths, read_events(paths)).known
    density = thrown_density(productions, [0.1, 1] * u.TeV)
    share = (1 / 0.1 - 1 / 1) / (1 / 0.05 - 1 / 20)
    expected = TOTAL / 2 * share * (1 / (np.pi * 300**2) + 1 / (np.pi * 600**2))
    np.testing.assert_allclose(density.to_value("m-2"), [expected])


def test_a_spectrum_as_flat_as_that_of_the_logarithm(read):
    """Of E⁻¹ each factor in energy has as many: ln(1/0.1) of ln(20/0.05) from 0.1 to 1 TeV."""
    (production,), _ = read(runs={"spectral_index": -1.0})
    circle, whole = np.pi * 500**2, np.log(20 / 0.05)
    density = thrown_density([production], [0.1, 1] * u.TeV)
    expected = TOTAL / 2 * np.log(10) / whole / circle
    np.testing.assert_allclose(density.to_value("m-2"), [expected], rtol=1e-6)
    energy = [0.1, 3] * u.TeV
    flux = simulated_flux([production], energy, 1 * u.s, of_all_directions=True)
    expected = TOTAL / 2 / (circle * whole * energy.value)
    np.testing.assert_allclose(flux.to_value("TeV-1 s-1 m-2"), expected, rtol=1e-6)


def test_a_flux_that_is_none(read):
    (production,), _ = read(runs={})
    production.showers.n_showers = np.nan
    with pytest.raises(EvaluationError, match="flux of gammas is not finite; look at the spectral"):
        simulated_flux([production], [1] * u.TeV, 1 * u.s)


def test_the_flux_brings_as_many_showers_as_were_simulated(read):
    (production,), _ = read(runs={})
    energy = np.geomspace(0.05, 20, 20_001) * u.TeV
    everywhere = simulated_flux([production], energy, 2 * u.h, of_all_directions=True)
    by_angle = simulated_flux([production], energy, 2 * u.h)
    number = np.trapezoid(everywhere, energy) * 2 * u.h * np.pi * (500 * u.m) ** 2
    assert number.to_value(u.one) == pytest.approx(TOTAL / 2, rel=1e-4)
    cone = 2 * np.pi * (1 - np.cos(2 * u.deg)) * u.sr
    np.testing.assert_allclose((by_angle * cone / everywhere).to_value(u.one), 1)
    outside = simulated_flux([production], [0.01, 30] * u.TeV, 2 * u.h)
    assert np.all(outside.value == 0)


class TestThrownShowers:
    """The histogram of thrown showers counts, as for ctapipe, not what settings promise."""

    @pytest.fixture
    def with_histogram(self, tmp_path, make_truth, smear, write_dl2):
        """Function that writes gammas of a run, whose histogram holds so many showers."""

        def write(n_entries, obs_id=1, name="n_entries", truth=None):
            truth = make_truth(200) if truth is None else truth
            folder = tmp_path / f"{n_entries}"
            folder.mkdir()
            path = write_dl2(folder / "a.h5", smear(truth), runs={})
            if n_entries is not None:
                with tables.open_file(path, "a") as file:
                    rows = Table({"obs_id": [obs_id], name: [n_entries]})
                    write_table(rows, file, "/simulation/service/shower_distribution")
            return path

        return write

    @pytest.mark.parametrize("name", ["n_entries", "num_entries"])
    def test_count(self, with_histogram, name):
        path = with_histogram(2000, name=name)
        found = read_productions([path], read_events([path]))
        (production,), warnings = found.known, found.warnings
        assert production.showers.n_showers == 2000
        assert warnings == [
            "Run 1 of a.h5 says that 10000 showers were simulated, and the histogram of thrown "
            "showers holds 2000, which count."
        ]

    @pytest.mark.parametrize(("n_entries", "obs_id"), [(None, 1), (10000, 1), (2000, 7), (0, 1)])
    def test_settings_count_otherwise(self, with_histogram, n_entries, obs_id):
        path = with_histogram(n_entries, obs_id)
        found = read_productions([path], read_events([path]))
        (production,), warnings = found.known, found.warnings
        assert production.showers.n_showers == 10000 and warnings == []

    def test_the_effective_area_follows(self, with_histogram, tmp_path, blank_pictures, capsys):
        """Five times fewer showers: five times the area, n_left / n_thrown · π r²."""
        areas = []
        for n_entries in (None, 2000):
            path, output = with_histogram(n_entries), tmp_path / f"result-{n_entries}"
            assert main(["evaluate", str(path), "-o", str(output)]) == 0
            table = QTable.read(output / "evaluation" / "effective_area.ecsv")
            areas.append(table["effective_area_triggered"].to_value("m2"))
            told = "the histogram of thrown showers holds 2000" in (
                output / "report.html"
            ).read_text(encoding="utf-8")
            assert told == (n_entries == 2000)
        known = np.isfinite(areas[0]) & (areas[0] > 0)
        assert known.sum() > 5
        np.testing.assert_allclose(areas[1][known], 5 * areas[0][known], rtol=1e-6)
