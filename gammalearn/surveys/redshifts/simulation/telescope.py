"""The telescope of the SDSS."""

from ...galaxies.images import Camera

__all__ = ["SDSS"]

#: Median width at half maximum (arcsec) of the point spread in r.
WIDTH = 1.3

#: Depths of a star in that seeing; electrons are about as in the SDSS; neighbours are to magnitude
#: 23, where four of ten are stars.
SDSS = Camera(
    bands=("u", "g", "r", "i", "z"),
    pixel_scale=0.396,
    n_pixels=64,
    n_padded=96,
    depth=(22.15, 23.13, 22.70, 22.20, 20.71),
    depth_width=(WIDTH,) * 5,
    electrons=(1.3, 8.0, 9.0, 6.5, 1.2),
    width=tuple(WIDTH * wider for wider in (1.11, 1.06, 1.0, 0.97, 0.97)),
    width_spread=0.1,
    faintest=23.0,
    stars=0.4,
)
