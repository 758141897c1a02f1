"""From DL1 of an observation to DL3: reconstruction, then event lists with their response."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..dl3.making import make_dl3
from ..dl3.selection import read_selection
from ..dl3.writing import needs_gammapy
from .options import RunOptions
from .reconstruction import predict

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation

__all__ = ["observe"]

#: Folder of the DL2 files, in that of the DL3 files.
DL2_FOLDER = "dl2"


def observe(
    checkpoint: str | Path,
    inputs: Sequence[str],
    output: Path,
    options: RunOptions = RunOptions(),
    *,
    irf: Path,
    cuts: Path | None = None,
    site: "EarthLocation | None" = None,
    assignments: Sequence[str] = (),
) -> list[Path]:
    """Reconstruct DL1 files of observations and make DL3 from them.

    DL2 files that this checkpoint has made before are kept, as with `predict`.

    Parameters
    ----------
    checkpoint : str or Path
        A file, or the name of a shipped network.
    inputs : sequence of str
        DL1 files or globs.
    output : Path
        Folder of the DL3 files; the DL2 files are in a folder in it.
    options : RunOptions
    irf, cuts, site
        See :func:`gammalearn.dl3.making.make_dl3`.
    assignments : sequence of str
        Changes of the settings of the training, ``a.b=value``.

    Returns
    -------
    list of Path
        The DL3 files, one for each observation.

    Raises
    ------
    GammaLearnError
        If the checkpoint, the inputs, the response or the output folder cannot be used.
    """
    # What is wrong with these would be found only after the reconstruction.
    needs_gammapy()
    read_selection(irf, cuts)
    files = predict(checkpoint, inputs, output / DL2_FOLDER, options, assignments=assignments)
    return make_dl3(files, irf, output, cuts=cuts, site=site, overwrite=options.overwrite)
