"""Children that read files: what they answer, and what is left where they die."""

import faulthandler
import os
import signal
import time
from pathlib import Path

import pytest

from gammalearn.errors import InputFileError, OutputError
from gammalearn.io.isolated import isolated, read_isolated

FILES = [Path(name) for name in ("a.h5", "b.h5", "c.h5", "d.h5", "e.h5")]


def name_and_process(path):
    return path.name, os.getpid()


def crash_at_b(path):
    if path.name.startswith("b"):
        faulthandler.disable()  # pytest's
        os.kill(os.getpid(), signal.SIGSEGV)
    return path.name


def slow_first(path):
    time.sleep(0.2 if path.name == "a.h5" else 0)
    return path.name


def refuse(path):
    raise OutputError(f"'{path}' is full.")


def test_one_child_reads_all_files():
    answers = list(isolated(name_and_process, FILES))
    assert [name for name, _ in answers] == [path.name for path in FILES]
    assert len({process for _, process in answers}) == 1
    assert os.getpid() not in {process for _, process in answers}


def test_answers_are_in_order_whatever_is_done_first():
    assert list(isolated(slow_first, FILES, 3)) == [path.name for path in FILES]


def refuse_b(path):
    if path.name == "b.h5":
        raise InputFileError(str(os.getpid()))
    return os.getpid()


def test_who_has_failed_reads_no_other_file():
    """Damage may leave the library that reads files in no state to read another."""
    first, failed, *others = isolated(refuse_b, FILES)
    assert str(failed) == str(first)
    assert len(set(others)) == 1 and others[0] != first


@pytest.mark.parametrize("processes", [1, 2, 8])
def test_a_death_is_of_the_file_that_was_read(processes):
    first, second, *others = isolated(crash_at_b, [*FILES, Path("b2.h5")], processes)
    *others, last = others
    assert [first, *others] == ["a.h5", "c.h5", "d.h5", "e.h5"]
    for answer, name in ((second, "b.h5"), (last, "b2.h5")):
        assert isinstance(answer, InputFileError)
        assert str(answer).startswith(f"'{name}' is damaged") and "-11" in str(answer)


def test_who_was_killed_may_have_wanted_memory():
    with pytest.raises(InputFileError, match="process that read 'x.h5' was killed, .*memory"):
        read_isolated(lambda path: os.kill(os.getpid(), signal.SIGKILL), Path("x.h5"))


def test_errors_of_ours_are_answers_and_others_are_raised():
    (answer,) = isolated(refuse, [Path("x.h5")])
    assert isinstance(answer, OutputError) and str(answer) == "'x.h5' is full."
    with pytest.raises(OutputError, match=r"'x\.h5' is full"):
        read_isolated(refuse, Path("x.h5"))
    with pytest.raises(ZeroDivisionError) as raised:
        read_isolated(lambda path: 1 / 0, Path("x.h5"))
    assert "test_isolated.py" in raised.value.__notes__[0]


def test_no_child_is_left_behind():
    """Also where the answers are not waited for."""
    answers = isolated(name_and_process, FILES, 2)
    _, process = next(answers)
    answers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
