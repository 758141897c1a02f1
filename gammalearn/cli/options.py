"""Arguments that several commands have."""

import argparse
from pathlib import Path
from typing import Any

__all__ = [
    "add_checkpoint",
    "add_imports",
    "add_overwrite",
    "add_response",
    "add_results",
    "add_set",
    "add_settings",
    "count",
    "response_of",
]


def count(word: str) -> int:
    """The type of an argument that is 1 or more."""
    number = int(word) if word.strip().isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {word.strip()}")
    return number


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the settings file of an experiment."""
    parser.add_argument("settings", metavar="SETTINGS", help="experiment: a .py or .yaml file")
    add_imports(parser)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add a trained network."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="checkpoint file, or name of a shipped network",
    )
    add_imports(parser)


def _place(word: str) -> tuple[float, float, float]:
    """The type of a place on the Earth."""
    try:
        lon, lat, height = (float(part) for part in word.split(","))
    except ValueError:
        lon = lat = height = float("nan")
    if not (-180 <= lon <= 360 and -90 <= lat <= 90 and -500 <= height <= 9000):
        raise argparse.ArgumentTypeError(
            f"expected longitude and latitude in deg and height in m, such as "
            f"-17.8915,28.7615,2200, got {word.strip()}"
        )
    return lon, lat, height


def add_response(parser: argparse.ArgumentParser) -> None:
    """Add the response of DL3, and what is known of the observations besides."""
    parser.add_argument(
        "--irf",
        metavar="IRF",
        required=True,
        help="instrument response, as ctapipe-compute-irf writes it",
    )
    parser.add_argument(
        "--cuts",
        metavar="CUTS",
        help="cuts that the response was computed with, as ctapipe-optimize-event-selection writes "
        "them (default: those in IRF)",
    )
    parser.add_argument(
        "--site",
        metavar="LON,LAT,HEIGHT",
        type=_place,
        help="place of the array, in deg, deg and m (default: as in the files)",
    )


def response_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_response` has added, as the functions that make DL3 take it."""
    from ..io.finding import check_file

    for path in (arguments.irf, arguments.cuts):
        if path is not None:
            check_file(path)
    site = None
    if arguments.site is not None:
        from astropy.coordinates import EarthLocation

        site = EarthLocation.from_geodetic(*arguments.site)
    return {
        "irf": Path(arguments.irf),
        "cuts": None if arguments.cuts is None else Path(arguments.cuts),
        "site": site,
    }


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add the user's own modules."""
    parser.add_argument(
        "--imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="import your own module with tasks or encoders, by its name or file; can be repeated",
    )


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add changes of settings."""
    parser.add_argument(
        "--set",
        metavar="A.B=VALUE",
        action="append",
        default=[],
        help="change a setting, e.g. training.epochs=5; can be repeated",
    )


def add_results(parser: argparse.ArgumentParser, contents: str = "the results") -> None:
    """Add the folder of what a command makes."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help=f"folder for {contents}"
    )


def add_overwrite(
    parser: argparse.ArgumentParser, replaced: str = "existing results in DIR"
) -> None:
    """Add the permission to replace what is there."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {replaced}")
