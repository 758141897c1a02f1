"""Camera types: what tells one kind of camera from another.

Names do not: different cameras share one, and one camera has several. The pixels do.
"""

from dataclasses import dataclass, field
from functools import cached_property

import astropy.units as u
import numpy as np
from ctapipe.instrument import CameraGeometry, PixelShape
from scipy.spatial import cKDTree

from .grid import PixelGrid
from .lattice import LatticeError

__all__ = ["CameraType"]

#: Largest shift of a pixel between two descriptions of one camera, in pixel pitches.
PIXEL_SHIFT_TOLERANCE = 0.1

#: Largest relative difference of the focal lengths of one camera's telescopes.
FOCAL_LENGTH_TOLERANCE = 0.02

#: Largest ratio of the areas of pixels that count as being of one size.
AREA_TOLERANCE = 1.5


@dataclass(frozen=True, eq=False)
class CameraType:
    """A camera as the network sees it.

    Parameters
    ----------
    name : str
        A name for people and for the network's parts, unique among the types of one network.
    pix_x, pix_y : ndarray, shape (n_pixels,)
        Pixel centres in the camera frame, in m, in the order of the images.
    lattice : {"hexagonal", "square"}
        Arrangement of the pixels.
    focal_length : float
        Equivalent focal length of the telescope, in m, which its description is told by.
    effective_focal_length : float, optional
        That images follow, in m: a direction lies at its product with the angle. By default the
        equivalent one.
    area_ratio : float
        Area of the largest pixel over that of the smallest.
    """

    name: str
    pix_x: np.ndarray = field(repr=False)
    pix_y: np.ndarray = field(repr=False)
    lattice: str
    focal_length: float
    effective_focal_length: float | None = None
    area_ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.effective_focal_length is None:
            object.__setattr__(self, "effective_focal_length", self.focal_length)

    @classmethod
    def from_geometry(
        cls,
        geometry: CameraGeometry,
        focal_length: u.Quantity,
        name: str | None = None,
        effective_focal_length: u.Quantity | None = None,
    ) -> "CameraType":
        """The type of a ctapipe camera.

        Parameters
        ----------
        geometry : ctapipe.instrument.CameraGeometry
        focal_length : astropy.units.Quantity
            Equivalent focal length of the telescope.
        name : str, optional
            By default the geometry's name.
        effective_focal_length : astropy.units.Quantity, optional
            NaN where it is not known.
        """
        if effective_focal_length is None or not np.isfinite(effective_focal_length):
            effective_focal_length = focal_length
        square = geometry.pix_type == PixelShape.SQUARE
        area = geometry.pix_area.to_value("m2")
        area = area[np.isfinite(area) & (area > 0)]
        return cls(
            name=name or geometry.name,
            pix_x=geometry.pix_x.to_value("m").astype(np.float64),
            pix_y=geometry.pix_y.to_value("m").astype(np.float64),
            lattice="square" if square else "hexagonal",
            focal_length=float(focal_length.to_value("m")),
            effective_focal_length=float(effective_focal_length.to_value("m")),
            area_ratio=float(area.max() / area.min()) if len(area) else 1.0,
        )

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return len(self.pix_x)

    @cached_property
    def grid(self) -> PixelGrid:
        """The camera's pixel grid.

        Raises
        ------
        LatticeError
            If the pixels are of several sizes, or not on a lattice.
        """
        if self.area_ratio > AREA_TOLERANCE:
            raise LatticeError(
                f"Its pixels are of several sizes (the largest has {self.area_ratio:.1f} times the "
                "area of the smallest), and convolutions need a lattice of pixels of one size."
            )
        return PixelGrid.from_positions(self.pix_x, self.pix_y, lattice=self.lattice)

    @cached_property
    def sky_of_cells(self) -> np.ndarray:
        """Where the pixels of the grid look.

        Returns
        -------
        ndarray, shape (3, 2)
            ``(row, col, 1) @ sky_of_cells`` is (fov_lon, fov_lat) in deg from the pointing, up to
            gaps between modules and the small curvature of the sky.
        """
        cells = np.column_stack([self.grid.rows, self.grid.cols, np.ones(self.n_pixels)])
        # ctapipe's camera frame has x along fov_lat and y along fov_lon.
        positions = np.column_stack([self.pix_y, self.pix_x])
        sky = np.rad2deg(positions / self.effective_focal_length)
        return np.linalg.lstsq(cells, sky)[0]

    @cached_property
    def axis(self) -> float:
        """Angle in deg of the grid's columns, e_col, to +x in the camera frame."""
        steps = np.column_stack([self.grid.cols, self.grid.rows, np.ones(self.n_pixels)])
        positions = np.column_stack([self.pix_x, self.pix_y])
        (e_x, e_y), *_ = np.linalg.lstsq(steps, positions)[0]
        return float(np.rad2deg(np.arctan2(e_y, e_x)))

    @cached_property
    def pitch(self) -> float:
        """Median distance between neighbouring pixels, in m."""
        positions = np.column_stack([self.pix_x, self.pix_y])
        return float(np.median(cKDTree(positions).query(positions, k=2)[0][:, 1]))

    @cached_property
    def geometry(self) -> CameraGeometry:
        """The camera for ctapipe's functions of pixels and their neighbours."""
        square = self.lattice == "square"
        area = self.pitch**2 * (1 if square else np.sqrt(3) / 2)
        return CameraGeometry(
            name=self.name,
            pix_id=np.arange(self.n_pixels),
            pix_x=self.pix_x * u.m,
            pix_y=self.pix_y * u.m,
            pix_area=np.full(self.n_pixels, area) * u.m**2,
            pix_type=PixelShape.SQUARE if square else PixelShape.HEXAGON,
        )

    def same_camera(self, other: "CameraType") -> bool:
        """Whether an image of one camera can be read as an image of the other."""
        if not self._is_alike(other):
            return False
        shift = np.hypot(self.pix_x - other.pix_x, self.pix_y - other.pix_y)
        return bool(np.all(shift < PIXEL_SHIFT_TOLERANCE * self.pitch))

    def order_of(self, other: "CameraType") -> np.ndarray | None:
        """How another camera's images become ones of this camera: ``image[..., order]``.

        Returns
        -------
        ndarray of int, shape (n_pixels,), or None
            The other camera's pixel in the place of each of this one's; None if they are different
            cameras.
        """
        if not self._is_alike(other):
            return None
        mine, theirs = (np.column_stack([c.pix_x, c.pix_y]) for c in (self, other))
        shift, order = cKDTree(theirs).query(mine)
        if np.any(shift >= PIXEL_SHIFT_TOLERANCE * self.pitch):
            return None
        # Less than a pitch apart, two pixels may be nearest to one.
        return order if len(np.unique(order)) == self.n_pixels else None

    def _is_alike(self, other: "CameraType") -> bool:
        """Whether all is the same but the places of the pixels."""
        return (
            self.n_pixels == other.n_pixels
            and self.lattice == other.lattice
            # A pixel that is nowhere is no pixel of any camera.
            and all(np.isfinite(c.pix_x + c.pix_y).all() for c in (self, other))
            and bool(
                np.isclose(
                    self.focal_length, other.focal_length, rtol=FOCAL_LENGTH_TOLERANCE, atol=0
                )
            )
        )

    def to_dict(self) -> dict:
        """Plain values that rebuild the camera."""
        return {
            "name": self.name,
            "pix_x": self.pix_x.tolist(),
            "pix_y": self.pix_y.tolist(),
            "lattice": self.lattice,
            "focal_length": self.focal_length,
            "effective_focal_length": self.effective_focal_length,
        }

    @classmethod
    def from_dict(cls, values: dict) -> "CameraType":
        """The camera that :meth:`to_dict` described.

        Descriptions that lack the effective focal length are of networks that have learnt with the
        equivalent one.
        """
        return cls(
            name=values["name"],
            pix_x=np.asarray(values["pix_x"], dtype=np.float64),
            pix_y=np.asarray(values["pix_y"], dtype=np.float64),
            lattice=values["lattice"],
            focal_length=float(values["focal_length"]),
            effective_focal_length=values.get("effective_focal_length"),
        )
