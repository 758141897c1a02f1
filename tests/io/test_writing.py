"""Files appear whole or not at all, and one process at a time writes them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from gammalearn.errors import OutputError
from gammalearn.io import writing
from gammalearn.io.writing import make_folder, whole_file, write_whole
from gammalearn.run.folder import opened_folder


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")

    def fail(beside):
        beside.write_text("half")
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        write_whole(path, fail)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("metrics.json", "old")]


def test_the_suffix_is_kept_while_writing(tmp_path):
    seen = []
    write_whole(tmp_path / "a.ecsv", lambda p: (seen.append(p.suffix), p.write_text("x")))
    assert seen == [".ecsv"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.ecsv"]


def test_what_a_killed_process_has_left_is_not_there(tmp_path):
    """Some libraries, ctapipe's among them, do not replace a file."""
    (tmp_path / ".a.part.json").write_text("half")
    write_whole(tmp_path / "a.json", lambda part: part.open("x").write("whole"))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "whole")]


def test_a_folder_cannot_be_made_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"The output folder '.*file/out' cannot be made"):
        make_folder(tmp_path / "file" / "out")


def test_a_file_cannot_replace_a_folder(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OutputError, match=r"The file '.*report.html' cannot be written"):
        write_whole(tmp_path / "report.html", lambda p: p.write_text("x"))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


class TestTwoProcesses:
    """The second one is told, and harms nothing; what was killed is in nobody's way."""

    @pytest.fixture
    def other(self):
        """Function that has another process write something, until it is killed."""
        started = []

        def begin(statement):
            code = (
                "import sys, time; from pathlib import Path; "
                "from gammalearn.io.writing import whole_file; "
                "from gammalearn.run.folder import opened_folder\n"
                f"with {statement} as part:\n"
                "    part and part.write_text('half')\n"
                "    print('writing', flush=True); time.sleep(600)"
            )
            words = [sys.executable, "-c", code]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            started.append(process)
            assert process.stdout.readline() == "writing\n"
            return process

        yield begin
        for process in started:
            process.kill()
            process.communicate()

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch):
        monkeypatch.setattr(writing, "PATIENCE", 0)

    def test_of_one_file(self, tmp_path, other):
        path = tmp_path / "a.json"
        first = other(f"whole_file(Path({str(path)!r}))")
        with pytest.raises(OutputError, match=r"Another process is writing '.*a\.json'; wait"):
            write_whole(path, lambda part: part.write_text("other"))
        assert (tmp_path / ".a.part.json").read_text() == "half"
        # Another file of the folder is free.
        write_whole(tmp_path / "b.json", lambda part: part.write_text("b"))
        first.send_signal(signal.SIGKILL)
        first.wait()
        write_whole(path, lambda part: part.write_text("whole"))
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
            "a.json": "whole",
            "b.json": "b",
        }

    def test_of_one_run(self, tmp_path, other):
        (tmp_path / "metrics.json").write_text("of the first")
        first = other(f"opened_folder(Path({str(tmp_path)!r}), resume=True)")
        with (
            pytest.raises(OutputError, match="Another process is writing"),
            opened_folder(tmp_path),
        ):
            pass
        assert (tmp_path / "metrics.json").read_text() == "of the first"
        first.send_signal(signal.SIGKILL)
        first.wait()
        with opened_folder(tmp_path):
            assert [p.name for p in tmp_path.iterdir()] == [".lock"]
        assert list(tmp_path.iterdir()) == []

    def test_that_wait_for_each_other(self, tmp_path, monkeypatch):
        """Of a process that has just ended, or soon does."""
        monkeypatch.setattr(writing, "PATIENCE", 60)
        path = tmp_path / "a.json"
        child = os.fork()
        if child == 0:
            with whole_file(path) as part:
                part.write_text("first")
                (tmp_path / "begun").write_text("")
                time.sleep(0.5)
            os._exit(0)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        with whole_file(path) as part:
            part.write_text(path.read_text() + ", then second")
        os.waitpid(child, 0)
        assert path.read_text() == "first, then second"


def test_a_lock_that_leads_elsewhere_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".a.json.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OutputError, match=r"a\.json' cannot be written"):
        write_whole(tmp_path / "a.json", lambda part: part.write_text("x"))
    assert (tmp_path / "precious").read_text() == "mine"
