"""Thresholds of the cleaning: those of ctapipe-quickstart, as ctapipe looks them up."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation
from ctapipe.coordinates import CameraFrame
from ctapipe.image import ImageProcessor
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
from traitlets.config import Config

from gammalearn.image.processing import image_processing, thresholds_of

#: Telescopes by size, name and camera, and their thresholds (p.e.): those of
#: ctapipe/resources/base_config.yaml, and 8 and 4 of telescopes that it leaves out.
THRESHOLDS = {
    ("LST", "LST", "LSTCam"): (8.5, 4.25),
    ("LST", "LSTN-design", "LSTN-design"): (8.5, 4.25),
    ("MST", "MST", "FlashCam"): (9.0, 4.5),
    ("MST", "MSTx-NectarCam", "MSTx-NectarCam"): (9.0, 4.5),
    ("MST", "HESS-1", "HESS-1U"): (8.0, 4.0),
    ("SST", "ASTRI", "CHEC"): (4.0, 2.0),
}


def telescope(size, name, camera):
    geometry = CameraGeometry.make_rectangular(2, 2)
    geometry = CameraGeometry(
        **{key: getattr(geometry, key) for key in ("pix_id", "pix_x", "pix_y", "pix_area")},
        name=camera,
        pix_type="square",
        frame=CameraFrame(focal_length=2 * u.m),
    )
    readout = CameraReadout(
        name=camera,
        sampling_rate=1 * u.GHz,
        reference_pulse_shape=np.ones((1, 1)),
        reference_pulse_sample_width=1 * u.ns,
        n_channels=1,
        n_pixels=4,
        n_samples=1,
    )
    optics = OpticsDescription(
        name=name,
        size_type=SizeType(size),
        n_mirrors=1,
        equivalent_focal_length=2 * u.m,
        effective_focal_length=2 * u.m,
        mirror_area=1 * u.m**2,
        n_mirror_tiles=1,
        reflector_shape=ReflectorShape.PARABOLIC,
    )
    return TelescopeDescription(
        name=name,
        optics=optics,
        camera=CameraDescription(name=camera, geometry=geometry, readout=readout),
    )


@pytest.mark.parametrize("kind", THRESHOLDS)
def test_are_those_of_the_type_of_telescope(kind):
    assert thresholds_of(telescope(*kind)) == THRESHOLDS[kind]


def test_are_those_that_ctapipe_finds_in_our_settings():
    telescopes = {i: telescope(*kind) for i, kind in enumerate(THRESHOLDS, 1)}
    subarray = SubarrayDescription(
        name="all",
        tel_positions=dict.fromkeys(telescopes, np.zeros(3) * u.m),
        tel_descriptions=telescopes,
        reference_location=EarthLocation(0, 0, 0),
    )
    processor = ImageProcessor(subarray, config=Config(image_processing(subarray)))
    for tel_id, found in telescopes.items():
        assert thresholds_of(found) == (
            processor.clean.picture_threshold_pe.tel[tel_id],
            processor.clean.boundary_threshold_pe.tel[tel_id],
        )
        assert processor.clean.min_picture_neighbors.tel[tel_id] == 2
        assert not processor.clean.keep_isolated_pixels.tel[tel_id]
    assert processor.check_image.criteria_names == ["enough_pixels", "enough_charge"]
