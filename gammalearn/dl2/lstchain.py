"""DL2 in lstchain's layout, of lstchain DL1 files: one table, a row an image.

The columns of DL1 stay; beside them stands what was reconstructed, by lstchain's names and in its
units. Images that were not reconstructed have NaN there; lstchain leaves their rows out.
"""

from collections.abc import Mapping

import astropy.units as u
import numpy as np
import tables
from astropy.coordinates import AltAz
from ctapipe.coordinates import CameraFrame
from ctapipe.instrument import FocalLengthKind, SubarrayDescription

from ..data.index.events import EventIndex
from ..io.lstchain_tables import DL2_EVENTS, IMAGES, PARAMETERS
from ..tasks import Columns
from .rows import in_rows

__all__ = ["add_events", "copy_dl1"]

#: lstchain's numbers of particles, which are CORSIKA's shower primaries of sim_telarray.
GAMMA, PROTON, UNKNOWN = 0, 101, -1


def copy_dl1(source: tables.File, target: tables.File, images: bool) -> None:
    """Copy all tables but those of parameters, which DL2 holds, and of images.

    Parameters
    ----------
    source, target : tables.File
    images : bool
        Copy the images too.
    """
    source.root._v_attrs._f_copy(target.root)
    for leaf in source.walk_nodes("/", "Leaf"):
        path = leaf._v_pathname
        if path == PARAMETERS or (path == IMAGES and not images):
            continue
        group = leaf._v_parent._v_pathname
        if group != "/" and group not in target:
            target.create_group(*group.rsplit("/", 1), createparents=True)
        leaf.copy(target.get_node(group or "/"))


def add_events(
    source: tables.File,
    target: tables.File,
    index: EventIndex,
    decoded: Mapping[str, Columns],
) -> None:
    """Write the table of events.

    Parameters
    ----------
    source, target : tables.File
        lstchain DL1, and the DL2 file.
    index : EventIndex
        Of single telescopes.
    decoded : mapping of str to Columns
        By kind, the columns of the index's events.
    """
    table = source.get_node(PARAMETERS)
    rows = table.read()
    row = np.full(len(rows), -1)
    for tel_id in np.unique(index.images["tel_id"]):
        mine = index.images[np.asarray(index.images["tel_id"]) == tel_id]
        row[np.flatnonzero(rows["tel_id"] == tel_id)[mine["row"]]] = mine["event"]
    values = {}
    for columns in decoded.values():
        for name, column in columns.items():
            values[name] = in_rows(column, row)
    new = _lstchain_columns(values, rows, _focal_lengths(source, rows["tel_id"]))
    description = [*rows.dtype.descr, *((name, column.dtype) for name, column in new.items())]
    events = np.empty(len(rows), dtype=description)
    for name in rows.dtype.names:
        events[name] = rows[name]
    for name, column in new.items():
        events[name] = column
    group, name = DL2_EVENTS.rsplit("/", 1)
    written = target.create_table(
        group, name, obj=events, filters=table.filters, createparents=True
    )
    # Units and descriptions of the columns of DL1, which come first.
    for attribute in table.attrs._f_list("user"):
        written.attrs[attribute] = table.attrs[attribute]


def _lstchain_columns(values: Columns, rows: np.ndarray, focal_length: u.Quantity) -> Columns:
    """The columns by lstchain's names: energies in TeV, angles in rad, lengths in m.

    A direction is also the point of the camera that it is seen at (src), and that point as seen
    from the image's centre of gravity (disp). The sign of disp, skewness and time gradient tells
    on which side of the image, along its axis, the source lies.
    """
    columns: Columns = {}
    if "energy" in values:
        energy = u.Quantity(values.pop("energy")).to_value(u.TeV)
        columns |= {"log_reco_energy": np.log10(energy), "reco_energy": energy}
    if "alt" in values:
        alt, az = u.Quantity(values.pop("alt")), u.Quantity(values.pop("az"))
        src_x, src_y = _in_camera(alt, az, rows, focal_length)
        dx, dy = src_x - rows["x"], src_y - rows["y"]
        along = dx * np.cos(rows["psi"]) + dy * np.sin(rows["psi"])
        columns |= {
            "reco_disp_norm": np.abs(along),
            "reco_disp_sign": np.sign(along),
            "reco_disp_dx": dx,
            "reco_disp_dy": dy,
            "reco_src_x": src_x,
            "reco_src_y": src_y,
            "signed_time_gradient": -np.sign(along) * rows["time_gradient"],
            "signed_skewness": -np.sign(along) * rows["skewness"],
            "reco_alt": alt.to_value(u.rad),
            "reco_az": az.to_value(u.rad),
        }
    if "prediction" in values:
        gammaness = np.asarray(values.pop("prediction"))
        kind = np.where(gammaness > 0.5, GAMMA, PROTON)
        columns |= {
            "gammaness": gammaness,
            "reco_type": np.where(np.isnan(gammaness), UNKNOWN, kind),
        }
    # What lstchain does not reconstruct.
    return columns | {f"reco_{name}": np.asarray(column) for name, column in values.items()}


def _in_camera(
    alt: u.Quantity, az: u.Quantity, rows: np.ndarray, focal_length: u.Quantity
) -> tuple[np.ndarray, np.ndarray]:
    """Where the directions are seen, in m."""
    # π/2 in single precision lies beyond the zenith.
    pointing_alt = np.clip(rows["alt_tel"].astype(np.float64), -np.pi / 2, np.pi / 2)
    pointing = AltAz(alt=pointing_alt * u.rad, az=rows["az_tel"].astype(np.float64) * u.rad)
    x, y = np.full((2, len(rows)), np.nan)
    seen = np.isfinite(alt) & np.isfinite(az)
    frame = CameraFrame(focal_length=focal_length[seen], telescope_pointing=pointing[seen])
    point = AltAz(alt=alt[seen], az=az[seen]).transform_to(frame)
    x[seen], y[seen] = point.x.to_value(u.m), point.y.to_value(u.m)
    return x, y


def _focal_lengths(source: tables.File, tel_id: np.ndarray) -> u.Quantity:
    """Focal length of each image's telescope: the effective one, as lstchain takes for DL2."""
    try:
        subarray = SubarrayDescription.from_hdf(source, FocalLengthKind.EFFECTIVE)
    except RuntimeError:
        subarray = SubarrayDescription.from_hdf(source, FocalLengthKind.EQUIVALENT)
    return u.Quantity(
        [subarray.tel[int(t)].camera.geometry.frame.focal_length for t in tel_id]
    ).reshape(len(tel_id))
