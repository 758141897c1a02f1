"""What is printed may go to a program that reads a part of it, as ``head`` does."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [["models"], ["--help"], ["run", "--help"]])
def test_whoever_has_read_enough_gets_no_traceback(words):
    program = subprocess.Popen(
        [sys.executable, "-m", "gammalearn", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    program.stdout.close()
    said = program.stderr.read().decode()
    assert program.wait() in (0, 141), said
    assert said == ""
