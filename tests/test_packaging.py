"""The files a user installs from tell one story: setup.py's, which the others are compared with."""

import ast
import importlib
import importlib.metadata
import importlib.util
import json
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import setuptools
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gammalearn

ROOT = Path(__file__).resolve().parents[1]

CONDA_NAMES = {"pytorch": "torch", "pytables": "tables", "python-blosc2": "blosc2"}

#: What the conda environment holds beyond setup.py's dependencies. torchvision is there so that pip
#: finds what IndexedConv asks for, and leaves the environment's torch alone.
ONLY_IN_CONDA = {"python", "pip", "torchvision"}


@pytest.fixture
def setup_arguments(monkeypatch):
    """What setup.py hands to setuptools."""
    captured = {}
    monkeypatch.setattr(setuptools, "setup", captured.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    return captured


@pytest.fixture
def required(setup_arguments):
    """Specifiers by package, of what users and the tests need."""
    extras = setup_arguments["extras_require"]
    return specifiers(setup_arguments["install_requires"] + extras["indexedconv"] + extras["test"])


@pytest.fixture
def documentation(setup_arguments):
    """Specifiers by package, of what the site and the distributions are built with."""
    extras = setup_arguments["extras_require"]
    return specifiers(extras["docs"] + extras["dist"])


@pytest.fixture
def conda_environment():
    """The dependencies in environment.yml, of conda and of its pip section."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    with_conda = [entry for entry in listed if isinstance(entry, str)]
    (with_pip,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    return with_conda, with_pip


def specifiers(lines):
    """Return {canonical name: specifier} of requirements, each of which may be named only once."""
    requirements = [Requirement(line) for line in lines]
    by_name = {canonicalize_name(entry.name): entry.specifier for entry in requirements}
    assert len(by_name) == len(requirements), f"named twice: {sorted(lines)}"
    return by_name


def test_version_is_the_packages(setup_arguments):
    assert setup_arguments["version"] == gammalearn.__version__


def test_citation_names_the_same_software(setup_arguments):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    codemeta = json.loads((ROOT / "codemeta.json").read_text())
    assert citation["version"] == codemeta["version"] == setup_arguments["version"]
    assert citation["license"] == setup_arguments["license_expression"]
    assert codemeta["license"].endswith(f"/{setup_arguments['license_expression']}")
    assert codemeta["description"] == setup_arguments["description"]


def test_conda_environment_holds_the_same_dependencies(required, conda_environment):
    with_conda, with_pip = conda_environment
    assert "-e ." in with_pip, "the environment should hold GammaLearn itself"
    listed = specifiers(with_conda + [line for line in with_pip if line != "-e ."])
    renamed = {CONDA_NAMES.get(name, name): bounds for name, bounds in listed.items()}
    assert {
        name: bounds for name, bounds in renamed.items() if name not in ONLY_IN_CONDA
    } == required


@pytest.mark.parametrize(
    ("python", "ctapipe"), [("3.11", "0.28"), ("3.12", "0.32"), ("3.13", "0.32"), ("3.14", "0.32")]
)
def test_every_dependency_is_pinned_within_its_bounds(required, documentation, python, ctapipe):
    """For each Python once, and to the newest ctapipe that it can have."""
    required = required | documentation
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = (Requirement(line) for line in lines if not line.startswith("#"))
    here = {"python_version": python}
    pins = specifiers(
        f"{pin.name}{pin.specifier}"
        for pin in pinned
        if pin.marker is None or pin.marker.evaluate(here)
    )
    assert set(pins) == set(required)
    assert str(pins["ctapipe"]).startswith(f"=={ctapipe}.")
    for name, pin in pins.items():
        (clause,) = pin
        assert clause.operator == "==", f"{name}{pin} is no pin"
        assert required[name].contains(clause.version), f"{name}{pin}, but {required[name]}"


@pytest.mark.parametrize("version", ["0.28.0", "0.30.0", "0.32.0", "0.33.0"])
def test_ctapipe_is_not_held_back(required, version):
    assert required["ctapipe"].contains(version)


def test_makefile_installs_the_reference_backend_whole(setup_arguments):
    (line,) = re.findall(r"--no-deps (.+)", (ROOT / "Makefile").read_text())
    assert set(specifiers(line.split())) == set(
        specifiers(setup_arguments["extras_require"]["indexedconv"])
    )


@pytest.mark.parametrize("where", ["pyenv", "uv", "nowhere"])
def test_ci_finds_pythons_by_running_them(tmp_path, where):
    """Of a version manager's folder too; a stand-in that does not work is none."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stand_in = tmp_path / "bin" / f"python{version}"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\necho 'command not found' >&2; exit 127\n")
    stand_in.chmod(0o755)
    folder = {"pyenv": f"pyenv/versions/{version}.99", "uv": f"uv/cpython-{version}.99-linux"}
    found = tmp_path / folder.get(where, "elsewhere") / "bin" / "python"
    found.parent.mkdir(parents=True)
    found.symlink_to(sys.executable)
    script = f"source <(sed -n '/^find_python/,/^}}/p' {ROOT}/.ci/run); find_python {version}"
    environment = {
        "PATH": f"{stand_in.parent}:{tmp_path / 'nothing'}",
        "HOME": str(tmp_path),
        "PYENV_ROOT": str(tmp_path / "pyenv"),
        "UV_PYTHON_INSTALL_DIR": str(tmp_path / "uv"),
    }
    (stand_in.parent / "sed").symlink_to(shutil.which("sed"))
    done = subprocess.run(
        [shutil.which("bash"), "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.stdout == ("" if where == "nowhere" else f"{found}\n")
    assert done.returncode == (where == "nowhere")


def test_oldest_python_is_the_same_everywhere(setup_arguments, conda_environment):
    (oldest,) = Requirement("python" + setup_arguments["python_requires"]).specifier
    assert oldest.operator == ">="
    major, minor = oldest.version.split(".")

    assert f"python>={oldest.version}" in conda_environment[0]
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert ruff["target-version"] == f"py{major}{minor}"
    assert f"sys.version_info < ({major}, {minor})" in (ROOT / "Makefile").read_text()
    minors = [
        int(found[1])
        for classifier in setup_arguments["classifiers"]
        if (found := re.search(r"Python :: 3\.(\d+)$", classifier))
    ]
    assert min(minors) == int(minor)


def test_console_script_is_callable(setup_arguments):
    (script,) = setup_arguments["entry_points"]["console_scripts"]
    name, target = (part.strip() for part in script.split("="))
    module, function = target.split(":")
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    assert name == "gammalearn"
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    ("group", "base"),
    [("ctapipe_io", "ctapipe.io:EventSource"), ("ctapipe_reco", "ctapipe.reco:Reconstructor")],
)
def test_ctapipe_finds_the_plug_ins(setup_arguments, group, base):
    """By the entry points that it looks for itself."""
    (entry,) = setup_arguments["entry_points"][group]
    point = importlib.metadata.EntryPoint(*(part.strip() for part in entry.split("=")), group)
    base = importlib.metadata.EntryPoint("base", base, group).load()
    assert base.plugin_entry_point == group
    assert issubclass(point.load(), base)


def test_package_is_shipped_whole(setup_arguments):
    shipped = setup_arguments["package_data"]
    for path in (ROOT / "gammalearn").rglob("*"):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        package = ".".join(path.relative_to(ROOT).parent.parts)
        assert package in setup_arguments["packages"], f"{package} lacks an __init__.py"
        patterns = ["*.py", *shipped.get(package, [])]
        assert any(fnmatch(path.name, pattern) for pattern in patterns), (
            f"{path} would not be installed"
        )


def test_everything_imported_is_declared(required):
    distributions = importlib.metadata.packages_distributions()
    ours = {"gammalearn", *sys.stdlib_module_names}
    for path in (ROOT / "gammalearn").rglob("*.py"):
        for module in imported(ast.parse(path.read_text(encoding="utf-8"))) - ours:
            providers = {canonicalize_name(name) for name in distributions.get(module, [module])}
            assert providers & set(required), f"{path} imports {module}, which setup.py lacks"


def imported(tree):
    """Return the top-level names of all that a module imports from elsewhere."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def test_annotations_are_shipped(setup_arguments):
    """Type checkers of users take them from a package with this file alone."""
    assert (ROOT / "gammalearn" / "py.typed").read_bytes() == b""
    assert "py.typed" in setup_arguments["package_data"]["gammalearn"]


def test_types_are_checked_everywhere():
    """No part of the package is left out, and only packages without annotations are not known."""
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert {"gammalearn", "experiment_settings"} <= set(mypy["files"])
    assert not {"exclude", "follow_imports", "ignore_errors", "ignore_missing_imports"} & set(mypy)
    for rules in mypy["overrides"]:
        assert not {"check_untyped_defs", "follow_imports", "ignore_errors"} & set(rules)
        if "ignore_missing_imports" in rules:
            assert not [name for name in rules["module"] if name.startswith(("*", "gammalearn"))]


def test_what_mypy_is_not_told_has_a_reason():
    for path in (ROOT / "gammalearn").rglob("*.py*"):
        if path.suffix in (".py", ".pyi"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if "type: ignore" in line:
                    where = f"{path}:{number}"
                    assert re.search(r"# type: ignore\[[\w, -]+\]  # \w", line), where
