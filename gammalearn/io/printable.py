"""Text that moves no cursor: the one way to the terminal, for names in files may hold anything."""

import logging
import re
import sys
import warnings
from typing import Any, TextIO

__all__ = ["PrintableFormatter", "format_warning", "printable", "tell"]

#: Control characters but tabs and ends of lines, and those that turn the direction of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_format_warning = warnings.formatwarning


def printable(text: str) -> str:
    """The text with control characters, as names in files may have them, written out.

    Parameters
    ----------
    text : str
    """
    text = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
    # Names of files that are no UTF-8.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def tell(text: object, file: TextIO | None = None) -> None:
    """Print a text at once, its control characters written out.

    Parameters
    ----------
    text : object
        As ``str`` has it.
    file : text file, optional
        By default standard output.
    """
    print(printable(str(text)), file=file or sys.stdout, flush=True)


class PrintableFormatter(logging.Formatter):
    """Writes log messages with their control characters written out."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def format_warning(*warning: Any, **line: Any) -> str:
    """As ``warnings.formatwarning``, with control characters written out."""
    return printable(_format_warning(*warning, **line))
