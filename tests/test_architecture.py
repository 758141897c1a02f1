"""Who may know whom among the rooms of the package, and what none may do."""

import ast

import pytest

#: A room and what it must not import, of the package's own and of others'.
FORBIDDEN = {
    "io": {"gammalearn", "torch", "lightning"},
    "machine": {"gammalearn", "torch", "lightning"},
    "camera": {"gammalearn", "torch", "lightning"},
    "image": {"gammalearn", "torch", "lightning"},
    "plotting": {"gammalearn", "torch", "lightning"},
    "settings": {"gammalearn", "torch", "lightning", "ctapipe"},
    "run/reconstruction.py": {
        "gammalearn.training",
        "gammalearn.evaluation",
        "gammalearn.inspection",
        "gammalearn.run.experiment",
        "lightning",
    },
    "run/baseline.py": {"gammalearn.training", "gammalearn.run.experiment", "lightning"},
    "checkpoint": {
        "gammalearn.training",
        "gammalearn.dl2",
        "gammalearn.run",
        "gammalearn.inspection",
        "lightning",
    },
    "models": {"gammalearn", "torch", "lightning", "ctapipe"},
    "data": {
        "gammalearn.nn",
        "gammalearn.training",
        "gammalearn.tasks",
        "gammalearn.checkpoint",
        "gammalearn.run",
        "gammalearn.inspection",
        "lightning",
    },
    "nn": {
        "gammalearn.data",
        "gammalearn.tasks",
        "gammalearn.training",
        "gammalearn.checkpoint",
        "gammalearn.run",
        "gammalearn.inspection",
        "lightning",
    },
    "tasks": {
        "gammalearn.nn",
        "gammalearn.training",
        "gammalearn.dl2",
        "gammalearn.checkpoint",
        "gammalearn.run",
        "gammalearn.inspection",
        "lightning",
    },
    "training": {
        "gammalearn.dl2",
        "gammalearn.evaluation",
        "gammalearn.run",
        "gammalearn.inspection",
    },
    "dl2": {
        "gammalearn.training",
        "gammalearn.evaluation",
        "gammalearn.run",
        "gammalearn.inspection",
        "lightning",
    },
    "dl3": {
        "torch",
        "lightning",
        "gammalearn.camera",
        "gammalearn.data",
        "gammalearn.nn",
        "gammalearn.tasks",
        "gammalearn.training",
        "gammalearn.dl2",
        "gammalearn.checkpoint",
        "gammalearn.run",
        "gammalearn.inspection",
        "gammalearn.settings",
    },
    "baseline": {
        "gammalearn.nn",
        "gammalearn.training",
        "gammalearn.checkpoint",
        "gammalearn.evaluation",
        "gammalearn.run",
        "gammalearn.inspection",
        "torch",
        "lightning",
    },
    "evaluation": {
        "torch",
        "lightning",
        "gammalearn.camera",
        "gammalearn.data",
        "gammalearn.nn",
        "gammalearn.tasks",
        "gammalearn.training",
        "gammalearn.dl2",
        "gammalearn.dl3",
        "gammalearn.checkpoint",
        "gammalearn.run",
        "gammalearn.inspection",
    },
    "simulation": {
        "torch",
        "lightning",
        "gammalearn.data",
        "gammalearn.nn",
        "gammalearn.tasks",
        "gammalearn.training",
        "gammalearn.dl2",
        "gammalearn.evaluation",
        "gammalearn.checkpoint",
        "gammalearn.run",
        "gammalearn.inspection",
    },
}

FORBIDDEN["surveys"] = {
    "gammalearn.data",
    "gammalearn.dl2",
    "gammalearn.simulation",
    "gammalearn.camera",
    "gammalearn.image",
    "gammalearn.baseline",
    "gammalearn.run",
    "gammalearn.inspection",
    "ctapipe",
}

#: The rooms of the evaluation, each of which knows those before it alone.
EVALUATION = ("report", "statistics", "quantities", "events", "performance")

#: Whom a room may know nevertheless.
ALLOWED = {
    "image": {"gammalearn.camera", "gammalearn.io", "gammalearn.settings"},
    "models": {"gammalearn.settings", "gammalearn.io"},
    "plotting": {"gammalearn.io.particles"},
    "settings": {"gammalearn.io.plain_yaml"},
    "surveys": {
        "gammalearn.camera.grid",
        "gammalearn.data.loading.resumable",
        "gammalearn.inspection.attribution",
    },
}

#: Who may start a simulation; to all others simulated events are data like any.
KNOW_SIMULATION = {"api", "cli", "run", "inspection"}

#: Who may start a baseline: nothing else is to lean on it.
KNOW_BASELINE = {"cli", "run"}

#: Who may know the surveys: a Cherenkov user pays nothing for them.
KNOW_SURVEYS = {"cli", "run"}

#: What no room stands in the way of: errors, and imports on demand.
COMMON = {"gammalearn.errors", "gammalearn.lazy"}

#: What the top level holds beside rooms.
TOP_LEVEL = {"__init__.py", "__main__.py", "errors.py", "lazy.py"}

#: What commands share; a command knows this part of the command line alone.
SHARED_BY_COMMANDS = {"command", "given", "messages", "options"}

#: What paths of tables in files of ctapipe and lstchain begin with.
PATHS_OF_TABLES = ("/configuration", "/dl0", "/dl1", "/dl2", "/instrument", "/simulation")

#: Files of a folder that may still be of several kinds.
CROWD = 16

#: Folders whose files are all of one kind: a command each, a part of the simulated world each.
OF_ONE_KIND = {"cli", "simulation"}

#: Lines of the longest function, without its docstring, in the rooms where functions are short.
LONGEST = 60
SHORT_FUNCTIONS = ("cli", "data", "dl3", "evaluation")

#: Rooms that the doors of the package lead to, and that know neither.
DOORS = {"api", "cli"}


def imports(path, package):
    """Absolute names of the modules that a file imports."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(parts[: len(parts) - node.level]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # A folder is imported for what is in it.
            if not package.parent.joinpath(*module.split(".")).is_dir():
                yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def within(module, places):
    """Whether a module, or a name in it, is of one of the places."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


@pytest.fixture(scope="module")
def package(pytestconfig):
    return pytestconfig.rootpath / "gammalearn"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_know_only_whom_they_may(package, room):
    place = package / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    own = "gammalearn." + room.removesuffix(".py").replace("/", ".")
    known = {own, *COMMON, *ALLOWED.get(room, ())}
    for path in files:
        for module in imports(path, package):
            # What is taken from a package is listed by its own name too.
            if within(module, known) or any(place.startswith(f"{module}.") for place in known):
                continue
            where = path.relative_to(package)
            assert not within(module, FORBIDDEN[room]), f"{where} imports {module}"


@pytest.mark.parametrize("room", EVALUATION)
def test_rooms_of_the_evaluation_know_those_before_them(package, room):
    folder = package / "evaluation"
    later = EVALUATION[EVALUATION.index(room) + 1 :]
    unknown = [
        *later,
        "evaluation",
        "comparison",
        "comparison_summary",
        "reconstructions",
        "summary",
    ]
    for path in sorted((folder / room).rglob("*.py")):
        for module in imports(path, package):
            where = path.relative_to(package)
            places = {f"gammalearn.evaluation.{place}" for place in unknown}
            assert not within(module, places), f"{where} imports {module}"


def test_quantities_do_not_know_each_other(package):
    """So that a new one touches its own file, and the list of all."""
    folder = package / "evaluation" / "quantities"
    bases = {"base", "regression"}
    names = {path.stem for path in folder.glob("*.py")} - {*bases, "__init__"}
    for name in names | bases:
        for module in imports(folder / f"{name}.py", package):
            others = {f"gammalearn.evaluation.quantities.{other}" for other in names - {name}}
            assert not within(module, others), f"{name} imports {module}"


@pytest.mark.parametrize("quantity", ["depth_of_maximum", "x_max", "impact", "core_x"])
def test_quantities_are_named_in_their_own_file_alone(package, quantity):
    """Those that an observation of a source needs are named by what it is made of."""
    for path in sorted((package / "evaluation").rglob("*.py")):
        if path.parent.name == "quantities":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value != quantity, f"{path}:{node.lineno}"


def test_simulated_events_are_data_like_any(package):
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        if place.parts[0] in {"simulation", *KNOW_SIMULATION}:
            continue
        for module in imports(path, package):
            assert not within(module, {"gammalearn.simulation"}), f"{place} imports {module}"


def test_no_room_leans_on_the_baseline(package):
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        if place.parts[0] in {"baseline", *KNOW_BASELINE}:
            continue
        for module in imports(path, package):
            assert not within(module, {"gammalearn.baseline"}), f"{place} imports {module}"


def test_no_room_knows_the_surveys(package):
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        if place.parts[0] in {"surveys", *KNOW_SURVEYS}:
            continue
        for module in imports(path, package):
            assert not within(module, {"gammalearn.surveys"}), f"{place} imports {module}"


def test_nobody_leans_on_the_command_line(package):
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        if place.parts[0] not in {"cli", "__main__.py"}:
            for module in imports(path, package):
                assert not within(module, {"gammalearn.cli"}), f"{place} imports {module}"


def test_a_command_does_not_know_the_others(package):
    """So that a new one touches its own file, and the list of all in program.py."""
    stems = {path.stem for path in (package / "cli").glob("*.py")}
    commands = stems - SHARED_BY_COMMANDS - {"__init__", "logs", "program", "words"}
    assert "predict" in commands
    for name in commands | SHARED_BY_COMMANDS:
        others = {f"gammalearn.cli.{other}" for other in stems - SHARED_BY_COMMANDS - {name}}
        for module in imports(package / "cli" / f"{name}.py", package):
            assert not within(module, others), f"{name} imports {module}"


@pytest.mark.parametrize("room", SHORT_FUNCTIONS)
def test_functions_are_short(package, room):
    for path in sorted((package / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0]
                documented = ast.get_docstring(node) is not None
                docstring = first.end_lineno - first.lineno + 1 if documented else 0
                length = node.end_lineno - node.lineno + 1 - docstring
                assert length <= LONGEST, f"{path.name}: {node.name} has {length} lines"


def test_no_room_knows_the_doors(package):
    """The command line and the functions for notebooks call what does the work, not each other."""
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        others = {f"gammalearn.{door}" for door in DOORS - {place.parts[0]}}
        if place.parts[0] == "__main__.py":
            continue
        for module in imports(path, package):
            assert not within(module, others), f"{place} imports {module}"


def test_the_top_level_holds_rooms(package):
    assert {path.name for path in package.glob("*.py")} == TOP_LEVEL


def test_a_folder_is_divided_before_it_is_crowded(package):
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        if folder.name not in OF_ONE_KIND:
            assert len(list(folder.glob("*.py"))) <= CROWD, folder


def test_paths_of_tables_are_named_in_io_alone(package):
    """ctapipe's and lstchain's: what another release calls otherwise is changed in one place."""
    homes = {"io/ctapipe_tables.py", "io/lstchain_tables.py"}
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                is_path = node.value.startswith(PATHS_OF_TABLES)
                assert place in homes or not is_path, f"{place}:{node.lineno}: {node.value}"


def test_no_room_for_odds_and_ends(package):
    stems = {path.stem for path in package.rglob("*")}
    assert not stems & {"utils", "helpers", "common", "misc"}


def test_no_assertions_in_the_package(package):
    """What a user can cause is an error with a sentence; `assert` goes with -O."""
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}"


def test_all_that_is_printed_is_printable(package):
    """Names in files may hold what clears a terminal."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                prints = node.func.id == "print" and path.name != "printable.py"
                assert not prints, f"{path.relative_to(package)}:{node.lineno} prints; use tell"
