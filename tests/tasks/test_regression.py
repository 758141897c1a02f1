"""Regressions and the uncertainties that they learn."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from gammalearn.errors import SettingsError
from gammalearn.settings import TaskSettings
from gammalearn.tasks import build_tasks
from gammalearn.tasks.impact import SCALE_M
from gammalearn.tasks.regression import LEAST, likelihood_loss

#: Volume of the sphere of radius r in n dimensions, over its radius.
SHELL = {1: lambda r: 2.0, 2: lambda r: 2 * np.pi * r}


def build(name):
    return build_tasks({name: TaskSettings(uncertainty=True)})[name]


def loss_at(distance, sigma, n_values):
    distance = torch.as_tensor(np.atleast_1d(distance))
    log_sigma = torch.full_like(distance, np.log(sigma))
    return likelihood_loss(distance, log_sigma, n_values).mean().item()


def scattered(n_values, sigma, n_events=20_000):
    """Offsets of the density exp(−r / b): r is gamma-distributed and all directions are alike."""
    random = np.random.default_rng(n_values)
    radius = random.gamma(n_values, sigma / np.sqrt(n_values + 1), n_events)
    direction = random.normal(size=(n_events, n_values))
    return radius[:, None] * direction / np.linalg.norm(direction, axis=1, keepdims=True)


@pytest.mark.parametrize("n_values", [1, 2])
@pytest.mark.parametrize("sigma", [0.1, 0.6, 3.0])
def test_the_loss_is_that_of_a_density_with_this_scatter(n_values, sigma):
    """exp(−loss) has an integral that does not depend on σ, and the variance σ² a coordinate."""

    def moment(power):
        def shell(r):
            return r**power * SHELL[n_values](r) * np.exp(-loss_at(r, sigma, n_values))

        return quad(shell, 0, 50 * sigma, limit=200)[0]

    b = LEAST / np.sqrt(n_values + 1)
    assert moment(0) == pytest.approx({1: 2 * b, 2: 2 * np.pi * b**2}[n_values], rel=1e-3)
    assert moment(2) / moment(0) / n_values == pytest.approx(sigma**2, rel=1e-3)


@pytest.mark.parametrize("n_values", [1, 2])
@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_the_least_loss_gives_back_the_scatter(n_values, sigma):
    """Which in closed form is at √(n+1) / n times the mean distance."""
    offsets = scattered(n_values, sigma)
    distance = np.linalg.norm(offsets, axis=1)
    best = minimize_scalar(
        lambda log_sigma: loss_at(distance, np.exp(log_sigma), n_values), bounds=(-5, 3)
    )
    closed_form = np.sqrt(n_values + 1) / n_values * distance.mean()
    assert np.exp(best.x) == pytest.approx(closed_form, rel=1e-3)
    assert np.exp(best.x) == pytest.approx(sigma, rel=0.03)
    assert np.exp(best.x) == pytest.approx(np.sqrt(np.mean(offsets**2)), rel=0.03)


def test_value_and_uncertainty_are_learnt_together():
    """In one dimension the most likely value is the median, σ is √2 times the mean distance."""
    task = build("energy")
    target = torch.from_numpy(0.7 + scattered(1, 0.2, n_events=2001))
    output = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([output], lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.985)
    for _ in range(600):
        optimiser.zero_grad()
        task.loss(output.expand(len(target), -1), target).mean().backward()
        optimiser.step()
        schedule.step()
    value, log_sigma = output.detach().numpy()[0]
    median = np.median(target)
    assert value == pytest.approx(median, abs=1e-3)
    sigma = np.sqrt(2) * np.abs(target.numpy() - median).mean()
    assert np.hypot(np.exp(log_sigma), LEAST) == pytest.approx(sigma, rel=1e-3)


@pytest.mark.parametrize("n_values", [1, 2])
def test_what_is_learnt_by_heart_is_finite(n_values):
    """The loss of no error at all sinks to 0 and not beyond, and is steep nowhere."""
    log_sigma = torch.tensor([-3.0, -7.0, -20.0, -1000.0], requires_grad=True)
    distance = torch.zeros(4, requires_grad=True)
    loss = likelihood_loss(distance, log_sigma, n_values)
    assert (loss >= 0).all() and (loss.diff() <= 0).all() and loss[-1] == 0
    loss.sum().backward()
    steepest = 1.001 * np.sqrt(n_values + 1) / LEAST
    for gradient in (log_sigma.grad, distance.grad):
        assert gradient.isfinite().all() and gradient.abs().max() < steepest


@pytest.mark.parametrize(("name", "n_values"), [("energy", 1), ("direction", 2), ("impact", 2)])
def test_figures_are_those_without_uncertainty(name, n_values):
    random = np.random.default_rng(0)
    output = torch.from_numpy(random.normal(size=(50, n_values + 1)))
    target = torch.from_numpy(random.normal(size=(50, n_values)))
    certain = build_tasks({name: TaskSettings()})[name]
    assert (certain.n_outputs, build(name).n_outputs) == (n_values, n_values + 1)
    assert build(name).metrics(output, target) == certain.metrics(output[:, :-1], target)


def test_energy_has_its_uncertainty_in_tev(event_table):
    """By differences: a step of σ in the logarithm, of an energy far larger than the step."""
    output = np.array([[1.0, np.log(0.01)], [-2.0, np.log(0.02)]], dtype=np.float32)
    columns = build("energy").decode(output, event_table(true_energy=[1, 1]))
    assert list(columns) == ["energy", "energy_uncert"]
    step = [10.0**1.005 - 10.0**0.995, 10.0**-1.99 - 10.0**-2.01]
    # LEAST is added to σ = 0.01 in quadrature: half a percent.
    np.testing.assert_allclose(columns["energy_uncert"].to_value(u.TeV), step, rtol=6e-3)


@pytest.mark.filterwarnings("ignore:AltAz coordinate has no")
def test_direction_has_a_radius_in_deg(event_table):
    """The root mean square of the angles of scattered directions, near the zenith too."""
    task, sigma, n_events = build("direction"), 0.2, 20_000
    events = event_table(pointing_alt=np.full(n_events, 85.0), pointing_az=10.0)
    output = np.column_stack([scattered(2, sigma), np.full(n_events, np.log(sigma))])
    columns = task.decode(output, events)
    there = SkyCoord(az=columns["az"], alt=columns["alt"], frame="altaz")
    pointing = SkyCoord(az=10 * u.deg, alt=85 * u.deg, frame="altaz")
    angle = there.separation(pointing).deg
    radius = columns["ang_distance_uncert"].to_value(u.deg)
    assert list(columns) == ["alt", "az", "ang_distance_uncert"]
    np.testing.assert_allclose(radius, np.sqrt(np.mean(angle**2)), rtol=0.03)


def test_impact_has_its_uncertainty_in_m(event_table):
    events = event_table(
        reference_x=[10.0, 10.0], reference_y=0.0, reference_z=0.0, pointing_alt=70, pointing_az=0
    )
    columns = build("impact").decode(np.array([[1, 2, 0], [0, 0, np.nan]]), events)
    assert list(columns) == ["core_x", "core_y", "core_uncert_x", "core_uncert_y"]
    for axis in "xy":
        uncertainty = columns[f"core_uncert_{axis}"].to_value(u.m)
        np.testing.assert_allclose(uncertainty, [SCALE_M, np.nan], rtol=1e-5)


def test_who_gives_no_uncertainty_says_so():
    with pytest.raises(SettingsError) as error:
        build("particle_type")
    assert str(error.value) == (
        "tasks.particle_type.uncertainty=True: this task has no such setting; leave it out."
    )
