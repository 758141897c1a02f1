"""Hadrons: interactions, decays and flights against closed formulas and published figures."""

import numpy as np
import pytest
from scipy import constants
from scipy.integrate import quad
from scipy.stats import binomtest, kstest

from gammalearn.simulation import decays, hadrons
from gammalearn.simulation import stack as st
from gammalearn.simulation.atmosphere import density, refractivity, thickness
from gammalearn.simulation.electromagnetic import new_site
from gammalearn.simulation.light import N_HEIGHTS
from gammalearn.simulation.optics import Optics, pointing_axes

OBSERVATION_HEIGHT = 2158.0

#: A field to the north (tesla), as strong as at La Palma.
FIELD = (38.7e-6, 0.0, 0.0)

#: Nucleons in the first collision: s = 2 m E + 2 m².
NUCLEON = st.MASS[st.PROTON]


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture(scope="module")
def site():
    return new_site(OBSERVATION_HEIGHT, (0.0, 0.0, 0.0))


def light_of(positions, radius, photons_per_metre):
    """Mirrors that look to the zenith and turn every photon into one photoelectron."""
    optics = Optics(
        yields=np.full((1, N_HEIGHTS), photons_per_metre),
        psf=np.zeros((1, 2)),
        delay=np.zeros(1),
        half=np.array([0.1]),
        pixels=np.zeros((1, 2, 2), dtype=np.int16),
        axes=pointing_axes(0.5 * np.pi, 0.0),
        observation_height=OBSERVATION_HEIGHT,
    )
    n = len(positions)
    return optics.light(np.reshape(positions, (n, 3)), np.full(n, radius), np.zeros(n), 1.0, 100)


@pytest.fixture(scope="module")
def darkness():
    return light_of([], 1.0, 0.0)


@pytest.fixture(scope="module")
def stack():
    return st.new_stack()


def particle(kind, energy, z=97_000.0, theta=0.0):
    """A particle on its way down, leaning to the north by an angle theta."""
    row = np.zeros(st.N_COLUMNS)
    row[[st.KIND, st.ENERGY, st.Z]] = kind, energy, z
    row[[st.UX, st.UZ]] = np.sin(theta), -np.cos(theta)
    return row


def fly(site, light, rng, n, *what, **how):
    """Let many such particles fly: their fates and ends."""
    rows = np.array([particle(*what, **how) for _ in range(n)])
    fates = np.array([hadrons.fly(site, light, row, rng) for row in rows])
    return fates, rows


def products(make, stack, rng, kind, energy, n_times):
    """What comes of many decays or interactions: products, whose they are, and the energy lost."""
    rows, parents, lost = [], [], np.empty(n_times)
    where = (0.0, 0.0, 5000.0, 0.0, 0.0, 0.0, -1.0)
    for i in range(n_times):
        if make is decays.decay:
            n, lost[i] = make(stack, 0, kind, energy, *where, rng)
        else:
            n, lost[i] = make(kind, energy, *where, stack, 0, rng)
        rows.append(stack[:n].copy())
        parents += [i] * n
    return np.concatenate(rows), np.array(parents), lost


def momentum(rows):
    mass = st.MASS[rows[:, st.KIND].astype(int)]
    size = np.sqrt(rows[:, st.ENERGY] ** 2 - mass**2)
    return size[:, np.newaxis] * rows[:, st.UX : st.UZ + 1]


class TestDecays:
    @pytest.mark.parametrize(("meson", "share"), [(st.PION_PLUS, 1.0), (st.KAON_MINUS, 0.6356)])
    def test_muons_of_two_body_decays_are_uniform_in_energy(self, stack, rng, meson, share):
        """Between (m_mu / m)² and 1 of the meson's energy, if that is large."""
        n = 3000
        rows, parents, _ = products(decays.decay, stack, rng, meson, 1000.0, n)
        alone = (np.bincount(parents, minlength=n) == 1)[parents]
        muons = rows[alone & np.isin(rows[:, st.KIND], (st.MUON_MINUS, st.MUON_PLUS))]
        least = (st.MASS[st.MUON_PLUS] / st.MASS[meson]) ** 2
        part = (muons[:, st.ENERGY] / 1000.0 - least) / (1.0 - least)
        # Other decays with a muon have the photons of a neutral pion as well.
        assert binomtest(len(muons), n, share).pvalue > 1e-3
        assert kstest(part, "uniform").pvalue > 1e-3

    def test_neutral_pion_becomes_two_photons_of_its_mass(self, stack, rng):
        n = decays.release(
            stack, 0, decays.PION_ZERO, 3.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0, -0.8, rng
        )[0]
        assert n == 2
        assert np.all(stack[:2, st.KIND] == st.GAMMA)
        total = momentum(stack[:2]).sum(axis=0)
        mass2 = stack[:2, st.ENERGY].sum() ** 2 - total @ total
        assert stack[:2, st.ENERGY].sum() == pytest.approx(3.0)
        assert np.sqrt(mass2) == pytest.approx(0.1349768)
        assert total / np.linalg.norm(total) == pytest.approx([0.6, 0.0, -0.8])

    def test_two_bodies_share_momentum_and_energy(self, rng):
        masses = np.array([0.14, 0.494])
        out = np.array(decays.two_body(20.0, 1.2, *masses, 0.0, 0.6, -0.8, rng)).reshape(2, 4)
        size = np.sqrt(out[:, 0] ** 2 - masses**2)
        assert out[:, 0].sum() == pytest.approx(20.0)
        assert size @ out[:, 1:] == pytest.approx(
            np.sqrt(20.0**2 - 1.2**2) * np.array([0, 0.6, -0.8])
        )

    @pytest.mark.parametrize(
        "kind", [st.MUON_PLUS, st.PION_MINUS, st.KAON_PLUS, st.KAON_LONG, decays.KAON_SHORT]
    )
    def test_energy_is_followed_or_counted_as_lost(self, stack, rng, kind):
        rows, parents, lost = products(decays.decay, stack, rng, kind, 5.0, 300)
        kept = np.bincount(parents, weights=rows[:, st.ENERGY], minlength=300)
        assert kept + lost == pytest.approx(np.full(300, 5.0))

    def test_three_pions_have_the_mass_of_the_kaon(self, stack, rng):
        """K+ to pi+ pi+ pi-: nothing is lost, so momentum adds up as well."""
        rows, parents, lost = products(decays.decay, stack, rng, st.KAON_PLUS, 50.0, 500)
        three = np.flatnonzero((np.bincount(parents, minlength=500) == 3) & (lost == 0.0))
        assert len(three) > 10
        for event in three:
            total = momentum(rows[parents == event]).sum(axis=0)
            assert total == pytest.approx([0, 0, -np.sqrt(50.0**2 - 0.493677**2)], abs=1e-6)

    def test_electron_takes_a_third_of_a_fast_muon(self, stack, rng):
        """The mean of Michel's spectrum is 7/20 of the muon's mass."""
        rows, _, _ = products(decays.decay, stack, rng, st.MUON_MINUS, 100.0, 3000)
        share = rows[:, st.ENERGY] / 100.0
        assert np.all(rows[:, st.KIND] == st.ELECTRON)
        assert share.mean() == pytest.approx(0.35, abs=4 * share.std() / np.sqrt(len(share)))


class TestFlight:
    @pytest.mark.parametrize("theta", [0.0, 1.0])
    def test_protons_interact_at_exponential_depths(self, site, darkness, rng, theta):
        fates, ends = fly(site, darkness, rng, 2000, st.PROTON, 1000.0, theta=theta)
        depth = [thickness(z + OBSERVATION_HEIGHT) for z in ends[:, st.Z]]
        depth = np.array(depth)[fates == hadrons.INTERACTS] / np.cos(theta)
        mean = hadrons.interaction_length(st.PROTON, 1000.0)
        assert 80.0 < mean < 90.0
        assert kstest(depth, "expon", args=(0.0, mean)).pvalue > 1e-3

    @pytest.mark.parametrize(("kind", "c_tau"), [(st.PION_PLUS, 7.80), (st.KAON_LONG, 15.34)])
    def test_mesons_in_thin_air_decay_at_exponential_distances(
        self, site, darkness, rng, kind, c_tau
    ):
        start = particle(kind, 20.0, z=90_000.0)
        fates, ends = fly(site, darkness, rng, 2000, kind, 20.0, z=90_000.0)
        assert np.mean(fates == hadrons.DECAYS) > 0.99
        path = start[st.Z] - ends[:, st.Z]
        mean = np.sqrt((20.0 / st.MASS[kind]) ** 2 - 1.0) * c_tau
        assert kstest(path, "expon", args=(0.0, mean)).pvalue > 1e-3

    @pytest.mark.parametrize(
        ("kind", "energy", "mean"),
        [
            (st.PROTON, 100.0, (80, 90)),
            (st.PION_PLUS, 100.0, (110, 120)),
            (st.KAON_PLUS, 100.0, (120, 140)),
        ],
    )
    def test_interaction_lengths(self, kind, energy, mean):
        assert mean[0] < hadrons.interaction_length(kind, energy) < mean[1]
        assert hadrons.interaction_length(kind, 1e4) < hadrons.interaction_length(kind, energy)

    def test_ionisation_in_dry_air(self):
        """PDG: at least 1.815 MeV cm²/g; on Fermi's plateau the plasma energy is 0.707 eV."""
        mass = st.MASS[st.MUON_PLUS]
        losses = [hadrons.ionisation(p, mass) for p in np.geomspace(0.1, 10.0, 200)]
        assert min(losses) == pytest.approx(1.815e-3, rel=0.01)
        gamma, ratio = 1e5, decays.MASS[st.ELECTRON] / mass
        most = 2 * gamma**2 * st.MASS[st.ELECTRON] / (1 + 2 * gamma * ratio + ratio**2)
        plasma = 0.707e-9
        plateau = 0.5 * np.log(2 * st.MASS[st.ELECTRON] * most / plasma**2) - 0.5
        expected = 0.307075e-3 * 0.49919 * plateau
        assert hadrons.ionisation(gamma * mass, mass) == pytest.approx(expected, rel=0.002)

    def test_muons_lose_energy_scatter_and_bend(self, darkness, rng):
        """20 GeV down to the ground: Bethe, Rossi (21.2 MeV) and p = 0.3 B R."""
        fates, ends = fly(
            new_site(OBSERVATION_HEIGHT, FIELD), darkness, rng, 2000, st.MUON_PLUS, 20.0, z=5_000.0
        )
        grams = thickness(OBSERVATION_HEIGHT) - thickness(OBSERVATION_HEIGHT + 5_000.0)
        ends = ends[fates == hadrons.GROUNDED]
        assert ends[:, st.Z] == pytest.approx(0.0, abs=1e-6)
        loss = 20.0 - ends[:, st.ENERGY].mean()
        assert loss == pytest.approx(
            grams * hadrons.ionisation(19.5, st.MASS[st.MUON_PLUS]), rel=0.01
        )
        theta = 0.0212 / np.sqrt(2.0) / 19.5 * np.sqrt(grams / 36.7)
        assert ends[:, st.UX].std() == pytest.approx(theta, rel=0.06)
        # Down times north is east: a positive muon turns to -u x B, to the east (y < 0 is east).
        bend = -0.299792458 * FIELD[0] * 5_000.0 / 19.5
        assert ends[:, st.UY].mean() == pytest.approx(bend, abs=4 * theta / np.sqrt(len(ends)))

    def test_slow_muons_decay_and_fast_ones_arrive(self, site, darkness, rng):
        """Survival is exp(-integral of m dl / (p c tau)) while energy is lost at a steady rate."""
        energy, start, mass = 4.0, 8_000.0, st.MASS[st.MUON_PLUS]

        def rate(z):
            top = thickness(OBSERVATION_HEIGHT + start)
            left = energy - 2.15e-3 * (thickness(OBSERVATION_HEIGHT + z) - top)
            return mass / np.sqrt(left**2 - mass**2) / 658.638

        expected = np.exp(-quad(rate, 0.0, start)[0])
        fates, _ = fly(site, darkness, rng, 2000, st.MUON_MINUS, energy, z=start)
        assert np.mean(fates == hadrons.GROUNDED) == pytest.approx(expected, abs=0.045)

    def test_light_of_a_muon_through_the_mirror(self, site, rng):
        """Frank and Tamm along the way whose cone falls on the mirror, 300-600 nm, to the LST."""
        radius = np.sqrt(386.7 / np.pi)
        per_metre = 2 * np.pi * constants.fine_structure * (1 / 300e-9 - 1 / 600e-9)
        light = light_of([(0.0, 0.0, 0.0)], radius, per_metre)
        fly(site, light, rng, 20, st.MUON_PLUS, 100.0, z=2_000.0)

        def tangent(z):
            return np.sqrt(2.0 * refractivity(density(OBSERVATION_HEIGHT + z)) - (0.1057 / 98) ** 2)

        reach = radius / tangent(200.0)
        photons = quad(lambda z: per_metre * tangent(z) ** 2, 0.0, reach)[0]
        assert photons == pytest.approx(18_400, rel=0.05)
        assert light.total[0] / 20 == pytest.approx(photons, rel=0.03)


#: Share of the energy of a projectile that interacts in air at 1 TeV, from 8000 events of SIBYLL
#: 2.3d without quasi-elastic ones: into photons (at once), charged pions and kaons, and
#: mean transverse momentum (GeV) of charged pions above 2 GeV.
FLOWS = {st.PROTON: (0.207, 0.295, 0.059, 0.36), st.PION_PLUS: (0.257, 0.563, 0.077, 0.36)}


class TestInteractions:
    @pytest.mark.parametrize("energy", [2.5, 20.0, 1000.0, 100_000.0])
    @pytest.mark.parametrize("kind", [st.PROTON, st.NEUTRON, st.PION_MINUS, st.KAON_LONG])
    def test_energy_is_followed_or_counted_as_lost(self, stack, rng, kind, energy):
        rows, parents, lost = products(hadrons.hadron_interaction, stack, rng, kind, energy, 100)
        kept = np.bincount(parents, weights=rows[:, st.ENERGY], minlength=100)
        assert kept + lost == pytest.approx(np.full(100, energy))
        assert np.all(lost >= 0.0)

    @pytest.mark.parametrize("kind", FLOWS)
    def test_energy_goes_where_a_microscopic_model_sends_it(self, stack, rng, kind):
        n, energy = 4000, 1000.0
        rows, parents, _ = products(hadrons.hadron_interaction, stack, rng, kind, energy, n)
        kinds = rows[:, st.KIND]
        families = [
            kinds == st.GAMMA,
            np.isin(kinds, (st.PION_MINUS, st.PION_PLUS)),
            np.isin(kinds, (st.KAON_MINUS, st.KAON_PLUS, st.KAON_LONG)),
        ]
        for family, flow, tolerance in zip(families, FLOWS[kind], (0.1, 0.1, 0.2), strict=False):
            share = np.bincount(
                parents, weights=np.where(family, rows[:, st.ENERGY] / energy, 0.0), minlength=n
            )
            assert share.mean() == pytest.approx(flow, rel=tolerance)
        pions = rows[families[1] & (rows[:, st.ENERGY] > 2.0)]
        across = np.hypot(*momentum(pions)[:, :2].T).mean()
        assert across == pytest.approx(FLOWS[kind][3], rel=0.1)

    @pytest.mark.parametrize("energy", [100.0, 1000.0, 10_000.0])
    def test_charged_multiplicity_on_air(self, rng, energy):
        """1.3 to 1.5 times that of two protons, give or take a tenth, with a wide spread."""
        log_s = np.log(2 * NUCLEON * (energy + NUCLEON))
        protons = 0.88 + 0.44 * log_s + 0.118 * log_s**2
        # The projectile, and of what is made with the energy it leaves two thirds are charged.
        n = np.array(
            [
                1 + hadrons._multiplicity(energy * (1 - share), rng) / 1.5
                for share in [hadrons._leading_share(2, energy, rng) for _ in range(4000)]
            ]
        )
        assert 1.2 < np.mean(n) / protons < 1.6
        assert 0.5 < np.std(n) / np.mean(n) < 0.85

    def test_leading_nucleon_keeps_four_tenths(self, stack, rng):
        """x averages 0.38 and is anything: the fastest nucleon of each interaction."""
        rows, parents, _ = products(hadrons.hadron_interaction, stack, rng, st.PROTON, 1000.0, 3000)
        nucleon = rows[:, st.KIND] >= st.NEUTRON
        share = np.zeros(3000)
        np.maximum.at(share, parents[nucleon], rows[nucleon, st.ENERGY] / 1000.0)
        assert share.mean() == pytest.approx(0.38, abs=0.03)
        assert share.std() == pytest.approx(0.236, abs=0.03)
        assert np.mean(rows[nucleon, st.KIND] == st.NEUTRON) == pytest.approx(0.4, abs=0.1)


def develop(site, light, stack, rng, energy):
    """A proton's hadrons and muons: energy into photons and electrons, and muons at the ground."""
    stack[0] = particle(st.PROTON, energy)
    n, electromagnetic, muons = 1, 0.0, 0
    while n > 0:
        row = stack[n - 1]
        kind = int(row[st.KIND])
        if kind <= st.POSITRON:
            electromagnetic += row[st.ENERGY]
            n -= 1
            continue
        n = hadrons.follow_hadron(site, light, stack, n, rng)
        # What has flown and left nothing behind lies above the stack, where it ended.
        if kind <= st.MUON_PLUS and stack[n, st.Z] <= 1e-6 and stack[n, st.KIND] == kind:
            muons += stack[n, st.ENERGY] > 1.0
    return electromagnetic / energy, muons


class TestCascade:
    @pytest.mark.parametrize(
        ("energy", "n_showers", "electromagnetic", "muons"),
        [(100.0, 300, 0.425, 2.75), (1000.0, 120, 0.467, 20.8), (10_000.0, 12, 0.578, 151.0)],
    )
    def test_light_and_muons_of_protons(
        self, site, darkness, stack, rng, energy, n_showers, electromagnetic, muons
    ):
        """As from showers made of interactions of SIBYLL 2.3d and UrQMD 3.4, vertical, to 2158 m.

        Gaisser and Matthews (1 - (E / 20 GeV)^-0.15 and the like) have 0.44 at 1 TeV and
        0.6 at 10 TeV for the electromagnetic share.
        """
        showers = np.array([develop(site, darkness, stack, rng, energy) for _ in range(n_showers)])
        error = showers.std(axis=0) / np.sqrt(n_showers)
        share, count = showers.mean(axis=0)
        assert share == pytest.approx(electromagnetic, abs=0.05 * electromagnetic + 3 * error[0])
        assert count == pytest.approx(muons, abs=0.1 * muons + 3 * error[1])

    def test_same_seed_same_shower(self, site, darkness, stack):
        twice = [develop(site, darkness, stack, np.random.default_rng(1), 1000.0) for _ in range(2)]
        assert twice[0] == twice[1]
