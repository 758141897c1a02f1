"""The program ``gammalearn``: the list of its commands, and how one of them is carried out."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..errors import GammaLearnError, OutputError
from ..io.printable import tell
from ..io.writing import CANNOT_GROW, reason
from .baseline import BASELINE
from .check import CHECK
from .command import BROKEN_PIPE, INTERRUPTED, USER_ERROR, Command
from .compare import COMPARE
from .completion import OPTION, SHELLS, PrintCompletion
from .dl3 import DL3
from .doctor import DOCTOR
from .evaluate import EVALUATE
from .explain import EXPLAIN
from .export import EXPORT
from .info import INFO
from .init import INIT
from .logs import configure_logging
from .lr_range import LR_RANGE
from .messages import tell_error
from .models import MODELS
from .observe import OBSERVE
from .predict import PREDICT
from .run import RUN
from .show import SHOW
from .simulate import SIMULATE
from .slim import SLIM
from .sweep import SWEEP
from .words import with_command, with_values

__all__ = ["COMMANDS", "main", "make_parsers"]

#: All commands, in the order of the help.
COMMANDS = (
    INIT,
    CHECK,
    RUN,
    BASELINE,
    SWEEP,
    LR_RANGE,
    PREDICT,
    EVALUATE,
    COMPARE,
    SIMULATE,
    OBSERVE,
    DL3,
    INFO,
    SHOW,
    EXPLAIN,
    EXPORT,
    MODELS,
    SLIM,
    DOCTOR,
)

EPILOG = """\
examples:
  gammalearn init "my/*.dl1.h5" -o experiment.py
  gammalearn check experiment.py
  gammalearn experiment_settings/lst_stereo.py --output runs/first
  gammalearn experiment_settings/lst_mono.py --set data.train='["my/*.dl1.h5"]'
  gammalearn predict runs/first/checkpoints/best.ckpt my/*.dl1.h5 -o dl2
  gammalearn models
  gammalearn evaluate dl2/*.dl2.h5 -o evaluation
  gammalearn baseline experiment_settings/lst_stereo.py -o runs/baseline
  gammalearn compare runs/lst_stereo runs/lst_mono -o comparison
  gammalearn simulate --particle gamma --n-showers 1000 --energy 50GeV 5TeV -o my/gamma.dl1.h5
  gammalearn sweep my.py --grid training.learning_rate=1e-3,3e-4 --seeds 5 -o sweep
  gammalearn lr-range experiment_settings/lst_stereo.py -o lr_range
  gammalearn observe run7.dl1.h5 lst4-stereo --irf irf.fits.gz --cuts cuts.fits -o dl3
  gammalearn info my/*.dl1.h5
  gammalearn show my/gamma.dl1.h5 --event 1203 -o event.png
  gammalearn explain lst4-stereo my/gamma.dl1.h5 --event 1203 -o explanation.png
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        status = _run(argv)
        # What is still to be printed, before Python does so as it ends.
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whatever reads what is printed, such as `head`, has read enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status


def _run(argv: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    parser, commands = make_parsers()
    if not words:
        parser.print_help()
        return 0
    try:
        words = words if words[0] == OPTION else with_command(words, commands)
        arguments = parser.parse_args(with_values(words))
    except GammaLearnError as error:
        tell_error(error, verbose=0)
        return USER_ERROR
    configure_logging(arguments.verbose, arguments.quiet)
    command: Command = arguments.command
    try:
        status = command.run(arguments)
    except GammaLearnError as error:
        tell_error(error, arguments.verbose)
        return USER_ERROR
    except OSError as error:
        if error.errno not in CANNOT_GROW:
            raise
        tell_error(_full_disk(error), arguments.verbose)
        return USER_ERROR
    except KeyboardInterrupt as interrupt:
        hint = str(interrupt) or command.interrupted
        tell(f"gammalearn: interrupted{hint}.", sys.stderr)
        # Another signal than Ctrl-C has a status of its own.
        return getattr(interrupt, "status", INTERRUPTED)
    return status or 0


def _full_disk(error: OSError) -> OutputError:
    """What a library could not write, such as numba, which keeps what it has compiled."""
    compiled = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parents[1]
    full = OutputError(
        f"A file cannot be written ({reason(error)}); make room on the disks of the output, "
        f"of your home folder and of '{compiled}' (compiled code, see NUMBA_CACHE_DIR), then "
        "repeat the command."
    )
    full.__cause__ = error
    return full


def make_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of the command line, and that of each command by its name."""
    parser = argparse.ArgumentParser(
        prog="gammalearn",
        description="Deep-learning event reconstruction for Cherenkov telescopes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gammalearn {__version__}")
    parser.add_argument(
        OPTION,
        action=PrintCompletion,
        choices=SHELLS,
        help="print what lets this shell complete commands, options and files",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = _common_options()
    for command in COMMANDS:
        sub = commands.add_parser(
            command.name,
            parents=[common],
            help=command.description.rstrip("."),
            description=command.description,
        )
        sub.set_defaults(command=command)
        command.add_arguments(sub)
    return parser, commands.choices


def _common_options() -> argparse.ArgumentParser:
    """The options of all commands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="print more messages; -vv also prints tracebacks",
    )
    common.add_argument(
        "-q", "--quiet", action="store_true", help="print errors only, no progress bars"
    )
    return common
