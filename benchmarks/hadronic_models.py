"""Light of protons whose hadrons interact as SIBYLL 2.3d and UrQMD 3.4 have it.

    python benchmarks/hadronic_models.py sample FOLDER     # needs the package chromo, not ours
    python benchmarks/hadronic_models.py showers FOLDER    # needs gammalearn, not chromo

The first makes samples of interactions with nitrogen (UrQMD leaves a file, tables.dat, where it
runs), the second prints the light of showers that draw from them; flight, decays, electromagnetic
cascade and light are those of the simulation. It made `PROTON_LIGHT` in shower_references.py, which
the parametric interactions are compared with: two minutes on an x86-64 machine (AMD EPYC), with
chromo 0.11.0.
"""

import argparse
import math
from pathlib import Path

import numpy as np

#: Energies (GeV) of the samples, ten a decade; SIBYLL from SPLIT on.
ENERGIES = 10.0 ** np.arange(0.3, 4.01, 0.1)
SPLIT = 70.0

#: Projectiles, by their numbers of the Particle Data Group: proton, positive pion and kaon.
PROJECTILES = (2212, 211, 321)

#: Interactions of each projectile and energy.
SAMPLES = {"Sibyll23d": 500, "UrQMD34": 150}

#: Showers of each energy (GeV).
SHOWERS = {100: 1000, 200: 700, 400: 400, 1000: 200, 2500: 80}

SECONDARIES = (22, 11, 111, 211, 130, 310, 321, 221)


def sample(folder):
    """Write interactions that make particles: number, energy and momentum (GeV) of each."""
    import chromo
    from chromo.constants import GeV
    from chromo.kinematics import FixedTarget

    for name, low, high in (("UrQMD34", 0.0, SPLIT), ("Sibyll23d", SPLIT, 1e9)):
        generator, tables = None, {}
        for projectile in PROJECTILES:
            if name == "UrQMD34" and projectile == 321:
                continue  # it makes none of these below 3 GeV: pions stand for them
            for energy in ENERGIES[np.digitize(ENERGIES, [low, high]) == 1]:
                kinematics = FixedTarget(energy * GeV, projectile, "N")
                if generator is None:
                    generator = getattr(chromo.models, name)(kinematics, seed=3)
                    for unstable in (111, 221, 3122):
                        generator.set_stable(unstable, False)
                generator.kinematics = kinematics
                events = []
                for event in generator(SAMPLES[name]):
                    final = event.final_state()
                    new = np.isin(np.abs(final.pid), SECONDARIES) & (final.en > 0.2)
                    # Elastic and quasi-elastic scattering makes nothing.
                    if new.sum() < (1 if projectile == 2212 else 2):
                        continue
                    kept = (np.abs(final.pid) < 10_000) & (final.en > 0.1)
                    events.append(
                        np.column_stack([final.pid, final.en, final.px, final.py, final.pz])[kept]
                    )
                key = f"{projectile}_{energy:.6g}"
                tables[key] = np.concatenate(events)
                tables[f"{key}_ends"] = np.cumsum([len(event) for event in events])
        np.savez(folder / f"{name}.npz", **tables)


def read(folder):
    """Return the interactions by projectile and energy, and the energies of each projectile."""
    samples = {projectile: {} for projectile in PROJECTILES}
    for name in SAMPLES:
        with np.load(folder / f"{name}.npz") as file:
            for key in file.files:
                if not key.endswith("_ends"):
                    projectile, energy = key.split("_")
                    ends = file[f"{key}_ends"][:-1]
                    samples[int(projectile)][float(energy)] = np.split(file[key], ends)
    for energy, events in samples[211].items():
        samples[321].setdefault(energy, events)
    return samples, {projectile: np.array(sorted(some)) for projectile, some in samples.items()}


def showers(folder, seed=1):
    """Print the light of protons within 120 m, as `shower_measurements.pool_light` does."""
    import shower_measurements as measure

    from gammalearn.simulation import decays, hadrons
    from gammalearn.simulation import stack as st
    from gammalearn.simulation.showers import develop

    kinds = {
        22: st.GAMMA, 11: st.ELECTRON, -11: st.POSITRON, 13: st.MUON_MINUS, -13: st.MUON_PLUS,
        -211: st.PION_MINUS, 211: st.PION_PLUS, -321: st.KAON_MINUS, 321: st.KAON_PLUS,
        130: st.KAON_LONG, 310: decays.KAON_SHORT, 2112: st.NEUTRON, -2112: st.NEUTRON,
        2212: st.PROTON, -2212: st.PROTON, 111: decays.PION_ZERO, 221: decays.PION_ZERO,
        3122: st.NEUTRON, -3122: st.NEUTRON, 3112: st.NEUTRON, 3222: st.PROTON,
    }  # fmt: skip
    samples, energies = read(folder)
    photons = st.new_stack()

    def interact(kind, row, stack, n, rng):
        """Put the products of one of the interactions next to the energy on the stack."""
        energy, x, y, z, t, ux, uy, uz = row[1:]
        projectile = 2212 if kind >= st.NEUTRON else 211 if kind <= st.PION_PLUS else 321
        grid = energies[projectile]
        # Between two energies either is taken, by which is nearer; the rest is a scale.
        away = np.log(grid / energy) + 0.05 * math.log(10.0) * rng.uniform(-1.0, 1.0)
        at = grid[np.argmin(np.abs(away))]
        events = samples[projectile][at]
        a = np.cross((ux, uy, uz), (1.0, 0.0, 0.0))
        a /= np.linalg.norm(a)
        b = np.cross((ux, uy, uz), a)
        phi = 2.0 * math.pi * rng.random()
        a, b = math.cos(phi) * a + math.sin(phi) * b, math.cos(phi) * b - math.sin(phi) * a
        for number, part, px, py, pz in events[rng.integers(len(events))]:
            made = kinds.get(int(number))
            if made is None or pz < 0.0:
                continue
            if kind == st.NEUTRON and made >= st.NEUTRON and made <= st.PROTON:
                made = st.NEUTRON + st.PROTON - made
            part *= energy / at
            along = part * part - decays.MASS[made] ** 2 - px * px - py * py
            momentum = px * a + py * b + math.sqrt(max(along, 0.0)) * np.array((ux, uy, uz))
            size = np.linalg.norm(momentum)
            if part <= decays.MASS[made] or size == 0.0:
                continue
            put = decays.decay if made == decays.KAON_SHORT else decays.release
            n, _ = put(stack, n, made, part, x, y, z, t, *(momentum / size), rng)
        return n

    def follow(site, light, stack, n, rng):
        """What `gammalearn.simulation.showers.develop` does, with these interactions."""
        light.wait[0] = rng.exponential()
        while n > 0:
            n -= 1
            row = stack[n].copy()
            kind = int(row[st.KIND])
            if kind <= st.POSITRON:
                photons[0] = row
                develop(site, light, photons, 1, rng)
                continue
            fate = hadrons.fly(site, light, row, rng)
            if fate == hadrons.INTERACTS:
                n = interact(kind, row, stack, n, rng)
            elif fate == hadrons.DECAYS:
                n, _ = decays.decay(stack, n, kind, *row[1:], rng)

    parametric = measure.develop
    for energy, n_showers in SHOWERS.items():
        for name, measure.develop in (("models", follow), ("parametric", parametric)):
            light = measure.pool_light(energy, n_showers, seed, measure.particles.PROTON)
            error = light.std() / math.sqrt(n_showers)
            print(
                f"{energy} GeV, {name}: {light.mean():.3f} ± {error:.3f} photons per m², "
                f"median {np.median(light):.3f}",
                flush=True,
            )


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("sample", "showers"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    {"sample": sample, "showers": showers}[options.step](options.folder)


if __name__ == "__main__":
    main()
