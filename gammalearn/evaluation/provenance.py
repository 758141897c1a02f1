"""Where events come from: the files, by their content, and who made them with which settings."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml

from .. import __version__
from ..expendable import read_expendably
from ..files import open_hdf5, reading, sha256

__all__ = ["InputFile", "describe_input", "versions"]

#: Who wrote a file, in ctapipe's metadata.
SOFTWARE, SOFTWARE_VERSION = "CTA ACTIVITY SOFTWARE NAME", "CTA ACTIVITY SOFTWARE VERSION"

#: Packages that results depend on.
PACKAGES = ("ctapipe", "pyirf", "astropy", "numpy", "scikit-learn")


@dataclass(frozen=True)
class InputFile:
    """A DL2 file that was read."""

    name: str

    sha256: str
    """Checksum of its content."""

    software: str = ""
    """What wrote it, with version."""

    settings: str = ""
    """Settings of the network that reconstructed its events, as YAML, where it is one of ours."""

    @property
    def seed(self) -> int | None:
        """The seed of its training, if that is known."""
        settings = yaml.safe_load(self.settings) if self.settings else {}
        return (settings or {}).get("training", {}).get("seed")


def describe_input(path: Path, label: str = "") -> InputFile:
    """What identifies a DL2 file.

    Parameters
    ----------
    path : pathlib.Path
    label : str
        What goes before its name.
    """
    written = read_expendably(_attributes, path)
    makers = []
    if "GAMMALEARN VERSION" in written:
        makers.append(f"GammaLearn {written['GAMMALEARN VERSION']}")
    if SOFTWARE in written:
        makers.append(f"{written[SOFTWARE]} {written.get(SOFTWARE_VERSION, '')}".rstrip())
    return InputFile(
        f"{label}: {path.name}" if label else path.name,
        sha256(path),
        ", ".join(makers),
        written.get("GAMMALEARN SETTINGS", ""),
    )


def _attributes(path: Path) -> dict[str, str]:
    with open_hdf5(path) as h5file, reading(path, "its attributes"):
        attributes = h5file.root._v_attrs
        return {name: str(attributes[name]) for name in attributes._v_attrnamesuser}


def versions() -> dict[str, str]:
    """Package → version, of what evaluates."""
    return {
        "GammaLearn": __version__,
        **{name: version(name) for name in PACKAGES},
        "Python": platform.python_version(),
    }
