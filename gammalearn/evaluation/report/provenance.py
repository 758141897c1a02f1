"""Where events come from: the files, by their content, and who made them with which settings."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml

from ... import __version__
from ...io import plain_yaml
from ...io.files import open_hdf5, reading, sha256
from ...io.isolated import read_isolated
from ...io.origin import Origin
from ...settings import EvaluationSettings

__all__ = ["InputFile", "describe_input", "describe_settings", "versions"]

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

    checkpoint: str = ""
    """Digest of the checkpoint that reconstructed its events, where it says one."""

    @property
    def seed(self) -> int | None:
        """The seed of its training, if that is known."""
        try:
            settings = plain_yaml.load(self.settings)
        except yaml.YAMLError:
            return None
        training = settings.get("training") if isinstance(settings, dict) else None
        seed = training.get("seed") if isinstance(training, dict) else None
        return seed if isinstance(seed, int) else None


def describe_input(path: Path, label: str = "") -> InputFile:
    """What identifies a DL2 file.

    Parameters
    ----------
    path : pathlib.Path
    label : str
        What goes before its name.
    """
    written = read_isolated(_attributes, path)
    makers = []
    if "GAMMALEARN VERSION" in written:
        makers.append(f"GammaLearn {written['GAMMALEARN VERSION']}")
    if SOFTWARE in written:
        makers.append(f"{written[SOFTWARE]} {written.get(SOFTWARE_VERSION, '')}".rstrip())
    origin = Origin.from_attributes(written)
    return InputFile(
        f"{label}: {path.name}" if label else path.name,
        sha256(path),
        ", ".join(makers),
        written.get("GAMMALEARN SETTINGS", ""),
        origin.checkpoint if origin else "",
    )


def _attributes(path: Path) -> dict[str, str]:
    with open_hdf5(path) as h5file, reading(path, "its attributes"):
        attributes = h5file.root._v_attrs
        return {name: str(attributes[name]) for name in attributes._v_attrnamesuser}


def describe_settings(settings: EvaluationSettings) -> dict[str, str]:
    """The choices that results depend on, in words."""
    low, high = settings.energy_range
    return {
        "Energy bins": f"{settings.bins_per_decade} a decade from {low:g} to {high:g} TeV",
        "Signal": settings.signal,
        "Algorithm asked for": settings.algorithm or "any",
        "Published curves": ", ".join(settings.references) or "none",
    }


def versions() -> dict[str, str]:
    """Package → version, of what evaluates."""
    return {
        "GammaLearn": __version__,
        **{name: version(name) for name in PACKAGES},
        "Python": platform.python_version(),
    }
