"""Telescope models: from a photon on the mirror to what the camera's electronics needs.

Figures of mirrors, dishes, readout, noise and triggers are those of CTAO's published models for
sim_telarray (Prod5, https://doi.org/10.5281/zenodo.6218687, and 6.0.0), rounded. Where these use
measured curves (reflectivity, window, photon detection, pulse shapes), representative points or a
formula stand for them, no copies: good to some ten per cent, which is also what one telescope
differs by from another, or in a year.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import astropy.units as u
import numpy as np
from ctapipe.instrument import (
    CameraDescription,
    CameraGeometry,
    CameraReadout,
    OpticsDescription,
    ReflectorShape,
    SizeType,
    TelescopeDescription,
)
from numpy.typing import ArrayLike

from .cameras import flashcam, lstcam, nectarcam

__all__ = ["TELESCOPE_TYPES", "TelescopeModel", "telescope_model"]

#: Speed of light in vacuum (m/ns).
SPEED_OF_LIGHT = 0.299792458

#: Wavelengths (nm) of the efficiencies.
WAVELENGTH = np.arange(250.0, 701.0, 5.0)

#: Clean mirrors of aluminium under SiO2 and HfO2: points (nm) and reflectivity. More than 85 % are
#: required from 300 to 550 nm (technology in Förster et al. 2013, arXiv:1307.4563).
REFLECTIVITY = (
    (250, 300, 350, 400, 450, 500, 550, 600, 700),
    (0.75, 0.86, 0.90, 0.92, 0.91, 0.89, 0.88, 0.87, 0.83),
)

#: Acrylic window in front of the pixels: it ends the spectrum below 300 nm.
WINDOW = (
    (250, 280, 290, 300, 310, 320, 340, 360, 400, 700),
    (0.0, 0.0, 0.10, 0.35, 0.65, 0.80, 0.89, 0.91, 0.92, 0.92),
)

#: Photoelectrons counted per photon on a photomultiplier with super-bialkali cathode: quantum
#: efficiency, some 42 % at its best, times 95 % of collection (Toyama et al. 2013,
#: arXiv:1307.5463; Saito et al. 2025, arXiv:2502.02045).
PHOTON_DETECTION = (
    (250, 270, 280, 290, 300, 320, 350, 375, 400, 425, 450, 475)
    + (500, 525, 550, 575, 600, 625, 650, 675, 700),
    (0.02, 0.10, 0.17, 0.24, 0.29, 0.355, 0.40, 0.395, 0.37, 0.34, 0.30, 0.255)
    + (0.205, 0.15, 0.11, 0.08, 0.058, 0.04, 0.025, 0.013, 0.006),
)

#: What the light passes one after the other.
CURVES = (REFLECTIVITY, WINDOW, PHOTON_DETECTION)

#: Light guides with the gaps between them, over the angles under which a pixel sees the mirror.
LIGHT_GUIDE = 0.90

#: Step (ns) of the pulse shapes.
PULSE_STEP = 0.1


@dataclass(frozen=True, eq=False)
class TelescopeModel:
    """How one type of telescope turns photons into signals.

    Parameters
    ----------
    name : {"LST", "MST_NectarCam", "MST_FlashCam"}
    description : ctapipe.instrument.TelescopeDescription
        Optics, camera geometry (in the camera frame, m) and readout.
    mirror_radius : float
        Radius in m of the disc that collects the light; its area is the mirror area. What the
        camera and its frame shade is part of the efficiency.
    focal_length : float
        Effective focal length in m: position in the camera = focal_length * tan(angle).
    wavelength : ndarray, shape (n,)
        Wavelengths in nm of the efficiency.
    efficiency : ndarray, shape (n,)
        Photoelectrons per photon that falls on the mirror.
    psf_on_axis, psf_off_axis : float
        Sigma of the Gaussian of the point spread (each direction): on axis in rad, and what adds
        (in quadrature) in rad per rad off axis; see `psf`.
    dish_radius : float
        Radius in m of the sphere that the mirror tiles stand on, or 0 where they stand on an
        isochronous parabola; see `delay`.
    nsb_rate : float
        Photoelectrons of the night sky, p.e./ns/pixel.
    pulse : ndarray, shape (n_pulse,)
        What the electronics makes of one photoelectron, in p.e./ns, with unit integral
        (sum(pulse) * pulse_step = 1). Waveforms are AC coupled: the night sky has mean zero. Their
        samples are in p.e., this value times the length of a sample, so that the samples of a
        pulse add up to its charge.
    pulse_step : float
        Step of `pulse` in ns.
    pulse_peak : float
        Time in ns of the maximum of `pulse` after its first entry.
    sampling : float
        Samples per ns.
    n_samples : int
        Samples of the readout window.
    noise : float
        Rms of the electronic noise of one sample, in the unit of the pulse (p.e./ns).
    spe_sigma : float
        Relative standard deviation of the charge of one photoelectron.
    transit_time_spread : float
        Standard deviation in ns of the time that a photomultiplier takes.
    trigger_threshold : float
        Charge in p.e., above the mean of the night sky, that the waveforms of a pixel and its
        neighbours must add up to within `trigger_window`.
    trigger_window : float
        Width in ns of the coincidence.
    trigger_neighbours : int
        Rings of neighbours summed with the pixel: 1 is the seven pixels of a hexagon.
    trigger_sample : int
        Sample of the readout window at which the trigger time lies.
    window_width, window_shift : int
        Samples of the charge window, and how many of them come before the peak; for FlashCam
        finer samples, see ctapipe's FlashCamExtractor.
    """

    name: str
    description: TelescopeDescription
    mirror_radius: float
    focal_length: float
    wavelength: np.ndarray
    efficiency: np.ndarray
    psf_on_axis: float
    psf_off_axis: float
    dish_radius: float
    nsb_rate: float
    pulse: np.ndarray
    pulse_step: float
    pulse_peak: float
    sampling: float
    n_samples: int
    noise: float
    spe_sigma: float
    transit_time_spread: float
    trigger_threshold: float
    trigger_window: float
    trigger_neighbours: int
    trigger_sample: int
    window_width: int
    window_shift: int

    def psf(self, theta: ArrayLike) -> np.ndarray:
        """Sigma (rad) of the point spread at an angle theta (rad) off axis."""
        return np.hypot(self.psf_on_axis, self.psf_off_axis * np.asarray(theta))

    def delay(self, radius: ArrayLike) -> np.ndarray:
        """Delay (ns) of light from `radius` (m) on the mirror against that from its centre.

        Light along the axis reaches a tile that stands higher by z earlier, and has the way
        from there to the focus before it. On a parabola both add up to the same everywhere; on a
        sphere the outer light comes first, so that delays are negative.
        """
        radius = np.asarray(radius, dtype=float)
        if not self.dish_radius:
            return np.zeros_like(radius)
        focus = self.description.optics.equivalent_focal_length.to_value(u.m)
        z = self.dish_radius - np.sqrt(self.dish_radius**2 - radius**2)
        return (np.hypot(focus - z, radius) - z - focus) / SPEED_OF_LIGHT


@cache
def telescope_model(name: str) -> TelescopeModel:
    """The model of a type of telescope, always the same object.

    Parameters
    ----------
    name : str
        One of `TELESCOPE_TYPES`.
    """
    return _MODELS[name]()


def _lst() -> TelescopeModel:
    # Point spread: a circle of 0.05 deg holds 80 % of a star on axis; off axis it is the coma of
    # the parabola. Ageing is that of the mirrors in the 6.0.0 models, and a muon on axis gives 2 to
    # 3 thousand photoelectrons with it. The trigger sums 21 pixels, three modules (Saito et al.
    # 2021, arXiv:2108.01920), and asks for 40 photoelectrons: here a pixel and two rings, 19.
    return _build(
        "LST",
        camera=lstcam,
        optics=dict(
            name="LST",
            size_type=SizeType.LST,
            equivalent_focal_length=28.0 * u.m,
            effective_focal_length=29.306 * u.m,
            mirror_area=386.73 * u.m**2,
            n_mirror_tiles=198,
            reflector_shape=ReflectorShape.PARABOLIC,
        ),
        shadow=0.969 * (1 - 3.48**2 / 386.73),
        photon_detection=1.0,
        ageing=0.80,
        psf_on_axis=np.deg2rad(0.014),
        psf_off_axis=0.024,
        dish_radius=0.0,
        nsb_rate=0.246,
        pulse_width=0.95,
        pulse_decay=0.8,
        n_gains=2,
        sampling=1.024,
        n_samples=40,
        noise=6.7 / 25.0,
        spe_sigma=0.47,
        trigger_threshold=40.0,
        trigger_window=3.0,
        trigger_neighbours=2,
        trigger_sample=9,
        window_width=7,
        window_shift=3,
    )


def _mst(name: str, **figures: Any) -> TelescopeModel:
    # Point spread: a circle of 0.06 deg holds 80 % of a star on axis; off axis it is the coma of
    # tiles that stand on a sphere of 19.2 m, which makes a modified Davies-Cotton mirror (Pühlhofer
    # 2016, arXiv:1610.02899). NectarCam's own trigger asks for three neighbouring pixels,
    # FlashCam's for a sum over nine: the thresholds below let the same events through.
    return _build(
        name,
        optics=dict(
            name="MST",
            size_type=SizeType.MST,
            equivalent_focal_length=16.0 * u.m,
            effective_focal_length=16.445 * u.m,
            mirror_area=106.24 * u.m**2,
            n_mirror_tiles=86,
            reflector_shape=ReflectorShape.HYBRID,
        ),
        shadow=0.90 * (1 - 2.918**2 / 106.24),
        ageing=0.95,
        psf_on_axis=np.deg2rad(0.017),
        psf_off_axis=0.018,
        dish_radius=19.2,
        **figures,
    )


def _mst_nectarcam() -> TelescopeModel:
    return _mst(
        "MST_NectarCam",
        camera=nectarcam,
        photon_detection=1.0,
        nsb_rate=0.207,
        pulse_width=0.9,
        pulse_decay=0.6,
        n_gains=2,
        sampling=1.0,
        n_samples=60,
        noise=3.6 / 19.56,
        spe_sigma=0.45,
        trigger_threshold=35.0,
        trigger_window=3.0,
        trigger_neighbours=1,
        trigger_sample=18,
        window_width=7,
        window_shift=3,
    )


def _mst_flashcam() -> TelescopeModel:
    # FlashCam's preamplifier stretches a photoelectron to 17 ns so that 250 MHz sample it well.
    # Its trigger and the extraction of charges both undo the tail by a digital filter first: the
    # trigger's window and threshold are those after the filter, and the charge window is counted
    # in samples four times as fine, ctapipe's defaults.
    return _mst(
        "MST_FlashCam",
        camera=flashcam,
        photon_detection=0.95,
        nsb_rate=0.209,
        pulse_width=3.0,
        pulse_decay=15.0,
        n_gains=1,
        sampling=0.25,
        n_samples=25,
        noise=1.0 / 8.787,
        spe_sigma=0.45,
        trigger_threshold=40.0,
        trigger_window=8.0,
        trigger_neighbours=1,
        trigger_sample=6,
        window_width=7,
        window_shift=3,
    )


_MODELS: dict[str, Callable[[], TelescopeModel]] = {
    "LST": _lst,
    "MST_NectarCam": _mst_nectarcam,
    "MST_FlashCam": _mst_flashcam,
}

#: Names of the telescope models.
TELESCOPE_TYPES = tuple(_MODELS)


def _build(
    name: str,
    *,
    camera: Callable[[float], CameraGeometry],
    optics: dict[str, Any],
    shadow: float,
    ageing: float,
    photon_detection: float,
    pulse_width: float,
    pulse_decay: float,
    n_gains: int,
    noise: float,
    **figures: Any,
) -> TelescopeModel:
    """Put a model together.

    `shadow` is the part of the light that gets past camera and frame, `ageing` what dust and
    weather leave of a clean mirror, `photon_detection` a factor on the curve of that name,
    `noise` is in amplitudes of one photoelectron, `pulse_width` and `pulse_decay` are those of
    `_pulse` (ns).
    """
    mirror = OpticsDescription(n_mirrors=1, **optics)
    focal_length = mirror.effective_focal_length.to_value(u.m)
    geometry = camera(focal_length)
    pulse = _pulse(pulse_width, pulse_decay)
    factors = shadow * ageing * LIGHT_GUIDE * photon_detection
    return TelescopeModel(
        name=name,
        description=TelescopeDescription(
            name=mirror.name,
            optics=mirror,
            camera=CameraDescription(
                geometry.name,
                geometry,
                _readout(geometry, pulse, n_gains, figures["sampling"], figures["n_samples"]),
            ),
        ),
        mirror_radius=np.sqrt(mirror.mirror_area.to_value(u.m**2) / np.pi),
        focal_length=focal_length,
        wavelength=WAVELENGTH,
        efficiency=factors * np.prod([np.interp(WAVELENGTH, *curve) for curve in CURVES], axis=0),
        pulse=pulse,
        pulse_step=PULSE_STEP,
        pulse_peak=PULSE_STEP * np.argmax(pulse),
        noise=noise * pulse.max(),
        transit_time_spread=0.7,
        **figures,
    )


def _pulse(width: float, decay: float) -> np.ndarray:
    """Pulse of one photoelectron: a Gaussian of standard deviation `width` (ns), as of the
    photomultiplier, through electronics that decay exponentially in `decay` (ns)."""
    time = np.arange(0.0, 8 * width + 10 * decay, PULSE_STEP)
    gaussian = np.exp(-0.5 * ((time - 4 * width) / width) ** 2)
    pulse = np.convolve(gaussian, np.exp(-time / decay))[: time.size]
    return pulse / (pulse.sum() * PULSE_STEP)


def _readout(
    geometry: CameraGeometry, pulse: np.ndarray, n_gains: int, sampling: float, n_samples: int
) -> CameraReadout:
    return CameraReadout(
        name=geometry.name,
        sampling_rate=sampling * u.GHz,
        reference_pulse_shape=np.tile(pulse, (n_gains, 1)),
        reference_pulse_sample_width=PULSE_STEP * u.ns,
        n_channels=n_gains,
        n_pixels=geometry.n_pixels,
        n_samples=n_samples,
    )
