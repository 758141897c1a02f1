"""How good reconstructions are, for a notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import QTable

from ..errors import EvaluationError, SettingsError
from ..evaluation import read_events as read_reconstructed
from ..evaluation.comparison import Comparison, compare_sources
from ..evaluation.evaluation import Evaluation, evaluate_events
from ..evaluation.event_table import EventTable
from ..evaluation.events.combination import WEIGHTS
from ..evaluation.reconstructions import (
    GivenReconstruction,
    check_number,
    read_reconstruction,
    source_of,
)
from ..settings import EvaluationSettings
from .given import Files, files_of, settings_of

__all__ = ["compare", "evaluate", "read_dl2"]

#: What to do where there are no DL2 files.
MAKE_DL2 = "make DL2 files with `gammalearn predict` or Network.write_dl2, or name others"


def read_dl2(
    files: Files,
    algorithm: str | None = None,
    *,
    parameters: Sequence[str] = (),
    on_error: str = "raise",
) -> QTable:
    """Read the reconstructed events of DL2 files, by GammaLearn, ctapipe or lstchain.

    Parameters
    ----------
    files : str, Path or sequence of these
        Names or globs.
    algorithm : str, optional
        Name of the algorithm, or several separated by commas; needed where files hold several.
    parameters : sequence of str
        DL1 image parameters to read besides, of results of single telescopes.
    on_error : {"raise", "skip"}
        Whether files that cannot be used are an error, or left out.

    Returns
    -------
    astropy.table.QTable
        One row an event, with the same columns as those of `Network.predict`. Events without a
        result are there too, with NaN.

    Raises
    ------
    InputFileError
        If a file is missing, damaged or has no DL2 events.
    EvaluationError
        If the algorithm is not there or not unique, or the files do not go together.
    """
    paths = files_of(files, "DL2 files", MAKE_DL2)
    return read_reconstructed(paths, algorithm, parameters, observed=True, skip=on_error == "skip")


def evaluate(
    events: QTable | Files, settings: EvaluationSettings | None = None, **values: object
) -> Evaluation:
    """Evaluate reconstructed events, as ``gammalearn evaluate`` does; nothing is written.

    Parameters
    ----------
    events : QTable, str, Path or sequence of these
        A table of `Network.predict` or `read_dl2`, or some rows of it; or DL2 files.
    settings : EvaluationSettings, optional
    **values
        Settings by their names, e.g. ``bins_per_decade=4``; see `EvaluationSettings`.

    Returns
    -------
    Evaluation
        ``metrics`` (numbers), ``tables`` and ``figures`` by name, ``warnings``;
        ``write(folder)`` writes them with the report.

    Raises
    ------
    SettingsError
        If a setting is wrong.
    InputFileError, EvaluationError
        If the events cannot be evaluated.

    Notes
    -----
    The effective area and the sensitivity take the number of simulated showers from the files that
    the events are of. Rows that are left out of the table count as cut away.
    """
    settings = settings_of(EvaluationSettings, settings, values, "gammalearn.evaluate")
    if not isinstance(events, QTable):
        events = read_dl2(events, settings.algorithm, on_error=settings.on_error)
    return evaluate_events(_with_truth(_checked(events)), settings)


def compare(
    sets: Mapping[str, QTable | Files] | Sequence[tuple[str, QTable | Files]],
    settings: EvaluationSettings | None = None,
    *,
    weights: str = "none",
    **values: object,
) -> Comparison:
    """Compare reconstructions of the same simulated events, as ``gammalearn compare`` does.

    Parameters
    ----------
    sets : dict of str to QTable or files, or sequence of (str, QTable or files)
        Label and events of each; the first is the reference. Events are a table of
        `Network.predict` or `read_dl2`, or what the command takes: the folder of a run, DL2 files
        or a glob. Equal labels, in a sequence, mark runs that differ in their seed.
    settings : EvaluationSettings, optional
    weights : {"none", "intensity", "konrad"}
        Of the telescopes in the mean of an event, where there are results of single telescopes.
    **values
        Settings by their names; see `EvaluationSettings`.

    Returns
    -------
    Comparison
        ``numbers``, ``tables`` and ``figures`` by name, ``warnings``; ``write(folder)`` writes
        them with the report.

    Raises
    ------
    SettingsError
        If a setting is wrong.
    InputFileError, EvaluationError
        If the sets cannot be compared.
    """
    settings = settings_of(EvaluationSettings, settings, values, "gammalearn.compare")
    given = list(sets.items() if isinstance(sets, Mapping) else sets)
    check_number(given)
    if weights not in WEIGHTS:
        raise SettingsError(
            f"gammalearn.compare: weights='{weights}' is not known; give one of "
            f"{', '.join(WEIGHTS)}."
        )
    sources = [_source(label, events, settings, weights) for label, events in given]
    return compare_sources(sources, settings, weights)


def _source(
    label: str, events: QTable | Files, settings: EvaluationSettings, weights: str
) -> GivenReconstruction:
    skip = settings.on_error == "skip"
    if isinstance(events, str | Path):
        return read_reconstruction(str(events), label, settings.algorithm, weights, skip)
    if not isinstance(events, QTable):
        paths = files_of(events, "DL2 files", MAKE_DL2)
        events = read_reconstructed(paths, settings.algorithm, WEIGHTS[weights], skip=skip)
    events = _with_truth(_checked(events))
    about = EventTable.of(events)
    if not about.simulated:
        raise EvaluationError(
            f"The events of '{label}' are observed; only simulated ones are compared."
        )
    lacking = set(WEIGHTS[weights]).difference(events.colnames)
    if lacking and about.is_of_images:
        raise EvaluationError(
            f"The table of '{label}' lacks {', '.join(sorted(lacking))}, by which telescopes are "
            "to be weighted; read it by read_dl2 with these parameters, or compare without weights."
        )
    return source_of(events, label, label, settings.algorithm, weights)


def _checked(events: QTable) -> QTable:
    """A copy of the table, which what follows may add to.

    Raises
    ------
    EvaluationError
        If it is no table of reconstructed events.
    """
    if not EventTable.of(events).algorithms:
        raise EvaluationError(
            "The table holds no reconstructed energy, direction or particle type to evaluate."
        )
    return events.copy()


def _with_truth(events: QTable) -> QTable:
    """Of simulations the events with truth, and a note on others."""
    about = EventTable.of(events)
    if not about.simulated:
        return events
    known = np.isfinite(events["true_energy"])
    if np.all(known):
        return events
    note = f"{np.sum(~known)} of {len(events)} events lack their truth; they were left out."
    events = events[known]
    events.meta = replace(about, notes=[*about.notes, note]).to_meta()
    return events
