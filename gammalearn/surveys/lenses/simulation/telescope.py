"""LSST after a year."""

from ...galaxies.images import Camera

__all__ = ["LSST"]

#: Median width at half maximum (arcsec) of the point spread (Ivezic et al. 2019, table 2).
WIDTH = (0.87, 0.83, 0.80, 0.78)

#: Depths are those of LSST's visits in g, r, i and z (Ivezic et al. 2019, table 2), and as many
#: visits as a tenth of the survey has: 8, 18, 18, 16 (table 1). The electrons are those of 30 s a
#: visit with zero points of about 28.5, 28.4, 28.2 and 27.8 mag (1 electron per s).
LSST = Camera(
    bands=("g", "r", "i", "z"),
    pixel_scale=0.2,
    n_pixels=48,
    n_padded=72,
    depth=(25.94, 25.92, 25.49, 24.85),
    depth_width=WIDTH,
    electrons=(600.0, 1240.0, 1030.0, 630.0),
    width=WIDTH,
    width_spread=0.08,
    faintest=24.5,
    stars=0.15,
)
