"""The shipped networks by name. To list them imports nothing that is slow."""

import difflib
from importlib.resources import files
from pathlib import Path

from ..errors import CheckpointError
from .card import ModelCard, read_card

__all__ = [
    "alike",
    "card_of",
    "find_checkpoint",
    "is_shipped",
    "names_network",
    "overview",
    "places",
    "shipped_networks",
]

#: Where the networks lie.
FOLDER = Path(str(files("gammalearn.models")))

#: Figures that the list shows, by their names in the cards.
SHOWN = {"energy_resolution": "energy resolution", "angular_resolution_68": "angle of 68 %"}


def places(name: str) -> tuple[Path, Path]:
    """Files of a network: its checkpoint and its card."""
    return FOLDER / f"{name}.ckpt", FOLDER / f"{name}.yaml"


def shipped_networks() -> list[str]:
    """Names of the shipped networks, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.ckpt"))


def card_of(name: str) -> ModelCard:
    """The card of a shipped network.

    Raises
    ------
    CheckpointError
        If it is missing or wrong.
    """
    return read_card(places(name)[1])


def is_shipped(given: str | Path) -> bool:
    """Whether a shipped network is meant: it has this name, and no file has."""
    return str(given) in shipped_networks() and not Path(given).is_file()


def names_network(given: str | Path) -> bool:
    """Whether a network is meant, be it there or not: by its name, or nearly, or a file's ending.

    Parameters
    ----------
    given : str or Path
        What may also be the name of a file of events.
    """
    path = Path(given)
    nearly = not path.exists() and not path.suffix and bool(alike(path))
    return is_shipped(path) or nearly or path.suffix in {".ckpt", ".pt"}


def alike(given: str | Path) -> list[str]:
    """The one shipped network whose name is nearly what was given, or none."""
    return difflib.get_close_matches(Path(given).name, shipped_networks(), n=1)


def find_checkpoint(given: str | Path) -> Path:
    """The file that a path or the name of a shipped network stands for; a file comes first.

    Raises
    ------
    CheckpointError
        If there is neither.
    """
    path, names = Path(given), shipped_networks()
    if is_shipped(given):
        return places(str(given))[0]
    if path.is_file():
        return path
    if path.is_dir():
        raise CheckpointError(
            f"The checkpoint '{path}' is a directory; give a file such as best.ckpt."
        )
    shipped = f" or a shipped network ({', '.join(names)})" if names else ""
    meant = "".join(f"; did you mean '{name}'?" for name in alike(given)) or "."
    raise CheckpointError(
        f"The checkpoint '{path}' does not exist; give a file such as best.ckpt{shipped}{meant}"
    )


def overview() -> str:
    """The shipped networks, one a line.

    Raises
    ------
    CheckpointError
        If a card is missing or wrong.
    """
    names = shipped_networks()
    if not names:
        return (
            "No network is shipped with this version of GammaLearn; train one, for instance with "
            "`gammalearn experiment_settings/lst_stereo.py`."
        )
    rows = [("network", "what it is", "size", *SHOWN.values())]
    for name in names:
        card, size = card_of(name), places(name)[0].stat().st_size
        figures = (str(card.measured[0].figures.get(key, "-")) for key in SHOWN)
        rows.append((name, card.title, f"{size / 1e6:.1f} MB", *figures))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, "", "`gammalearn info NETWORK` has the model card."])
