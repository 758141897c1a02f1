"""Shell completion: shells read it, where they are installed."""

import shutil
import subprocess
import sys

import pytest

from gammalearn.cli import main, make_parsers
from gammalearn.cli.completion import SHELLS


@pytest.fixture
def printed(capsys):
    """Function that gives the completion for a shell."""
    pytest.importorskip("shtab")

    def completion(shell):
        with pytest.raises(SystemExit) as ended:
            main(["--print-completion", shell])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return completion


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_has_all_commands(printed, shell):
    text = printed(shell)
    for name in make_parsers()[1]:
        assert name in text


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_can_read_it(printed, shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    path = tmp_path / "completion"
    path.write_text(printed(shell))
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def complete(script, words):
    """What bash offers for the last of these words."""
    lines = [
        f"source {script}",
        f"COMP_WORDS=({' '.join(words)})",
        "COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))",
        "_shtab_gammalearn",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True)
    return done.stdout.split()


def test_bash_completes_commands_and_options(printed, tmp_path):
    script = tmp_path / "completion"
    script.write_text(printed("bash"))
    assert complete(script, ["gammalearn", "ev"]) == ["evaluate"]
    assert "--overwrite" in complete(script, ["gammalearn", "predict", "--o"])
    assert complete(script, ["gammalearn", "compare", "--weights", "kon"]) == ["konrad"]


def test_bash_completes_files(printed, tmp_path, monkeypatch):
    script = tmp_path / "completion"
    script.write_text(printed("bash"))
    (tmp_path / "my_experiment.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert complete(script, ["gammalearn", "check", "my_"]) == ["my_experiment.py"]


def test_a_shell_that_is_not_known(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "tcsh"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err


def test_without_the_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 2
    assert capsys.readouterr().err == (
        "gammalearn: --print-completion needs the package shtab: pip install shtab.\n"
    )
