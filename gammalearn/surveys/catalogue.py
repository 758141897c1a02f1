"""Catalogue: objects of a survey with ragged observations, cut-outs and truth, in one HDF5 file.

========================= =====================================================================
``/objects``              a row for each object: ``object_id``, ``ra`` and ``dec`` (deg), ``ebv``
                          (E(B-V) of the Milky Way), ``host_redshift`` and its error,
                          ``confirmed`` (by a spectrum), ``first`` and ``n_observations``
``/truth``                the same rows: ``type`` (empty if unknown), ``redshift``, and of strong
                          lenses ``einstein_radius`` (arcsec) and ``arc_signal_to_noise``; files
                          may lack the last two
``/observations``         ``time`` (MJD, d), ``band`` (place in the list of bands), ``flux`` and
                          ``flux_error`` (zero point 27.5 mag), those of an object together
``/cutouts``              optional, shape (n_objects, n_bands, n_pixels, n_pixels), flux in a
                          pixel (zero point 27.5 mag), NaN where a band is missing
========================= =====================================================================

The attributes of the root say what it is: ``GAMMALEARN_CATALOGUE`` (version), ``bands``, ``survey``
and ``pixel_scale`` (arcsec).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tables
from astropy.table import Table

from ..errors import GammaLearnError, InputFileError
from ..io.files import open_hdf5, reading
from ..io.isolated import read_isolated
from ..io.writing import write_whole
from .cutouts import ArrayCutouts, Cutouts, JoinedCutouts, StoredCutouts, write_cutouts

__all__ = [
    "WAVELENGTH",
    "ZERO_POINT",
    "Catalogue",
    "is_catalogue",
    "join_catalogues",
    "read_catalogue",
    "write_catalogue",
]

#: Magnitude of a flux of 1, as SNANA's FLUXCAL has it.
ZERO_POINT = 27.5

#: Effective wavelengths (nm) of the bands that are known; DES and LSST differ by less than 10 nm
#: but in z (Abbott et al. 2018, Ivezic et al. 2019).
WAVELENGTH = {"u": 368.0, "g": 480.0, "r": 622.0, "i": 755.0, "z": 869.0, "y": 971.0}

#: What no observation and no galaxy has: times (MJD, d) after the year 4500, fluxes brighter than
#: -10 mag, redshifts before the first stars, and a Milky Way (E(B-V), mag) that lets nothing pass.
MOST_TIME, MOST_FLUX, MOST_REDSHIFT, MOST_REDDENING = 1e6, 1e15, 20.0, 10.0

#: Einstein radius (arcsec) that no lens has, clusters of galaxies included; signal to noise that
#: nothing has: that of the brightest star with an error of one photon.
MOST_EINSTEIN_RADIUS, MOST_SIGNIFICANCE = 600.0, 1e12

VERSION = 1
MARK = "GAMMALEARN_CATALOGUE"

#: Columns of the tables, with the value of what is not known.
OBJECT_COLUMNS = {
    "ra": np.nan, "dec": np.nan, "ebv": 0.0, "host_redshift": np.nan,
    "host_redshift_error": np.nan, "confirmed": False,
}  # fmt: skip
TRUTH_COLUMNS = {
    "type": "", "redshift": np.nan, "einstein_radius": np.nan, "arc_signal_to_noise": np.nan,
}  # fmt: skip


@dataclass(frozen=True)
class Catalogue:
    """Objects of a survey, and what was observed of them.

    Attributes
    ----------
    objects : astropy.table.Table
        A row for each object: ``object_id`` and the columns of `OBJECT_COLUMNS` and
        `TRUTH_COLUMNS`.
    bands : tuple of str
    start : ndarray of int, shape (n_objects + 1,)
        Where the observations of each object begin; the last is their number.
    time : ndarray of float64, shape (n_observations,)
        MJD in d, ascending for each object.
    band : ndarray of int, shape (n_observations,)
        Place in ``bands``.
    flux, flux_error : ndarray of float32, shape (n_observations,)
        With the zero point `ZERO_POINT`.
    cutouts : Cutouts, optional
        Shape (n_objects, n_bands, n_pixels, n_pixels), NaN where a band is missing.
    pixel_scale : float
        Of the cut-outs, in arcsec; NaN without any.
    survey : str
    faults : dict of str to int
        What was put right or left out as it was read, and how often.
    """

    objects: Table
    bands: tuple[str, ...]
    start: np.ndarray
    time: np.ndarray
    band: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    cutouts: Cutouts | None = None
    pixel_scale: float = np.nan
    survey: str = ""
    faults: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.objects)

    @classmethod
    def build(
        cls,
        objects: Table,
        bands: Sequence[str],
        of: np.ndarray,
        time: np.ndarray,
        band: np.ndarray,
        flux: np.ndarray,
        flux_error: np.ndarray,
        **others: Any,
    ) -> "Catalogue":
        """A catalogue of observations in any order; what is put right or left out is counted.

        Observations without a flux, time and positive error that can be are left out, as are
        repeated ones (same object, time and band, of which the first stays) and objects without
        observations. Redshifts that cannot be count as unknown.

        Parameters
        ----------
        objects : Table
            With ``object_id``; columns that are missing get the values of what is not known.
        bands : sequence of str
        of : ndarray of int, shape (n_observations,)
            Row of each observation's object.
        time, band, flux, flux_error : ndarray, shape (n_observations,)
        **others
            Further attributes.

        Raises
        ------
        InputFileError
            If two objects have one name, or one has none.
        """
        objects = _complete(objects)
        if isinstance(others.get("cutouts"), np.ndarray):
            others["cutouts"] = ArrayCutouts(others["cutouts"])
        names, counts = np.unique(objects["object_id"], return_counts=True)
        if len(names) < len(objects):
            raise InputFileError(
                f"Two objects of the catalogue have the name '{names[counts > 1][0]}'; give each "
                "another object_id."
            )
        if "" in names:
            raise InputFileError("An object of the catalogue has no name; give it an object_id.")
        faults: dict[str, int] = {}
        _count(faults, "redshifts that cannot be (taken as unknown)", _forget_redshifts(objects))
        _count(faults, "E(B-V) that cannot be (taken as 0)", _forget_reddening(objects))
        _count(faults, "truths of arcs that cannot be (taken as unknown)", _forget_arcs(objects))
        # NaN is not smaller than anything.
        usable = (np.abs(time) < MOST_TIME) & (np.abs(flux) < MOST_FLUX)
        usable &= (flux_error > 0) & (flux_error < MOST_FLUX)
        _count(faults, "observations without flux, time or error (left out)", (~usable).sum())
        row, t = of[usable], time[usable]
        unsorted = np.unique(row[1:][(np.diff(t) < 0) & (np.diff(row) == 0)])
        _count(faults, "objects with observations out of order (sorted)", len(unsorted))
        order = np.flatnonzero(usable)[np.lexsort((band[usable], t, row))]
        same = np.ones(len(order), dtype=bool)
        same[:1] = False
        for values in (of, time, band):
            same[1:] &= np.diff(values[order]) == 0
        _count(faults, "observations of one band at one time (the first is used)", same.sum())
        order = order[~same]
        number = np.bincount(of[order], minlength=len(objects))
        has_some = number > 0
        if others.get("cutouts") is None:
            _count(faults, "objects without observations (left out)", (~has_some).sum())
            objects, number = objects[has_some], number[has_some]
        return cls(
            objects,
            tuple(bands),
            np.concatenate([[0], np.cumsum(number)]),
            np.asarray(time, dtype=np.float64)[order],
            np.asarray(band, dtype=np.int16)[order],
            np.asarray(flux, dtype=np.float32)[order],
            np.asarray(flux_error, dtype=np.float32)[order],
            faults=faults,
            **others,
        )

    def select(self, rows: np.ndarray) -> "Catalogue":
        """Some of the objects, in the order of ``rows`` (numbers, or a mask)."""
        rows = np.arange(len(self))[rows]
        number = np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(number)])
        taken = np.arange(start[-1]) + np.repeat(self.start[rows] - start[:-1], number)
        return replace(
            self,
            objects=self.objects[rows],
            start=start,
            time=self.time[taken],
            band=self.band[taken],
            flux=self.flux[taken],
            flux_error=self.flux_error[taken],
            cutouts=None if self.cutouts is None else self.cutouts[rows],
        )

    def with_bands(self, bands: Sequence[str], what: str) -> "Catalogue":
        """The same with bands numbered as in another list.

        Raises
        ------
        InputFileError
            If there are observations in a band that is not in the list.
        """
        used = [self.bands[number] for number in np.unique(self.band)]
        unknown = [name for name in used if name not in bands]
        if unknown:
            raise InputFileError(
                f"{what} has observations in the band '{unknown[0]}', and the network was made for "
                f"{', '.join(bands)}; leave them out, or train a network with them."
            )
        place = np.array([bands.index(n) if n in bands else -1 for n in self.bands], dtype=np.int16)
        return replace(self, bands=tuple(bands), band=place[self.band])


def _complete(objects: Table) -> Table:
    objects = objects.copy()
    for name, unknown in {**OBJECT_COLUMNS, **TRUTH_COLUMNS}.items():
        if name not in objects.colnames:
            objects[name] = np.full(len(objects), unknown)
    return objects


def _forget_redshifts(objects: Table) -> int:
    """Take redshifts that cannot be as unknown, and say how many there are."""
    names = ("host_redshift", "redshift")
    return sum(_forget_positive(objects, name, MOST_REDSHIFT) for name in names)


def _forget_arcs(objects: Table) -> int:
    """Take Einstein radii and signals that cannot be as unknown, and say how many there are."""
    return _forget_positive(objects, "einstein_radius", MOST_EINSTEIN_RADIUS) + _forget_positive(
        objects, "arc_signal_to_noise", MOST_SIGNIFICANCE
    )


def _forget_positive(objects: Table, name: str, most: float) -> int:
    """Take what is not between 0 and the most as unknown, and say how many there are."""
    values = np.array(objects[name], dtype=float)
    wrong = ~np.isnan(values) & ~((values > 0) & (values < most))
    objects[name] = np.where(wrong, np.nan, values)
    return int(wrong.sum())


def _forget_reddening(objects: Table) -> int:
    """Take reddenings that cannot be as none, and say how many there are."""
    ebv = np.array(objects["ebv"], dtype=float)
    wrong = ~((ebv >= 0) & (ebv < MOST_REDDENING))
    objects["ebv"] = np.where(wrong, 0.0, ebv)
    return int(wrong.sum())


def _count(faults: dict[str, int], what: str, number: int) -> None:
    if number:
        faults[what] = int(number)


def join_catalogues(parts: Sequence[Catalogue]) -> Catalogue:
    """One catalogue of several, with the bands of all.

    Raises
    ------
    InputFileError
        If two objects have one name, or only some catalogues have cut-outs or they differ in size.
    """
    if len(parts) == 1:
        return parts[0]
    cutouts = [part.cutouts for part in parts if part.cutouts is not None]
    if cutouts and (len(cutouts) < len(parts) or len({c.shape[1:] for c in cutouts}) > 1):
        raise InputFileError(
            "The catalogues have cut-outs of several sizes, or none; give those that are alike."
        )
    if cutouts and len({part.bands for part in parts}) > 1:
        raise InputFileError(
            "The catalogues have cut-outs in several bands, or in another order of bands; give "
            "those that are alike."
        )
    known = [] if cutouts else list(WAVELENGTH)
    known += [band for part in parts for band in part.bands]
    bands = [b for b in dict.fromkeys(known) if any(b in part.bands for part in parts)]
    moved = [part.with_bands(bands, "A catalogue") for part in parts]
    first = np.cumsum([0, *(len(part) for part in parts)])
    of = [
        np.repeat(np.arange(len(p)), np.diff(p.start)) + n
        for p, n in zip(parts, first, strict=False)
    ]
    columns = ["object_id", *OBJECT_COLUMNS, *TRUTH_COLUMNS]
    joined = Catalogue.build(
        Table(
            {name: np.concatenate([np.asarray(p.objects[name]) for p in parts]) for name in columns}
        ),
        bands,
        np.concatenate(of),
        *(
            np.concatenate([getattr(part, name) for part in moved])
            for name in ("time", "band", "flux", "flux_error")
        ),
        cutouts=JoinedCutouts.of(cutouts) if cutouts else None,
        pixel_scale=parts[0].pixel_scale,
        survey=", ".join(dict.fromkeys(part.survey for part in parts if part.survey)),
    )
    faults: dict[str, int] = {}
    for part in [*parts, joined]:
        for what, number in part.faults.items():
            faults[what] = faults.get(what, 0) + number
    return replace(joined, faults=faults)


def is_catalogue(path: Path) -> bool:
    """Whether a file says that it is a catalogue."""
    if not path.is_file() or not tables.is_hdf5_file(str(path)):
        return False
    try:
        # In a child process: damage may crash the HDF5 library.
        return read_isolated(_is_marked, path)
    except GammaLearnError:
        return False  # What reads it says what is wrong.


def _is_marked(path: Path) -> bool:
    with open_hdf5(path) as file, reading(path, "the root's attributes"):
        return MARK in file.root._v_attrs


def write_catalogue(
    catalogue: Catalogue, path: Path, attributes: Mapping[str, str] | None = None
) -> None:
    """Write a catalogue, beside the name first.

    Parameters
    ----------
    catalogue : Catalogue
    path : Path
    attributes : mapping of str to str, optional
        What else is said of it.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_whole(Path(path), lambda part: _write(catalogue, part, attributes or {}))


def _write(catalogue: Catalogue, path: Path, attributes: Mapping[str, str]) -> None:
    objects = catalogue.objects
    number = np.diff(catalogue.start)
    # With checksums: other values by damage are then found as they are read.
    filters = tables.Filters(5, "blosc:zstd", fletcher32=True)
    with tables.open_file(path, "w", filters=filters) as file:
        for name, value in (
            (MARK, VERSION),
            ("bands", ",".join(catalogue.bands)),
            ("survey", catalogue.survey),
            ("pixel_scale", float(catalogue.pixel_scale)),
            *attributes.items(),
        ):
            file.root._v_attrs[name] = value
        columns = {"object_id": _bytes(objects["object_id"])}
        columns |= {name: np.asarray(objects[name]) for name in OBJECT_COLUMNS}
        columns |= {"first": catalogue.start[:-1], "n_observations": number}
        file.create_table("/", "objects", Table(columns).as_array())
        truth = {name: np.asarray(objects[name]) for name in TRUTH_COLUMNS}
        truth["type"] = _bytes(objects["type"])
        file.create_table("/", "truth", Table(truth).as_array())
        observations = {n: getattr(catalogue, n) for n in ("time", "band", "flux", "flux_error")}
        file.create_table("/", "observations", Table(observations).as_array())
        if catalogue.cutouts is not None:
            write_cutouts(catalogue.cutouts, file)


def _bytes(texts: Iterable[object]) -> np.ndarray:
    encoded = np.array([str(text).encode() for text in texts], dtype=bytes)
    return encoded if encoded.dtype.itemsize else encoded.astype("S1")


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue.

    Raises
    ------
    InputFileError
        If the file is missing, damaged, no catalogue, or of another version.
    """
    path = Path(path)
    with open_hdf5(path) as file, reading(path, "the catalogue"):
        attributes = file.root._v_attrs
        if MARK not in attributes:
            raise InputFileError(
                f"'{path}' is no catalogue of a survey; give one of GammaLearn, or files of SNANA."
            )
        if int(attributes[MARK]) > VERSION:
            raise InputFileError(
                f"'{path}' is a catalogue of version {attributes[MARK]}, and this GammaLearn reads "
                f"up to {VERSION}; install a newer one."
            )
        objects, truth = file.root.objects.read(), file.root.truth.read()
        observed = file.root.observations.read()
        bands = str(attributes["bands"]).split(",")
        table = Table({"object_id": np.char.decode(objects["object_id"])})
        for name in OBJECT_COLUMNS:
            table[name] = objects[name]
        for name in TRUTH_COLUMNS:
            # Earlier files have less; what is missing is not known.
            if name in truth.dtype.names or name in ("type", "redshift"):
                table[name] = truth[name]
        table["type"] = np.char.decode(truth["type"])
        number = objects["n_observations"].astype(int)
        if (number < 0).any() or number.sum() != len(observed):
            raise InputFileError(
                f"'{path}' is damaged: its objects have {number.sum()} observations, and there are "
                f"{len(observed)}."
            )
        band = observed["band"].astype(int)
        if len(band) and not 0 <= band.min() <= band.max() < len(bands):
            raise InputFileError(
                f"'{path}' is damaged: it has the bands {', '.join(bands)}, and observations in "
                "others."
            )
        cutouts = None
        if "cutouts" in file.root:
            cutouts = StoredCutouts.of(file, path, len(objects), len(bands))
        return Catalogue.build(
            table,
            bands,
            np.repeat(np.arange(len(objects)), number),
            observed["time"],
            band,
            observed["flux"],
            observed["flux_error"],
            cutouts=cutouts,
            pixel_scale=float(attributes["pixel_scale"]),
            survey=str(attributes["survey"]),
        )
