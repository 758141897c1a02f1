"""TensorBoard's files, which no training ends for."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment

__all__ = ["Board", "quiet_board"]

log = logging.getLogger(__name__)


class Board(TensorBoardLogger):
    """Sends figures and pictures to TensorBoard as long as they can be written.

    Where they cannot, as on a full disk, a warning says so once and the training goes on without.

    Parameters
    ----------
    folder : Path
        Of the run; the files lie in its folder ``tensorboard``.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="", version="tensorboard")
        self._lost = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """What figures and pictures are sent to, TensorBoard's writer."""
        return _Forgiving(self)

    def forgive(self, call: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Call what writes, unless writing has failed before."""
        if self._lost:
            return
        try:
            call(*arguments, **options)
        except OSError as error:
            self._lost = True
            log.warning(
                "'%s' cannot be written (%s); the training goes on without TensorBoard.",
                self.log_dir, error.strerror or error,
            )  # fmt: skip

    def writer(self) -> Any:
        """TensorBoard's own writer, made when something is written for the first time."""
        return super().experiment

    def save(self) -> None:
        self.forgive(super().save)


class _Forgiving:
    """The methods of TensorBoard's writer, whose failures are told and no more."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            def write() -> None:
                getattr(self._board.writer(), name)(*arguments, **options)

            self._board.forgive(write)

        return call


@contextmanager
def quiet_board() -> Iterator[None]:
    """Have the thread that writes for TensorBoard print no traceback: what it fails by is raised
    where something is sent to it, and told there."""
    before = threading.excepthook

    @wraps(before)
    def print_others(failure: threading.ExceptHookArgs) -> None:
        if not type(failure.thread).__module__.startswith("tensorboard."):
            before(failure)

    threading.excepthook = print_others
    try:
        yield
    finally:
        threading.excepthook = before
