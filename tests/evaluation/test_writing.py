"""Files appear whole or not at all."""

import pytest

from gammalearn.errors import OutputError
from gammalearn.evaluation.writing import make_folder, write_whole


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


def test_a_folder_cannot_be_made_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"The output folder '.*file/out' cannot be made"):
        make_folder(tmp_path / "file" / "out")


def test_a_file_cannot_replace_a_folder(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OutputError, match=r"The file '.*report.html' cannot be written"):
        write_whole(tmp_path / "report.html", lambda p: p.write_text("x"))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
