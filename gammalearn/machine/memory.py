"""What the process does with memory that it no longer needs."""

import ctypes
import platform

__all__ = ["keep_freed_memory"]

#: Of glibc's ``mallopt`` (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

#: The largest threshold that glibc takes: blocks from this size on always go back.
LARGEST_THRESHOLD = 32 * 2**20


def keep_freed_memory() -> None:
    """Keep freed memory for what is allocated next, from now on in this process.

    A step of training or reconstruction frees what the next one needs again. By itself glibc hands
    it back, and the kernel clears each page when it comes again: a sixth of the time of a training
    step on a CPU. Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
