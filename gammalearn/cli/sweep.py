"""``gammalearn sweep``."""

import argparse
import sys
from pathlib import Path

from ..io.printable import tell
from .command import Command
from .options import add_results, add_set, add_settings, count

__all__ = ["SWEEP"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument(
        "--grid",
        metavar="A.B=VALUE,VALUE",
        action="append",
        default=[],
        help="values of a setting; if given several times, all combinations are run",
    )
    parser.add_argument(
        "--seeds", metavar="N", type=count, default=1, help="number of seeds for each combination"
    )
    add_set(parser)
    add_results(parser, "the runs and the table")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--slurm", action="store_true", help="print a script for sbatch; run nothing"
    )
    instead.add_argument(
        "--index", metavar="N", type=int, help="do only run number N, counted from 0"
    )
    instead.add_argument(
        "--summary", action="store_true", help="summarise finished runs; run nothing"
    )


def sweep(arguments: argparse.Namespace) -> None:
    """Run an experiment with several settings and seeds, and summarise the results."""
    from ..run.sweep import Sweep, refuse_failures, run_all, run_one, slurm_script, write_summary

    runs = Sweep(
        arguments.settings, arguments.grid, arguments.seeds, arguments.set, arguments.imports
    )
    output = Path(arguments.output)
    if arguments.slurm:
        # For a shell, as it is.
        sys.stdout.write(slurm_script(runs, output))
    elif arguments.index is not None:
        run_one(runs[arguments.index], output, progress=not arguments.quiet)
    else:
        failed = {} if arguments.summary else run_all(runs, output, not arguments.quiet)
        if len(failed) < len(runs.runs):
            tell(write_summary(runs, output, failed))
        refuse_failures(runs, failed)


SWEEP = Command(sweep, _add_arguments)
