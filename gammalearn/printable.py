"""Text that moves no cursor."""

import re

__all__ = ["printable"]

#: Control characters but tabs and ends of lines, and those that turn the direction of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with control characters, as names in files may have them, written out.

    Parameters
    ----------
    text : str
    """
    text = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
    # Names of files that are no UTF-8.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
