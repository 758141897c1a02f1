"""Sizes of files and of memory, in words."""

__all__ = ["size_in_words"]


def size_in_words(n_bytes: float) -> str:
    """A number of bytes with its unit, such as ``1.23 MB``.

    Parameters
    ----------
    n_bytes : float
    """
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes:.0f} bytes"
