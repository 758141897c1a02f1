"""An array of small cameras, made with ctapipe alone, for files of tables."""

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation
from ctapipe.instrument import (
    CameraDescription,
    CameraGeometry,
    CameraReadout,
    OpticsDescription,
    ReflectorShape,
    SizeType,
    SubarrayDescription,
    TelescopeDescription,
)


def small_subarray(
    n_telescopes: int, location: EarthLocation, effective_focal_length: float = 29.3
) -> SubarrayDescription:
    """Telescopes 1, 2, ... of an LST's optics (focal length in m), each with 25 pixels."""
    geometry = CameraGeometry.make_rectangular(5, 5)
    readout = CameraReadout(
        name="test",
        sampling_rate=u.Quantity(1, u.GHz),
        reference_pulse_shape=np.array([[1.0, 2.0, 1.0]]),
        reference_pulse_sample_width=u.Quantity(1, u.ns),
        n_channels=1,
        n_pixels=25,
        n_samples=30,
    )
    optics = OpticsDescription(
        name="LST",
        size_type=SizeType.LST,
        reflector_shape=ReflectorShape.PARABOLIC,
        n_mirrors=1,
        n_mirror_tiles=198,
        mirror_area=u.Quantity(386, u.m**2),
        equivalent_focal_length=u.Quantity(28, u.m),
        effective_focal_length=u.Quantity(effective_focal_length, u.m),
    )
    camera = CameraDescription("test", geometry, readout)
    telescope = TelescopeDescription(name="LST", optics=optics, camera=camera)
    ids = range(1, n_telescopes + 1)
    return SubarrayDescription(
        name="test",
        tel_positions={i: [100.0 * i, 0.0, 0.0] * u.m for i in ids},
        tel_descriptions=dict.fromkeys(ids, telescope),
        reference_location=location,
    )
