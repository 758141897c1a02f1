"""Intact files for `fuzz.py` that are made once: observations, responses, supernovae.

They are as small as a command can use: a mock observation of some showers, a response by the
functions of pyirf that ctapipe calls, some dozens of simulated supernovae.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
import yaml
from astropy.io import fits
from astropy.table import QTable, Table
from pyirf.io import (
    create_aeff2d_hdu,
    create_background_2d_hdu,
    create_energy_dispersion_hdu,
    create_psf_table_hdu,
)

from gammalearn.surveys.catalogue import Catalogue, read_catalogue

__all__ = ["NETWORK", "Sources"]

NETWORK = "lst4-stereo"

#: A bright source for a moment.
OBSERVATION = {
    "duration": "1 s",
    "array": "lst4",
    "source": {"crab_units": 60, "energy": [0.5, 5], "scatter": 120},
    "proton": None,
    "helium": None,
    "electron": None,
    "pedestal_rate": 3,
    "run": 12,
}

#: A network for supernovae that has learned next to nothing.
SUPERNOVAE = {
    "survey": "supernovae",
    "simulation": [
        {"output": "train.h5", "n_objects": 40, "redshift_max": 0.5, "seed": 1},
        {"output": "catalogue.h5", "n_objects": 20, "redshift_max": 0.5, "seed": 2},
    ],
    "data": {"train": "train.h5", "test": "catalogue.h5", "redshifted_fraction": 0.3},
    "tasks": ["type_ia", "supernova_type"],
    "network": {"embedding": 16, "layers": 1},
    "training": {"epochs": 1, "batch_size": 16, "accelerator": "cpu"},
    "evaluation": {"n_bootstrap": 5, "baseline": False},
}

#: How SNANA numbers the types of supernovae.
TYPES = {"Ia": 1, "II": 2, "IIn": 2, "IIP": 2, "IIL": 2, "Ib": 3, "Ic": 3, "Ibc": 3}

#: Columns of an observation in SNANA's text.
COLUMNS = "MJD FLT FIELD FLUXCAL FLUXCALERR"


class Sources:
    """Files that are made where they are missing.

    Parameters
    ----------
    run : callable
        Runs a command of ``gammalearn``, given its words.
    folder : Path
    """

    def __init__(self, run: Callable[[Sequence[str]], None], folder: Path):
        self.run, self.folder = run, folder

    def observed(self) -> Path:
        """DL1 of a mock observation."""
        path = self.folder / "observed.dl1.h5"
        if not path.exists():
            settings = self._settings("observation", {**OBSERVATION, "output": str(path)})
            self.run(["simulate", "--observation", str(settings)])
        return path

    def observed_dl2(self) -> Path:
        """The same, reconstructed."""
        path = self.folder / "observed.dl2.h5"
        if not path.exists():
            self.run(["predict", NETWORK, str(self.observed()), "-o", str(self.folder)])
        return path

    def response(self) -> Path:
        """An instrument response, with the cuts in gammaness that belong to it."""
        path = self.folder / "response.fits"
        if not path.exists():
            true, reco = np.geomspace(0.05, 20, 7) * u.TeV, np.geomspace(0.05, 20, 5) * u.TeV
            offsets, migration = [0, 1, 2] * u.deg, np.geomspace(0.2, 5, 21)
            shape = len(true) - 1, 2
            area = np.full(shape, 1e5) * u.m**2
            dispersion = np.full((shape[0], 20, 2), 1 / (migration[-1] - migration[0]))
            psf, angles = np.ones((*shape, 10)) / u.sr, np.linspace(0, 0.5, 11) * u.deg
            background = np.full((len(reco) - 1, 2), 1e-3) / u.TeV / u.s / u.sr
            cuts = QTable({"low": reco[:-1], "high": reco[1:], "cut": np.full(4, 0.3)})
            fits.HDUList(
                [
                    fits.PrimaryHDU(),
                    create_aeff2d_hdu(area, true, offsets, point_like=False),
                    create_energy_dispersion_hdu(
                        dispersion, true, migration, offsets, point_like=False
                    ),
                    create_psf_table_hdu(psf, true, angles, offsets),
                    create_background_2d_hdu(background, reco, offsets),
                    fits.BinTableHDU(cuts, name="GH_CUTS"),
                ]
            ).writeto(path)
        return path

    def supernova_run(self) -> Path:
        """Folder of a trained network for supernovae; a catalogue is beside it."""
        path = self.folder / "supernovae"
        if not path.exists():
            settings = dict(SUPERNOVAE)
            settings["simulation"] = [
                {**one, "output": str(self.folder / one["output"])}
                for one in SUPERNOVAE["simulation"]
            ]
            for name in ("train", "test"):
                file = str(self.folder / SUPERNOVAE["data"][name])
                settings["data"] = {**settings["data"], name: file}
            self.run(["run", str(self._settings("supernovae", settings)), "-o", str(path), "-q"])
        return path

    def supernova_network(self) -> Path:
        """A checkpoint."""
        return self.supernova_run() / "checkpoints" / "best.ckpt"

    def catalogue(self) -> Path:
        """Some supernovae."""
        self.supernova_run()
        return self.folder / "catalogue.h5"

    def predictions(self, kind: str) -> Path:
        """The table of classified supernovae, as ``ecsv`` or ``fits``."""
        path = self.folder / kind / f"predictions.{kind}"
        if not path.exists():
            words = ["predict", str(self.supernova_network()), str(self.catalogue())]
            self.run([*words, "-o", str(path.parent), "--set", f"output.format={kind}"])
        return path

    def snana_text(self) -> Path:
        """A supernova in SNANA's text."""
        path = self.folder / "SN_000001.DAT"
        if not path.exists():
            write_text(read_catalogue(self.catalogue()), path)
        return path

    def snana_fits(self, which: str) -> Path:
        """The ``HEAD`` or the ``PHOT`` file of some supernovae, each with the other beside it."""
        folder = self.folder / "snana"
        if not folder.exists():
            folder.mkdir()
            write_fits(read_catalogue(self.catalogue()), folder)
        return folder / f"SIM_{which}.FITS"

    def _settings(self, name: str, settings: dict) -> Path:
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path


def write_text(catalogue: Catalogue, path: Path) -> None:
    """The first object in SNANA's text, as the SNPCC has it."""
    row = catalogue.objects[0]
    lines = [
        "SURVEY: LSST",
        "SNID: 1",
        "SNTYPE: -9",
        f"FILTERS: {''.join(catalogue.bands)}",
        f"RA: {row['ra']:.6f} deg",
        f"DECL: {row['dec']:.6f} deg",
        f"MWEBV: {row['ebv']:.4f} MW E(B-V)",
        f"HOST_GALAXY_PHOTO-Z: {row['host_redshift']:.4f} +- {row['host_redshift_error']:.4f}",
        f"SIM_COMMENT: SN Type = {row['type']} , MODEL = 1",
        f"SIM_REDSHIFT: {row['redshift']:.4f}",
        f"NOBS: {catalogue.start[1]}",
        f"VARLIST: {COLUMNS}",
    ]
    lines += [
        f"OBS: {catalogue.time[k]:.3f} {catalogue.bands[catalogue.band[k]]} NULL "
        f"{catalogue.flux[k]:.3e} {catalogue.flux_error[k]:.3e}"
        for k in range(catalogue.start[1])
    ]
    path.write_text("\n".join([*lines, "END:", ""]), encoding="ascii")


def write_fits(catalogue: Catalogue, folder: Path) -> None:
    """All objects in SNANA's FITS format, with a row that separates the light curves of two."""
    objects, start = catalogue.objects, catalogue.start
    places = np.arange(len(objects))
    head = {
        "SNID": [str(number) for number in places],
        "RA": objects["ra"],
        "DEC": objects["dec"],
        "MWEBV": objects["ebv"],
        "SNTYPE": np.where(objects["confirmed"], [TYPES[kind] for kind in objects["type"]], -9),
        "HOSTGAL_PHOTOZ": objects["host_redshift"],
        "HOSTGAL_PHOTOZ_ERR": objects["host_redshift_error"],
        "SIM_TYPE_INDEX": [TYPES[kind] for kind in objects["type"]],
        "SIM_REDSHIFT_CMB": objects["redshift"],
        # From 1 on; a separator follows each object.
        "PTROBS_MIN": start[:-1] + places + 1,
        "PTROBS_MAX": start[1:] + places,
    }
    bands = np.array(catalogue.bands)[catalogue.band]
    columns = {
        "MJD": (catalogue.time, -777.0),
        "BAND": (bands, "-"),
        "FLUXCAL": (catalogue.flux, 0.0),
        "FLUXCALERR": (catalogue.flux_error, 0.0),
    }
    phot = {name: np.insert(values, start[1:], end) for name, (values, end) in columns.items()}
    Table(phot).write(folder / "SIM_PHOT.FITS")
    with fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(Table(head))]) as file:
        file[0].header["SURVEY"] = "LSST"
        file.writeto(folder / "SIM_HEAD.FITS")
