"""Settings, cuts and checkpoints that want too much: one sentence, and at once."""

import math
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
import yaml
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from gammalearn.checkpoint.trained import KEY
from gammalearn.cli import main
from gammalearn.data.index.cuts import passes
from gammalearn.errors import CutError, SettingsError
from gammalearn.evaluation.report.provenance import InputFile
from gammalearn.io import plain_yaml
from gammalearn.io.printable import printable
from gammalearn.machine import cores
from gammalearn.models import find_checkpoint

#: Ten to the ninth values in ten lines.
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)

HOSTILE = {
    "bomb": BOMB,
    "merged": "a: &a {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [{', '.join(['*a'] * 400)}]}}\n"
                                         for n in range(400)),
    "deep": "[" * 100_000,
    "deeper": "- " * 5000 + "x",
    "itself": "a: &a [*a]",
    "object": "!!python/object/apply:os.mkdir [ran]",
    "date": "data: 2020-99-99",
    "unhashable": "{[1]: 2, {}: 3}",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_settings(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(HOSTILE[name])
    assert main(["run", "x.yaml"]) == 2
    assert "'x.yaml' is not YAML" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_aliases_that_stand_for_few_values_are_read():
    assert plain_yaml.load("a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}") == {
        "a": {"x": [1, 2]},
        "b": {"x": [1, 2]},
        "c": {"x": [1, 2], "y": 3},
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_other_yaml_is_as_ever(value):
    text = yaml.safe_dump(value)
    assert plain_yaml.load(text) == yaml.safe_load(text)


@pytest.mark.parametrize("settings", ["", "[]", "training: 3", "training: {seed: x}", BOMB, "["])
def test_settings_in_dl2(settings):
    assert InputFile("x", "0", settings=settings).seed is None


@pytest.mark.parametrize(
    "cut",
    ["9**9**9**9**9 > 1", "1 < 2**-1", "a > " + "9" * 30 + "**9999", "~" * 900 + "(a > 1)",
     "a > 1" + " + 1" * 300, "a @ a > 1", "a // 0 > 1", "a > 1j", "a < b'x'", "a << 99 > 1"],
)  # fmt: skip
def test_cuts_end(cut):
    """Each either means something or is refused."""
    with suppress(CutError):
        passes([cut], Table({"a": [1.0, 2.0]}), "x")


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ("(a > 1) & (n % 2 == 1)", [False, False, True]),
        ("(a > 1) | (name == 'x')", [True, True, True]),
        ("~(name != 'x')", [True, False, False]),
        ("log10(a) + abs(-n) / 2 >= 1.5", [False, False, True]),
        ("where(n > 1, a, 0) ** 2 > 3", [False, True, True]),
        ("f > 0.1", [True, True, True]),
        ("n / 2 == 0.5", [True, False, False]),
    ],
)
def test_cuts_mean_what_they_say(cut, expected):
    columns = Table({"a": [1.0, 2.0, 3.0], "n": [1, 2, 3], "name": ["x", "y", "z"]})
    columns["f"] = np.full(3, 0.1, dtype=np.float32)  # a little more than 0.1
    assert passes([cut], columns, "x").tolist() == expected


class TestCheckpoints:
    @pytest.fixture
    def changed(self, tmp_path):
        """Function that gives a copy of a shipped network after ``change(state)``."""

        def make(change):
            state = torch.load(find_checkpoint("lst4-stereo"), weights_only=True)
            change(state)
            path = tmp_path / "changed.ckpt"
            torch.save(state, path)
            return path

        return make

    @pytest.mark.parametrize(
        "values",
        [
            {"versions": None},
            {"versions": {"gammalearn": ["\x1b[2J"]}},
            {"versions": []},
            {"trained_on": None},
            {"trained_on": {"files": 3, "events": {}}},
            {"trained_on": {"files": [], "events": {"gamma": "many"}}},
            {"settings": BOMB},
            {"settings": "network: {embedding: 1000000000}"},
            {"settings": "network: {widths: [4, 4, 1.0e+300]}"},
            {"settings": None},
            {"settings": "["},
            {"cameras": [1]},
        ],
    )
    def test_what_they_say(self, values, changed, capsys):
        path = changed(lambda state: state[KEY].update(values))
        assert main(["info", str(path)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and str(path) in said and "\x1b" not in said

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_weights_that_are_no_numbers(self, value, changed, capsys):
        def spoil(state):
            name = next(n for n, v in state["state_dict"].items() if v.is_floating_point())
            state["state_dict"][name].view(-1)[0] = value

        path = changed(spoil)
        assert main(["info", str(path)]) == 2
        said = capsys.readouterr().err
        assert str(path) in said and "is not finite" in said and said.count("\n") == 1


def test_the_terminal_is_left_alone(tmp_path, capsys):
    name = "\x1b]0;owned\x07\x1b[2J\u202efdp.h5"
    assert main(["info", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert "\\x1b]0;owned\\x07\\x1b[2J\\u202efdp.h5" in said and "\x1b" not in said
    assert main(["run", str(tmp_path / f"{name}.yaml")]) == 2
    assert "\x1b" not in capsys.readouterr().err
    assert printable("Ĉerenkov\tγ\n✦") == "Ĉerenkov\tγ\n✦"
    assert printable("\udcff") == "\\udcff"


def test_warnings_and_the_log_leave_it_alone_too(data_dir, tmp_path, capfd):
    """Of a file that is left out, and of what a library warns of; a traceback as well."""
    name = "\x1b]0;owned\x07.h5"
    (tmp_path / name).write_bytes(b"no HDF5")
    whole = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    output = str(tmp_path / "dl2")
    files = [str(tmp_path / name), str(whole)]
    skip = ["--set", "data.on_error=skip"]
    assert main(["predict", "lst4-stereo", *files, "-o", output, *skip]) == 0
    assert "Skipped: " in (said := capfd.readouterr().err)
    assert "\\x1b]0;owned\\x07.h5" in said and "\x1b]0;" not in said
    assert main(["info", files[0], "-vv"]) == 2
    assert "Traceback" in (said := capfd.readouterr().err) and "\x1b" not in said
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit(name, UserWarning, "x.py", 1)
    assert name not in warnings.formatwarning(name, UserWarning, "x.py", 1)


class TestTooMuch:
    """What is asked for by settings, layouts and checkpoints, refused before it is tried."""

    @pytest.mark.parametrize(
        "setting",
        ["network.embedding=1000000000", "network.widths=[8, 1000000000, 8]",
         "network.head=1000000000", "network.blocks=1000000000", "network.fusion_layers=1000000",
         "network.keypoints=1000000000", f"network.widths={[8] * 1000}"],
    )  # fmt: skip
    def test_features(self, setting, tmp_path, capsys):
        (tmp_path / "x.yaml").write_text("{}")
        assert main(["run", str(tmp_path / "x.yaml"), "--set", setting]) == 2
        said = capsys.readouterr().err
        assert setting.partition("=")[0] in said and said.count("\n") == 1 and len(said) < 300

    @pytest.mark.parametrize("command", ["run", "baseline", "lr-range"])
    def test_workers(self, command, data_dir, tmp_path, capsys):
        dl1 = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
        (tmp_path / "x.yaml").write_text(
            f"data: {{train: ['{dl1}'], test: ['{dl1}']}}\ntraining: {{workers: 100000}}"
        )
        assert main([command, str(tmp_path / "x.yaml"), "-o", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert "training.workers=100000 is more than" in said
        assert "set at most" in said and said.count("\n") == 1

    def test_workers_are_counted_by_cores(self, monkeypatch):
        monkeypatch.setattr(cores, "usable_cores", lambda: 8)
        cores.check_workers(32)
        with pytest.raises(SettingsError, match="set at most 32"):
            cores.check_workers(33)
        monkeypatch.setattr(cores, "usable_cores", lambda: 1)
        cores.check_workers(16)

    def test_telescopes(self, tmp_path, capsys):
        places = [{"type": "LST", "x": 30.0 * n, "y": 0.0, "z": 0.0} for n in range(300)]
        path = tmp_path / "many.yaml"
        path.write_text(yaml.safe_dump({"height": 2158.0, "telescopes": 10 * places}))
        words = ["simulate", "--particle", "gamma", "--n-showers", "1", "--energy", "1TeV", "2TeV"]
        output = str(tmp_path / "x.dl1.h5")
        assert main([*words, "--array", str(path), "-o", output]) == 2
        said = capsys.readouterr().err
        assert "it has 3000 telescopes, and at most 256 can be simulated" in said
        assert said.count("\n") == 1 and len(said) < 300


class TestExperimentsThatEnd:
    """An experiment file that calls exit() would look like a run that was done."""

    @pytest.mark.parametrize("line", ["exit()", "raise SystemExit", "import sys; sys.exit(0)"])
    def test_the_file_itself(self, line, tmp_path, capsys):
        path = tmp_path / "x.py"
        path.write_text(f"a = 1\n{line}\n")
        for command in ("run", "lr-range"):
            assert main([command, str(path), "-o", str(tmp_path / "out")]) == 2
            said = capsys.readouterr().err
            assert said.startswith(f"gammalearn: The settings file '{path}' cannot be run: x.py, ")
            assert "line 2: it calls exit()" in said and said.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_a_module_that_it_imports(self, tmp_path, capsys):
        (tmp_path / "ending.py").write_text("exit()")
        (tmp_path / "x.py").write_text("import ending")
        assert main(["run", str(tmp_path / "x.py")]) == 2
        assert "ending.py, line 1: it calls exit()" in capsys.readouterr().err
