"""The command line: each command has a file with its arguments and what it does, without logic.

What is wrong with a command is found first, without what takes seconds to import: each command
checks settings and names, and then imports what does the work.
"""

from .program import main, make_parsers

__all__ = ["main", "make_parsers"]
