"""``gammalearn models``."""

import argparse

from ..io.printable import tell
from .command import Command

__all__ = ["MODELS"]


def models(arguments: argparse.Namespace) -> None:
    """List the networks that come with GammaLearn."""
    from ..models import overview

    tell(overview())


MODELS = Command(models)
