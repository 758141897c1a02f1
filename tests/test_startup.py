"""What a command imports before it answers: counted, as seconds depend on the machine."""

import re
import subprocess
import sys

import pytest

#: Packages that take from half a second to some seconds, and the first to come with each other.
SLOW = {
    "astropy",
    "ctapipe",
    "lightning",
    "matplotlib",
    "numba",
    "scipy",
    "sklearn",
    "tables",
    "torch",
}

#: What the command line, pydantic and YAML take.
MOST_MODULES = 600


def imported(*words, cwd):
    """Exit status, what was said, and the modules that a command imported."""
    command = [sys.executable, "-X", "importtime", "-m", "gammalearn", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    lines = done.stderr.splitlines()
    said = "\n".join(line for line in lines if not line.startswith("import time:"))
    modules = re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
    return done.returncode, said, set(modules)


def packages(modules):
    return {module.partition(".")[0] for module in modules}


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("data: {train: [gamma.dl1.h5], test: [gamma.dl1.h5]}\n")
    return path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("SETTINGS --set training.epoch=3", "did you mean 'epochs'?"),
        ("nothing.yaml", "does not exist"),
        ("trian SETTINGS", "did you mean 'run'?"),
        ("sweep SETTINGS --grid training.epoch=3,4 -o out", "did you mean 'epochs'?"),
        ("baseline SETTINGS --set tasks.energy.weigth=2 -o out", "did you mean 'weight'?"),
        ("lr-range SETTINGS --set data.trian=[] -o out", "did you mean 'train'?"),
        ("info nothing.dl1.h5", "does not exist"),
        ("info nothing.ckpt", "does not exist"),
        ("show nothing.dl1.h5 --event 1 -o event.png", "does not exist"),
        ("predict nothing.ckpt gamma.dl1.h5 -o out", "does not exist"),
        ("predict lst4-stereo gamma.dl1.h5 -o out", "does not exist"),
        ("export nothing.ckpt", "does not exist"),
        ("evaluate nothing.dl2.h5 -o out", "does not exist"),
        ("evaluate SETTINGS -o out --set evaluation.signl=proton", "did you mean 'signal'?"),
        ("compare a b -o out --set evaluation.signl=proton", "did you mean 'signal'?"),
        ("simulate --particle gamma --n-showers 0 --energy 1 2 -o a.h5", "n_showers"),
        ("models", ""),
    ],
)
def test_what_is_wrong_with_a_command_is_said_before_slow_imports(
    settings, tmp_path, words, expected
):
    words = [settings if word == "SETTINGS" else word for word in words.split()]
    status, said, modules = imported(*words, cwd=tmp_path)
    assert status == (2 if expected else 0) and expected in said, said
    assert not packages(modules) & SLOW
    assert 50 < len(modules) < MOST_MODULES


def test_a_look_at_a_file_needs_no_torch(data_dir, tmp_path):
    file = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    status, said, modules = imported("info", file, cwd=tmp_path)
    assert status == 0, said
    assert not packages(modules) & {"lightning", "matplotlib", "sklearn", "torch"}


def test_a_run_says_that_it_begins_before_slow_imports(settings, tmp_path):
    """Of what comes after, this test waits for nothing: the first file is not there."""
    command = [sys.executable, "-u", "-X", "importtime", "-m", "gammalearn", str(settings)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        before = set()
        for line in process.stdout:
            if line.startswith("Running"):
                break
            before.update(re.findall(r"\| +(\S+)$", line.rstrip()))
        process.kill()
    assert line == f"Running '{settings}'; results go to 'runs/settings'.\n"
    assert len(before) > 50 and not packages(before) & SLOW
