"""DL2 files with known truth and known errors, written with ctapipe alone."""

from pathlib import Path

import astropy.units as u
import matplotlib
import numpy as np
import pytest
import tables
from astropy.coordinates import EarthLocation
from astropy.table import QTable, Table
from ctapipe.containers import CoordinateFrameType
from ctapipe.io import write_table

from ..small_subarray import small_subarray

matplotlib.use("Agg")

PRIMARY_IDS = {"gamma": 0, "electron": 1, "proton": 101, "iron": 5626}
N_TELESCOPES = 4
POINTING_ALT, POINTING_AZ = 70.0, 180.0
SITE = EarthLocation(lon=-17.89 * u.deg, lat=28.76 * u.deg, height=2158 * u.m)


def make_truth(n_events: int, seed: int = 0, particle: str = "gamma") -> QTable:
    """Showers between 0.05 and 20 TeV from within 2 deg of the pointing, flat in log energy."""
    random = np.random.default_rng(seed)
    offset, angle = (
        2 * np.sqrt(random.uniform(size=n_events)),
        random.uniform(0, 2 * np.pi, n_events),
    )
    truth = QTable()
    truth["obs_id"] = np.full(n_events, 1 + PRIMARY_IDS[particle])
    truth["event_id"] = np.arange(n_events)
    truth["true_energy"] = 10 ** random.uniform(np.log10(0.05), np.log10(20), n_events) * u.TeV
    truth["true_alt"] = (POINTING_ALT + offset * np.sin(angle)) * u.deg
    across = offset * np.cos(angle) / np.cos(np.radians(POINTING_ALT))
    truth["true_az"] = (POINTING_AZ + across) % 360 * u.deg
    truth["particle"] = np.full(n_events, particle, dtype="U8")
    return truth


def smear(truth: QTable, bias=0.0, energy=0.15, angle=0.1, seed=1) -> QTable:
    """Reconstructions of a truth.

    Energies have a Gaussian relative error around ``bias``, altitude and azimuth (on the sky)
    one of ``angle`` deg. Gammas have a gammaness that peaks at 1, others at 0.
    """
    random = np.random.default_rng(seed)
    n_events = len(truth)
    events = QTable(truth, copy=True)
    events["reco_energy"] = truth["true_energy"] * random.normal(1 + bias, energy, n_events)
    events["reco_alt"] = truth["true_alt"] + random.normal(0, angle, n_events) * u.deg
    across = random.normal(0, angle, n_events) * u.deg / np.cos(truth["true_alt"])
    events["reco_az"] = (truth["true_az"] + across) % (360 * u.deg)
    score = random.beta(5, 2, n_events)
    events["gammaness"] = np.where(truth["particle"] == "gamma", score, 1 - score)
    for quantity in ("energy", "direction", "particle_type"):
        events[f"{quantity}_is_valid"] = np.ones(n_events, dtype=bool)
    return events


#: Settings of a simulated run.
SIMULATION = {
    "n_showers": 1000,
    "shower_reuse": 10,
    "spectral_index": -2.0,
    "energy_range_min": 0.05,
    "energy_range_max": 20.0,
    "max_scatter_range": 500.0,
    "min_viewcone_radius": 0.0,
    "max_viewcone_radius": 2.0,
}
SIMULATION_UNITS = {
    "energy_range_min": "TeV",
    "energy_range_max": "TeV",
    "max_scatter_range": "m",
    "min_viewcone_radius": "deg",
    "max_viewcone_radius": "deg",
}

#: Quantity → group in the file, and column here → name behind the algorithm's.
GROUPS = {
    "energy": ("energy", {"reco_energy": "energy"}),
    "direction": ("geometry", {"reco_alt": "alt", "reco_az": "az"}),
    "particle_type": ("particle_type", {"gammaness": "prediction"}),
}


#: Quantity → column here → name in the file, of what only some files have.
OPTIONAL = {
    "energy": {"energy_uncertainty": "energy_uncert"},
    "direction": {
        "direction_uncertainty": "ang_distance_uncert",
        "reco_core_x": "core_x",
        "reco_core_y": "core_y",
        "core_x_uncertainty": "core_uncert_x",
        "core_y_uncertainty": "core_uncert_y",
    },
}


def write_dl2(
    path: Path,
    events: QTable,
    algorithm: str | dict[str, str] = "Test",
    level: str = "subarray",
    quantities=tuple(GROUPS),
    simulated: bool = True,
    groups: dict[str, str] | None = None,
    runs: dict[str, object] | None = None,
) -> Path:
    """Write events as a DL2 file of ctapipe's data model.

    ``runs`` are settings of the simulation, see `SIMULATION`, of each run; with them the pointing
    stands in the file.

    At telescope level each event is one image, of the telescope in ``tel_id``; at subarray level
    events are of all telescopes, or of the first so many with a column ``multiplicity``.
    """
    n_events = len(events)
    keys = Table({name: np.asarray(events[name]) for name in ("obs_id", "event_id")})
    tel_ids = (
        np.asarray(events["tel_id"]) if "tel_id" in events.colnames else np.ones(n_events, int)
    )
    triggered = np.arange(1, N_TELESCOPES + 1)[None, :] == tel_ids[:, None]
    if level == "subarray":
        triggered = np.ones((n_events, N_TELESCOPES), dtype=bool)

    # Their effective focal length is unknown.
    small_subarray(N_TELESCOPES, SITE, effective_focal_length=np.nan).to_hdf(path)
    with tables.open_file(path, "a") as file:
        trigger = keys.copy()
        trigger["time"] = np.arange(n_events, dtype=float)
        trigger["tels_with_trigger"] = triggered
        trigger["event_type"] = np.full(n_events, 32)
        # Images of one shower share its row in the subarray's tables.
        _, shower = np.unique(keys.as_array(), return_index=True)
        shower = np.sort(shower)
        write_table(trigger[shower], file, "/dl1/event/subarray/trigger")
        images = keys.copy()
        images["tel_id"] = tel_ids.astype(np.int16)
        images["time"] = np.arange(n_events, dtype=float)
        write_table(images, file, "/dl1/event/telescope/trigger")
        if simulated:
            truth = keys.copy()
            for name in ("true_energy", "true_alt", "true_az", "true_core_x", "true_core_y"):
                if name in events.colnames:
                    truth[name] = events[name]
            truth["true_shower_primary_id"] = [PRIMARY_IDS[p] for p in events["particle"]]
            write_table(truth[shower], file, "/simulation/event/subarray/shower")
        obs_ids = np.unique(keys["obs_id"])
        if runs is not None:
            described = Table({"obs_id": runs.get("obs_id", obs_ids)})
            for name, value in {**SIMULATION, **runs}.items():
                if name != "obs_id":
                    described[name] = [value] * len(described)
            for name, unit in SIMULATION_UNITS.items():
                described[name].unit = unit
            write_table(described, file, "/configuration/simulation/run")
            block = Table({"obs_id": described["obs_id"]})
            block["subarray_pointing_lon"] = np.full(len(block), POINTING_AZ) * u.deg
            block["subarray_pointing_lat"] = np.full(len(block), POINTING_ALT) * u.deg
            block["subarray_pointing_frame"] = CoordinateFrameType.ALTAZ.value
            write_table(block, file, "/configuration/observation/observation_block")
        for tel_id in range(1, N_TELESCOPES + 1):
            pointing = Table({"obs_id": obs_ids, "tel_id": np.full(len(obs_ids), tel_id)})
            pointing["telescope_pointing_azimuth"] = np.full(len(obs_ids), POINTING_AZ) * u.deg
            pointing["telescope_pointing_altitude"] = np.full(len(obs_ids), POINTING_ALT) * u.deg
            write_table(pointing, file, f"/configuration/telescope/pointing/tel_{tel_id:03d}")

        for quantity in quantities:
            group, columns = GROUPS[quantity]
            group = (groups or {}).get(quantity, group)
            name = algorithm if isinstance(algorithm, str) else algorithm[quantity]
            prefix = name if level == "subarray" else f"{name}_tel"
            result = keys.copy()
            if level == "telescope":
                result["tel_id"] = tel_ids.astype(np.int16)
            optional = OPTIONAL.get(quantity, {})
            present = {name: optional[name] for name in set(optional) & set(events.colnames)}
            for column, suffix in {**columns, **present}.items():
                result[f"{prefix}_{suffix}"] = events[column]
            result[f"{prefix}_is_valid"] = events[f"{quantity}_is_valid"]
            if level == "subarray":
                used = triggered
                if "multiplicity" in events.colnames:
                    used = np.arange(N_TELESCOPES) < np.asarray(events["multiplicity"])[:, None]
                result[f"{prefix}_telescopes"] = used
                write_table(result, file, f"/dl2/event/subarray/{group}/{name}")
                continue
            for tel_id in np.unique(tel_ids):
                where = f"/dl2/event/telescope/{group}/{name}/tel_{tel_id:03d}"
                write_table(result[tel_ids == tel_id], file, where)
    return path


# Test modules are not a package and cannot import from here: fixtures hand the functions over.


@pytest.fixture(name="make_truth", scope="session")
def _make_truth():
    return make_truth


@pytest.fixture(name="smear", scope="session")
def _smear():
    return smear


@pytest.fixture(name="write_dl2", scope="session")
def _write_dl2():
    return write_dl2
