"""What several commands tell."""

import argparse
import sys
import traceback
from pathlib import Path

from ..errors import GammaLearnError
from ..io.printable import tell

__all__ = ["tell_error", "tell_results"]


def tell_results(arguments: argparse.Namespace, page: Path) -> None:
    """Say where the results are."""
    if not arguments.quiet:
        # A pre-training has no report.
        tell(f"Results are in {page.parent}" + (f"; open {page}." if page.exists() else "."))


def tell_error(error: GammaLearnError, verbose: int) -> None:
    """Print what a user can mend; with ``-vv`` after what it was caused by, in any process."""
    if verbose > 1:
        tell("".join(traceback.format_exception(error)), sys.stderr)
    tell(f"gammalearn: {error}", sys.stderr)
