"""YAML of plain values, and not more of them than a file of settings has."""

import math
from typing import Any

import yaml

__all__ = ["load"]

#: Characters, values in values, and values in all, those of aliases counted each time: a few lines
#: of aliases to aliases stand for more values than any memory holds.
LONGEST, DEEPEST, MOST = 10_000_000, 50, 100_000


class _Loader(yaml.SafeLoader):
    """Counts as it composes."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.count: float = 0
        self.counts: dict[int, float] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        before, is_alias = self.count, self.check_event(yaml.AliasEvent)
        self.depth += 1
        self.count += 1
        self._check()
        node = super().compose_node(parent, index)
        self.depth -= 1
        if is_alias:
            # What is not complete yet holds itself.
            self.count += self.counts.get(id(node), math.inf)
            self._check()
        self.counts[id(node)] = self.count - before
        return node

    def _check(self) -> None:
        if self.depth > DEEPEST or self.count > MOST:
            raise yaml.YAMLError("too many values, or too deep in each other")


def load(text: str) -> Any:
    """The plain values of a YAML text.

    Parameters
    ----------
    text : str

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, or too long, too deep or of too many values.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise yaml.YAMLError("no text, or too long a one")
    try:
        return yaml.load(text, Loader=_Loader)
    except (ValueError, RecursionError, TypeError, OverflowError) as error:
        # Dates and numbers that there are none of.
        raise yaml.YAMLError(str(error)) from error
