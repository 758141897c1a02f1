"""Which messages and warnings a command shows, and how."""

import logging
import sys
import warnings

from ..io.printable import PrintableFormatter, format_warning

__all__ = ["configure_logging"]

#: How warnings of libraries begin that are not shown, and why.
SILENCED = {
    "Cannot merge meta key 'CTAPIPE_VERSION'": "files of several releases have the same columns",
}


def configure_logging(verbose: int, quiet: bool) -> None:
    """Show messages of a level, without control characters.

    Parameters
    ----------
    verbose : int
        1 for more messages, 2 for all.
    quiet : bool
        Show errors only.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    level = logging.ERROR if quiet else level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    warnings.formatwarning = format_warning
    # Of other packages warnings at the most.
    logging.getLogger().setLevel(max(level, logging.WARNING))
    logging.getLogger("gammalearn").setLevel(level)
    if quiet:
        warnings.simplefilter("ignore")
    elif verbose < 2:
        for beginning in SILENCED:
            warnings.filterwarnings("ignore", message=beginning)
