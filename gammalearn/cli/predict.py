"""``gammalearn predict``."""

import argparse
import re
from itertools import takewhile
from pathlib import Path

from ..errors import SettingsError
from ..io.printable import tell
from ..settings.own_modules import import_modules
from .command import Command
from .options import add_checkpoint, add_overwrite, add_results, add_set

__all__ = ["PREDICT"]


def _shard(word: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d+)/(\d+)\s*", word)
    number, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(
            f"expected I/N with I from 1 to N, such as 1/8, got {word.strip()}"
        )
    return number, of


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument(
        "input",
        metavar="INPUT",
        nargs="+",
        help="DL1 files or quoted globs; catalogues, for the network of a survey; further "
        "checkpoints before them reconstruct together with the first one",
    )
    add_results(parser, "the DL2 files")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        type=_shard,
        help="process only part I of N of the inputs, for array jobs: 1/8 to 8/8",
    )
    parser.add_argument(
        "--telescopes",
        metavar="LST,…",
        help="types, names or ids of the telescopes to use (default: as in the training)",
    )
    add_set(parser)
    parser.add_argument(
        "--format",
        choices=["ctapipe", "lstchain"],
        help="layout of the DL2 files; lstchain needs lstchain DL1 files (default: as in the "
        "settings of the training)",
    )
    parser.add_argument(
        "--link-truth",
        action="store_true",
        help="link to the truth in ctapipe DL1 files instead of copying it; the DL1 files must "
        "then stay in their place",
    )
    add_overwrite(parser, "existing DL2 files")


def predict(arguments: argparse.Namespace) -> None:
    """Reconstruct DL1 files with a trained network, or with several together."""
    from ..io.finding import find_files
    from ..models import find_checkpoint, names_network

    further = list(takewhile(names_network, arguments.input))
    inputs = arguments.input[len(further) :]
    if not inputs:
        raise SettingsError(
            f"After the checkpoints, the last of them '{further[-1]}', no INPUT is given; name the "
            "files to reconstruct."
        )
    checkpoint, *others = [find_checkpoint(name) for name in (arguments.checkpoint, *further)]
    find_files(inputs, "INPUT")
    import_modules(arguments.imports)
    from ..run.options import RunOptions
    from ..surveys.recognition import is_survey_checkpoint

    output = Path(arguments.output)
    options = RunOptions(overwrite=arguments.overwrite, progress=not arguments.quiet)
    if is_survey_checkpoint(checkpoint):
        _refuse_telescopes(arguments)
        from ..run.surveys import predict_objects

        files = predict_objects([checkpoint, *others], inputs, output, options, arguments.set)
    else:
        from ..run.reconstruction import predict

        files = predict(
            [arguments.checkpoint, *further],
            inputs,
            output,
            options,
            arguments.shard,
            [*_short_settings(arguments), *arguments.set],
        )
    for path in files:
        tell(path)


def _refuse_telescopes(arguments: argparse.Namespace) -> None:
    """Refuse options that mean nothing for a network of a survey."""
    given = {
        "--shard": arguments.shard,
        "--telescopes": arguments.telescopes,
        "--format": arguments.format,
        "--link-truth": arguments.link_truth,
    }
    for name, value in given.items():
        if value:
            raise SettingsError(
                f"{name} is for networks of telescopes, and '{arguments.checkpoint}' is one for a "
                "survey; leave it out."
            )


def _short_settings(arguments: argparse.Namespace) -> list[str]:
    """Settings that have an option of their own, as ``--set`` has them."""
    given = {
        "data.telescopes": f"[{arguments.telescopes}]" if arguments.telescopes else None,
        "output.dl2_format": arguments.format,
        "output.truth": "link" if arguments.link_truth else None,
    }
    return [f"{name}={value}" for name, value in given.items() if value is not None]


PREDICT = Command(predict, _add_arguments)
