"""Weights of events in the losses, by hand and against the spectra that they are to give."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.data import EventIndex, check_weights, describe_weights, event_weights
from gammalearn.errors import DataError, SettingsError
from gammalearn.io.ctapipe_tables import RUNS
from gammalearn.settings import DataSettings, Experiment, WeightSettings
from gammalearn.settings.reading import override


def index_of(particle, energy, simulated=-2.0):
    n_events = len(particle)
    events = Table(
        {
            "particle": np.array(particle, dtype="U8"),
            "true_energy": np.array(energy, dtype=float),
            "spectral_index": np.broadcast_to(np.float32(simulated), n_events),
            "file": np.zeros(n_events, dtype=int),
        }
    )
    return EventIndex([Path("some.h5")], [], Table(), events)


#: Two gammas of 1 and 10 TeV, four protons of 1 TeV.
SIX = index_of(["gamma"] * 2 + ["proton"] * 4, [1, 10, 1, 1, 1, 1])


def weigh(index, learnt=None, training=None, **settings):
    learnt = np.ones(len(index), bool) if learnt is None else np.array(learnt, dtype=bool)
    training = np.arange(len(index)) if training is None else np.array(training)
    return event_weights(index, WeightSettings(**settings), learnt, training)


def test_none():
    assert weigh(SIX).tolist() == [1] * 6


def test_particles_weigh_the_same():
    """Three of six each: 2 · 1.5 = 4 · 0.75."""
    assert weigh(SIX, balance_particles=True).tolist() == [1.5] * 2 + [0.75] * 4


def test_a_spectrum_steeper_by_one():
    """Weights go as 1/E; of 1 and 0.1 the mean is 0.55."""
    weights = weigh(SIX, spectral_index=-3)
    assert weights == pytest.approx([1 / 0.55, 0.1 / 0.55, 1, 1, 1, 1], rel=1e-6)


def test_spectrum_and_balance():
    weights = weigh(SIX, spectral_index={"gamma": -3}, balance_particles=True)
    assert weights == pytest.approx([1.5 / 0.55, 0.15 / 0.55] + [0.75] * 4, rel=1e-6)


def test_of_the_events_that_a_task_learns_from():
    """The energy of gammas: there are no protons to balance, and the mean is that of gammas."""
    gammas = [True, True, False, False, False, False]
    assert weigh(SIX, gammas, balance_particles=True)[:2].tolist() == [1, 1]
    only_first = [True, False, True, True, True, True]
    assert weigh(SIX, only_first, spectral_index=-3)[0] == 1


def test_validation_events_weigh_what_they_would_in_training():
    weights = weigh(SIX, training=[0, 2, 3], spectral_index=-3, balance_particles=True)
    # One gamma and two protons: 3 / (2 · 1) and 3 / (2 · 2).
    assert weights == pytest.approx([1.5, 0.15, 0.75, 0.75, 0.75, 0.75], rel=1e-6)


@given(
    st.lists(st.sampled_from(["gamma", "proton", "electron"]), min_size=1, max_size=30),
    st.none() | st.floats(-4, 0),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_the_mean_is_one(particles, target, balance, seed):
    rng = np.random.default_rng(seed)
    index = index_of(particles, 10 ** rng.uniform(-1, 1, len(particles)))
    weights = weigh(index, spectral_index=target, balance_particles=balance)
    assert weights.mean() == pytest.approx(1, rel=1e-5) and (weights > 0).all()
    if balance:
        shares = [weights[index.events["particle"] == name].sum() for name in set(particles)]
        assert shares == pytest.approx([len(particles) / len(set(particles))] * len(shares))


@pytest.mark.parametrize("target", [-1.5, -2.7, -3.5])
def test_weighted_events_have_the_target_spectrum(target):
    """The mean of ln E of a power law between 1 and 100 TeV is known."""
    u = (np.arange(100_000) + 0.5) / 100_000
    energy = 1 / (1 - u * (1 - 1 / 100))  # E⁻²
    weights = weigh(index_of(["gamma"] * len(u), energy), spectral_index=target)
    a, top = target + 1, np.log(100)
    expected = top * np.exp(a * top) / np.expm1(a * top) - 1 / a
    assert np.average(np.log(energy), weights=weights) == pytest.approx(expected, rel=1e-3)


def test_runs_of_different_spectra():
    """Each is weighed from its own: two events of 10 TeV, E⁻² and E⁻¹ to E⁻³."""
    index = index_of(["gamma"] * 3, [1, 10, 10], [-2, -2, -1])
    weights = weigh(index, spectral_index=-3)
    assert weights / weights[0] == pytest.approx([1, 0.1, 0.01], rel=1e-5)


@pytest.mark.parametrize("simulated", [np.nan, 0.5])
def test_a_spectrum_that_is_not_known(simulated):
    index = index_of(["gamma", "proton"], [1, 1], [-2, simulated])
    with pytest.raises(DataError, match="'some.h5' does not say .* its protons were simulated"):
        check_weights(index, WeightSettings(spectral_index=-2.6))
    check_weights(index, WeightSettings(spectral_index={"gamma": -2.6}))
    check_weights(index, WeightSettings(balance_particles=True))


def test_in_words():
    """(1 + 1 + 4)² / (1 + 1 + 16) = 2."""
    words = describe_weights(np.array(["gamma"] * 3 + ["proton"]), np.array([1, 1, 4, 0.5]))
    assert words == {
        "gamma": "mean 2, from 1 to 4; 3 events count as 2 of equal weight",
        "proton": "mean 0.5, from 0.5 to 0.5; 1 events count as 1 of equal weight",
    }


@pytest.mark.parametrize("wrong", ["2", "-7", "{muon: -2}", "{gamma: 1}"])
def test_settings_that_are_no_spectrum(wrong):
    with pytest.raises(SettingsError, match="spectral_index"):
        override(Experiment(), [f"data.weights.spectral_index={wrong}"])


@pytest.mark.parametrize(
    "name",
    ["dl1_ctapipe/protons_prod5_merged.dl1.h5", "dl1_lstchain/dl1_gamma_lsts_run7_7.0.0_4tel.h5"],
)
def test_files_say_what_was_simulated(data_dir, build_index, name):
    """All of these runs were CORSIKA's with ESLOPE -2."""
    index = build_index([data_dir / name], DataSettings())
    assert len(index) and (index.events["spectral_index"] == -2).all()


def test_each_run_has_its_own(altered, build_index):
    def change(file):
        table = file.get_node(RUNS)
        rows = table.read()
        rows["spectral_index"] = [-1.5, -2.5]
        table.modify_rows(0, 2, rows=rows)

    events = build_index([altered("protons_prod5_merged", change)], DataSettings()).events
    for obs_id, expected in ((201, -1.5), (202, -2.5)):
        assert (events["spectral_index"][events["obs_id"] == obs_id] == expected).all()


def test_a_file_that_does_not_say(altered, build_index):
    index = build_index(
        [altered("proton_run201_prod5", lambda file: file.remove_node(RUNS))], DataSettings()
    )
    assert np.isnan(index.events["spectral_index"]).all()
