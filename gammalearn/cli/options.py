"""Arguments that several commands have."""

import argparse

__all__ = [
    "add_checkpoint",
    "add_imports",
    "add_overwrite",
    "add_results",
    "add_set",
    "add_settings",
    "count",
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
