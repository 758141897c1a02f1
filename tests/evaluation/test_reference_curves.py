"""The published curves are there, whole and of the right order."""

import typing

import astropy.units as u
import numpy as np
import pytest
from matplotlib.figure import Figure

from gammalearn.evaluation.report.reference_curves import draw_references, reference_curve
from gammalearn.settings import Reference

NAMES = typing.get_args(Reference)


@pytest.mark.parametrize("name", NAMES)
def test_every_curve_of_the_settings_has_values_and_a_source(name):
    curve = reference_curve(name)
    assert curve["energy"].unit == "TeV" and curve["angular_resolution_68"].unit == "deg"
    assert np.all(np.diff(curve["energy"]) > 0)
    for column in ("angular_resolution_68", "energy_resolution"):
        known = np.asarray(curve[column])
        assert np.all(np.diff(known[np.isfinite(known)]) <= 0)
    assert curve.meta["title"] and curve.meta["source"]


def test_four_telescopes_are_better_than_one():
    one, four = reference_curve("lst1_mono"), reference_curve("lst4_requirement")
    _, of_one, of_four = np.intersect1d(one["energy"], four["energy"], return_indices=True)
    one, four = one[of_one], four[of_four]
    # By a factor of two in angle at 100 GeV.
    ratio = one["angular_resolution_68"][1] / four["angular_resolution_68"][1]
    assert float(ratio) == pytest.approx(2, rel=0.05)
    assert np.all(four["energy_resolution"] < one["energy_resolution"])


def test_the_sensitivity_is_drawn_where_it_is_known():
    """In the unit of the axes: at 100 GeV 2.345e-12 erg/(cm² s), by hand 1.464e-12 TeV/(cm² s)."""
    axes = Figure().add_subplot()
    flux = u.TeV / (u.cm**2 * u.s)
    assert draw_references(axes, NAMES, "flux_sensitivity", flux) == ["4 LST requirement"]
    energy, values = axes.lines[0].get_data()
    assert len(energy) == 17
    assert values[np.isclose(energy, 0.1)] == pytest.approx(1.464e-12, rel=1e-3)


def test_curves_are_drawn_where_they_have_the_column():
    axes = Figure().add_subplot()
    draw_references(axes, NAMES, "energy_resolution")
    assert [line.get_label() for line in axes.lines] == [
        reference_curve(name).meta["title"] for name in NAMES
    ]
    draw_references(axes, NAMES, "energy_bias")
    assert len(axes.lines) == len(NAMES)


def test_a_curve_of_another_definition_says_so():
    """The angle of LST-1 is a cut, those of the others contain 68 %."""
    axes = Figure().add_subplot()
    draw_references(axes, NAMES, "angular_resolution_68")
    labels = {line.get_label() for line in axes.lines}
    assert labels == {
        "LST-1 mono (cut at 70 % efficiency)",
        "4 LST requirement",
        "CTAO North, 4 LST + 9 MST",
    }
