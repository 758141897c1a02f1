"""What a table of reconstructed events says of itself in its ``meta``: level, algorithms, files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astropy.table import QTable

from ..errors import EvaluationError

__all__ = ["NO_TELESCOPE", "SUBARRAY", "TELESCOPE", "EventTable"]

#: Levels: one row a shower, or one row an image.
SUBARRAY = "subarray"
TELESCOPE = "telescope"

#: Value of ``tel_id`` in rows that describe the whole subarray.
NO_TELESCOPE = -1

#: What a table has to say to be evaluated.
NEEDED = ("level", "simulated", "algorithms", "files", "paths", "skipped", "notes")


@dataclass(frozen=True)
class EventTable:
    """What a table of reconstructed events says of itself.

    Attributes
    ----------
    level : str
        `SUBARRAY` or `TELESCOPE`.
    simulated : bool
        Whether there is truth.
    algorithms : mapping of str to str
        Reconstructed main quantity → name of its algorithm, in the order of the report.
    files : sequence of str
        Names of the files.
    paths : sequence of Path
        The files, in the order of the column ``file``.
    skipped : sequence of (Path, str)
        Files that were left out, with the reason.
    notes : sequence of str
        Sentences on what was left out.
    particles : mapping of int to list of str
        Position of a file → names of its particles.
    """

    level: str
    simulated: bool
    algorithms: Mapping[str, str]
    files: Sequence[str]
    paths: Sequence[Path]
    skipped: Sequence[tuple[Path, str]] = ()
    notes: Sequence[str] = ()
    particles: Mapping[int, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: QTable) -> "EventTable":
        """What a table says of itself.

        Raises
        ------
        EvaluationError
            If it does not say all.
        """
        meta = events.meta
        lacking = [name for name in NEEDED if name not in meta]
        if lacking:
            raise EvaluationError(
                f"The table does not tell its {lacking[0]} (meta): take it from Network.predict or "
                "gammalearn.read_dl2, and keep its meta where you make another of it."
            )
        return cls(
            level=meta["level"],
            simulated=meta["simulated"],
            algorithms=meta["algorithms"],
            files=meta["files"],
            paths=[Path(path) for path in meta["paths"]],
            skipped=[(Path(path), why) for path, why in meta["skipped"]],
            notes=meta["notes"],
            particles=meta.get("particles", {}),
        )

    @property
    def is_of_images(self) -> bool:
        """Whether each row is the image of one telescope."""
        return self.level == TELESCOPE

    @property
    def algorithm_names(self) -> list[str]:
        """Names of the algorithms, each once."""
        return list(dict.fromkeys(self.algorithms.values()))

    def to_meta(self) -> dict[str, object]:
        """Plain values for the ``meta`` of the table, which can then be written as ECSV."""
        return {
            "level": self.level,
            "simulated": self.simulated,
            "algorithms": dict(self.algorithms),
            "files": list(self.files),
            "paths": [str(path) for path in self.paths],
            "skipped": [(str(path), why) for path, why in self.skipped],
            "notes": list(self.notes),
            "particles": {number: list(names) for number, names in self.particles.items()},
        }
