"""Camera geometries, built from how their modules are put together.

All three cameras have hexagonal pixels, 50 mm apart and 49 mm wide with their light guides. In
LSTCam and NectarCam a module is a pixel with its six neighbours, and 265 modules fill a hexagon
without its corners (Saito et al. 2021, arXiv:2108.01920; Glicenstein et al. 2019,
arXiv:1909.01969). In FlashCam a module has twelve pixels, and 147 modules make three rhombi of
7 x 7 that meet in the camera's centre. Pixels are numbered as in CTAO's published models of these
cameras (https://doi.org/10.5281/zenodo.6218687), so that images of either origin go through the
same network.

Below, points are complex numbers in units of the pitch, x + i y in the camera frame.
"""

import astropy.units as u
import numpy as np
from ctapipe.coordinates import CameraFrame
from ctapipe.instrument import CameraGeometry, PixelShape

__all__ = ["PITCH", "flashcam", "lstcam", "nectarcam"]

#: Distance between neighbouring pixels and width of a pixel, flat to flat (m).
PITCH = 0.050
PIXEL_WIDTH = 0.049

#: Modules of seven are on a hexagonal lattice of sqrt(7) pitches along x; the pixels' own lattice
#: is turned against it by the angle between (1, 0) and (2, 1) in axial coordinates.
SEVEN_PITCH = np.sqrt(7.0)
SEVEN_ROTATION = np.pi / 3 - np.arctan2(np.sqrt(3.0), 5.0)

#: Rings of modules around the central one in LSTCam and NectarCam.
SEVEN_RINGS = 9

#: Direction of FlashCam's pixel rows.
FLASHCAM_ROTATION = np.pi / 6

#: Modules along the side of a rhombus of FlashCam; they are numbered in drawers two modules wide.
FLASHCAM_SIDE = 7
FLASHCAM_DRAWER = 2

#: Pixels of a module of FlashCam in axial coordinates, along pixel rows at 30 and 90 degrees.
FLASHCAM_MODULE = np.array(
    [
        [(0, 0), (1, 0), (0, 1), (1, 1)],
        [(1, -2), (2, -2), (1, -1), (2, -1)],
        [(1, 2), (3, -1), (2, 1), (2, 0)],
    ]
).reshape(-1, 2)

#: The pixel that, in a rhombus's first module, touches the centre of the camera.
FLASHCAM_CENTRAL = 9


def lstcam(focal_length: float) -> CameraGeometry:
    """LSTCam: 1855 pixels, numbered around the central one, ring by ring.

    Parameters
    ----------
    focal_length : float
        Effective focal length in m, with which ctapipe turns positions into angles.
    """
    pixels = _modules_of_seven().ravel()
    first = np.exp(1j * (SEVEN_ROTATION + np.pi))
    axial = pixels / first
    rows = np.rint(axial.imag / np.sqrt(0.75))
    cols = np.rint(axial.real - rows / 2)
    rings = np.max(np.abs([rows, cols, rows + cols]), axis=0)
    clockwise = np.round(-np.angle(axial), 6) % (2 * np.pi)
    return _geometry("LSTCam", pixels[np.lexsort((clockwise, rings))], SEVEN_ROTATION, focal_length)


def nectarcam(focal_length: float) -> CameraGeometry:
    """NectarCam: LSTCam's 1855 pixels, numbered module by module; see `lstcam`."""
    return _geometry("NectarCam", _modules_of_seven().ravel(), SEVEN_ROTATION, focal_length)


def flashcam(focal_length: float) -> CameraGeometry:
    """FlashCam: 1764 pixels, numbered module by module; see `lstcam`."""
    rows = np.exp(1j * (FLASHCAM_ROTATION + np.pi / 3 * np.arange(2)))
    module = FLASHCAM_MODULE @ rows
    # Three pixels touch the camera's centre, one of each rhombus.
    module += np.exp(4j * np.pi / 3) / np.sqrt(3.0) - module[FLASHCAM_CENTRAL]
    sides = np.sqrt(len(FLASHCAM_MODULE)) * np.exp(2j * np.pi / 3 * np.arange(1, 3))
    cells = [
        (along, across)
        for drawer in range(0, FLASHCAM_SIDE, FLASHCAM_DRAWER)
        for along in range(FLASHCAM_SIDE)
        for across in range(drawer, min(drawer + FLASHCAM_DRAWER, FLASHCAM_SIDE))
    ]
    rhombus = np.add.outer(cells @ sides, module)
    pixels = np.multiply.outer(np.exp(-2j * np.pi / 3 * np.arange(3)), rhombus)
    return _geometry("FlashCam", pixels.ravel(), FLASHCAM_ROTATION, focal_length)


def _modules_of_seven() -> np.ndarray:
    """Pixels of each module of LSTCam and NectarCam, shape (265, 7); rows from top to bottom."""
    rings = np.arange(-SEVEN_RINGS, SEVEN_RINGS + 1)
    # Axial coordinates of a hexagon, whose corners have two coordinates of the largest size.
    cells = np.array([(q, r) for r in -rings for q in rings if abs(q + r) <= SEVEN_RINGS])
    size = np.sort(np.abs(np.column_stack([cells, cells.sum(axis=1)])), axis=1)
    cells = cells[size[:, 1] < SEVEN_RINGS]
    centres = SEVEN_PITCH * (cells @ np.exp(1j * np.pi / 3 * np.arange(2)))
    around = np.exp(1j * (SEVEN_ROTATION + np.pi / 3 * np.arange(-2, 4)))
    return np.add.outer(centres, np.insert(around, 3, 0.0))


def _geometry(
    name: str, pixels: np.ndarray, rotation: float, focal_length: float
) -> CameraGeometry:
    return CameraGeometry(
        name=name,
        pix_id=np.arange(len(pixels)),
        pix_x=PITCH * pixels.real * u.m,
        pix_y=PITCH * pixels.imag * u.m,
        pix_area=np.full(len(pixels), np.sqrt(0.75) * PIXEL_WIDTH**2) * u.m**2,
        pix_type=PixelShape.HEXAGON,
        pix_rotation=u.Quantity(rotation, u.rad).to(u.deg),
        cam_rotation=0.0 * u.deg,
        frame=CameraFrame(focal_length=focal_length * u.m, rotation=0.0 * u.deg),
    )
