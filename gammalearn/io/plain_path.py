"""Paths that ctapipe takes as they are.

ctapipe reads a path as a URL that may hold variables: it cuts it at ``;``, ``?`` and ``#``, so that
another file is written or replaced, and looks on the web for a name that begins like an address.
"""

from functools import cache
from pathlib import Path

from ctapipe.core import Component
from ctapipe.core.traits import Path as PathOrUrl
from traitlets import HasTraits

__all__ = ["with_plain_paths"]


class _PlainPath(PathOrUrl):
    """A path whose characters all belong to the names of folders and files."""

    def validate(self, obj: HasTraits, value: str | Path | None) -> Path | None:
        return value if value is None else self._check_path(Path(value))


@cache
def with_plain_paths(component: type[Component], *names: str) -> type[Component]:
    """A component of ctapipe that takes the paths of these names as they are.

    Parameters
    ----------
    component : type of ctapipe.core.Component
    *names : str
        Of its settings, such as ``output_path``.
    """
    settings = {
        name: _PlainPath(help=component.class_traits()[name].help).tag(config=True)
        for name in names
    }
    return type(component.__name__, (component,), settings)
