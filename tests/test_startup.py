"""What a command imports before it answers: counted, as seconds depend on the machine."""

import json
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


#: Commands, one after the other: each in a process of its own, as the command line alone leaves it.
EACH_COMMAND = """
import contextlib, io, json, os, sys
from gammalearn.__main__ import main

for words in json.load(sys.stdin):
    reading, writing = os.pipe()
    if os.fork() == 0:
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(None):
            status = main(words)
        with os.fdopen(writing, "w") as answer:
            json.dump([status, said.getvalue(), sorted(sys.modules)], answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        print(answer.read(), flush=True)
    os.wait()
"""

#: Commands that are wrong, and what is said of them; the last is right.
WRONG = {
    "SETTINGS --set training.epoch=3": "did you mean 'epochs'?",
    "nothing.yaml": "does not exist",
    "trian SETTINGS": "did you mean 'run'?",
    "sweep SETTINGS --grid training.epoch=3,4 -o out": "did you mean 'epochs'?",
    "baseline SETTINGS --set tasks.energy.weigth=2 -o out": "did you mean 'weight'?",
    "lr-range SETTINGS --set data.trian=[] -o out": "did you mean 'train'?",
    "info nothing.dl1.h5": "does not exist",
    "info nothing.ckpt": "does not exist",
    "show nothing.dl1.h5 --event 1 -o event.png": "does not exist",
    "predict nothing.ckpt gamma.dl1.h5 -o out": "does not exist",
    "predict lst4-stereo gamma.dl1.h5 -o out": "does not exist",
    "export nothing.ckpt": "does not exist",
    "evaluate nothing.dl2.h5 -o out": "does not exist",
    "dl3 nothing.dl2.h5 --irf irf.fits.gz -o out": "does not exist",
    "dl3 SETTINGS --irf nothing.fits.gz -o out": "does not exist",
    "observe nothing.dl1.h5 lst4-stereo --irf irf.fits.gz -o out": "does not exist",
    "evaluate SETTINGS -o out --set evaluation.signl=proton": "did you mean 'signal'?",
    "compare a b -o out --set evaluation.signl=proton": "did you mean 'signal'?",
    "simulate --particle gamma --n-showers 0 --energy 1 2 -o a.h5": "n_showers",
    "check nothing.yaml": "does not exist",
    "init nothing.dl1.h5": "does not exist",
    "init -o settings.yaml": "must end in .py",
    "models": "",
}


#: Commands that have something to do, and what they do it without.
NEEDLESS = {
    "info DL1": {"lightning", "matplotlib", "sklearn", "torch"},
    "show DL1 --event 1000 --obs-id 7 -o event.png": {"lightning", "sklearn", "torch"},
    "predict lst4-stereo DL1 -o dl2 -q": {"lightning", "matplotlib", "torchmetrics"},
}

#: Those that take longer, ended by a file that they are not for: what they need is imported before.
NEEDLESS_TO_READ = {
    "evaluate DL1 -o evaluation": {"lightning", "torch"},
    "compare DL1 DL1 -o comparison": {"lightning", "torch"},
}


def packages(modules):
    return {module.partition(".")[0] for module in modules}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where there are settings, and no files of events."""
    folder = tmp_path_factory.mktemp("startup")
    (folder / "settings.yaml").write_text("data: {train: [gamma.dl1.h5], test: [gamma.dl1.h5]}\n")
    return folder


def answers_of(commands, folder):
    """Exit status of each command, what was said, and the modules that were imported."""
    done = subprocess.run(
        [sys.executable, "-c", EACH_COMMAND],
        input=json.dumps([list(map(str, words)) for words in commands]),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return list(map(json.loads, done.stdout.splitlines()))


@pytest.fixture(scope="module")
def answers(folder):
    """Those of the commands that are wrong."""
    words = [command.replace("SETTINGS", "settings.yaml").split() for command in WRONG]
    return dict(zip(WRONG, answers_of(words, folder), strict=True))


@pytest.mark.parametrize("command", WRONG)
def test_what_is_wrong_with_a_command_is_said_before_slow_imports(answers, command):
    status, said, modules = answers[command]
    assert status == (2 if WRONG[command] else 0) and WRONG[command] in said, said
    assert not packages(modules) & SLOW
    assert 50 < len(modules) < MOST_MODULES


@pytest.mark.parametrize("command", [*NEEDLESS, *NEEDLESS_TO_READ])
def test_commands_import_what_they_need_alone(command, data_dir, tmp_path):
    file = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    words = [file if word == "DL1" else word for word in command.split()]
    ((status, said, modules),) = answers_of([words], tmp_path)
    assert status == (0 if command in NEEDLESS else 2), said
    assert command in NEEDLESS or "DL2" in said, said
    assert not packages(modules) & {**NEEDLESS, **NEEDLESS_TO_READ}[command]
    assert "ctapipe" in packages(modules)


def test_a_run_says_that_it_begins_before_slow_imports(folder):
    """Of what comes after, this test waits for nothing: the first file is not there."""
    command = [sys.executable, "-u", "-X", "importtime", "-m", "gammalearn", "settings.yaml"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        before = set()
        for line in process.stdout:
            if line.startswith("Running"):
                break
            before.update(re.findall(r"\| +(\S+)$", line.rstrip()))
        process.kill()
    assert line == "Running 'settings.yaml'; results go to 'runs/settings'.\n"
    assert len(before) > 50 and not packages(before) & SLOW


IMPORT = """
import json, sys
import gammalearn
{lines}
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize(
    ("lines", "most"), [("", 120), ("dir(gammalearn)", 120), ("gammalearn.Experiment()", 600)]
)
def test_the_package_imports_what_is_asked_for(tmp_path, lines, most):
    command = [sys.executable, "-c", IMPORT.format(lines=lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    modules = json.loads(done.stdout)
    assert not packages(modules) & SLOW
    assert len(modules) < most


def test_a_table_of_dl2_needs_no_torch(tmp_path):
    command = [sys.executable, "-c", IMPORT.format(lines="gammalearn.evaluate, gammalearn.compare")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not packages(json.loads(done.stdout)) & {"lightning", "torch"}
