"""Origin: the checkpoint and the input that a DL2 file was made from, as attributes of the file."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tables

from .files import open_hdf5, reading
from .finding import check_file
from .isolated import read_isolated

__all__ = ["Origin", "read_origin"]

#: Attributes of the file that hold the fields of an `Origin`, by field.
ATTRIBUTES = {
    "checkpoint": "GAMMALEARN CHECKPOINT",
    "selection": "GAMMALEARN SELECTION",
    "input_name": "GAMMALEARN INPUT NAME",
    "input_size": "GAMMALEARN INPUT SIZE",
    "layout": "GAMMALEARN LAYOUT",
}

#: Attribute of files from before these, and the sentence that it holds.
SENTENCE_ATTRIBUTE = "GAMMALEARN ORIGIN"
SENTENCE = re.compile(
    r"checkpoint (?P<checkpoint>[0-9a-f]+)(?: with (?P<selection>.+))?, "
    r"(?P<input_name>.+) of (?P<input_size>\d+) bytes(?:, in (?P<layout>\w+)'s layout)?",
    re.DOTALL,
)

#: Layout of a file whose sentence names none.
CTAPIPE = "ctapipe"


@dataclass(frozen=True)
class Origin:
    """What tells DL2 files of the same name apart: a repeated prediction keeps equal ones.

    Attributes
    ----------
    checkpoint : str
        Digest of the checkpoint.
    input_name : str
        Name of the input file, without its folder.
    input_size : int
        Size of the input file in bytes.
    selection : str
        What the prediction selected differently from the training, in words; empty if nothing.
    layout : str
        Setting ``output.dl2_format``.
    """

    checkpoint: str
    input_name: str
    input_size: int
    selection: str = ""
    layout: str = CTAPIPE

    @classmethod
    def from_input(
        cls, path: Path, checkpoint: str, selection: str = "", layout: str = CTAPIPE
    ) -> "Origin":
        """The origin of the DL2 file that is made from an input file, see the attributes.

        Raises
        ------
        InputFileError
            If the input is no file, or no longer there.
        """
        check_file(path)
        return cls(checkpoint, path.name, path.stat().st_size, selection, layout)

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, object]) -> "Origin | None":
        """The origin that the attributes of a DL2 file tell, None if they tell none.

        Parameters
        ----------
        attributes : mapping of str to object
            Of the root group, by name.
        """
        values = {field: attributes.get(name) for field, name in ATTRIBUTES.items()}
        if None in values.values():
            told = SENTENCE.fullmatch(str(attributes.get(SENTENCE_ATTRIBUTE, "")))
            if told is None:
                return None
            values = told.groupdict()
        return cls(
            checkpoint=str(values["checkpoint"]),
            input_name=str(values["input_name"]),
            input_size=int(str(values["input_size"])),
            selection=str(values["selection"] or ""),
            layout=str(values["layout"] or CTAPIPE),
        )

    def write(self, file: tables.File) -> None:
        """Write the attributes of a DL2 file that is open for writing."""
        with warnings.catch_warnings():
            # Names with a space are ctapipe's way.
            warnings.simplefilter("ignore", tables.NaturalNameWarning)
            for field, name in ATTRIBUTES.items():
                file.root._v_attrs[name] = getattr(self, field)


def read_origin(path: Path) -> Origin | None:
    """The origin of a DL2 file, None if the file does not tell it.

    Raises
    ------
    InputFileError
        If the file cannot be read.
    """
    return read_isolated(_origin, path)


def _origin(path: Path) -> Origin | None:
    with open_hdf5(path) as file, reading(path, "its attributes"):
        attributes = file.root._v_attrs
        names = (*ATTRIBUTES.values(), SENTENCE_ATTRIBUTE)
        return Origin.from_attributes({n: attributes[n] for n in names if n in attributes})
