"""Simulated events for a notebook."""

from pathlib import Path

from ..settings import SimulationSettings
from ..simulation import simulate as simulate_file
from .given import settings_of

__all__ = ["simulate"]


def simulate(
    settings: SimulationSettings | None = None,
    *,
    processes: int = 1,
    overwrite: bool = False,
    progress: bool = True,
    **values: object,
) -> Path:
    """Simulate showers and telescopes and write a DL1 file, as ``gammalearn simulate`` does.

    Parameters
    ----------
    settings : SimulationSettings, optional
    processes : int
        How many work at a time; the events are the same. With more than one, a script (not a
        notebook) has to call this below ``if __name__ == "__main__":``.
    overwrite : bool
        Replace a file that is there.
    progress : bool
        Show a progress bar.
    **values
        Settings by their names, e.g. ``output="gamma.dl1.h5", particle="gamma", n_showers=100,
        energy=("50 GeV", "5 TeV")``; see `SimulationSettings`.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    SettingsError
        If a setting is wrong.
    OutputError
        If the file exists or cannot be written.
    EmptySelectionError
        If no event triggered.

    Examples
    --------
    >>> import gammalearn
    >>> gammalearn.simulate(
    ...     output="gamma.dl1.h5", particle="gamma", n_showers=50, energy=("100 GeV", "5 TeV")
    ... )  # doctest: +SKIP
    PosixPath('gamma.dl1.h5')
    """
    return simulate_file(
        settings_of(SimulationSettings, settings, values, "gammalearn.simulate"),
        processes=processes,
        overwrite=overwrite,
        progress=progress,
    )
