"""What the documentation shows works."""

import gc
import re
import runpy
import shlex

import astropy.units as u
import numpy as np
import pytest
import torch
import yaml

from gammalearn import settings
from gammalearn.cli import make_parsers
from gammalearn.cli.completion import OPTION, SHELLS
from gammalearn.cli.words import with_command, with_values
from gammalearn.settings.reading import override
from gammalearn.tasks import available_tasks

#: Languages of code blocks: Python runs, commands are parsed, YAML is read, diagrams are text, the
#: cells of notebooks run one after the other.
LANGUAGES = {"python", "bash", "yaml", "text", "{toctree}", "{eval-rst}", "{code-cell}"}

NEW_TASK = "docs/howto/new_task.md"


def snippets(text, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def pages(pytestconfig):
    """Each page of the site and of the repository, by its name, with its text."""
    root = pytestconfig.rootpath
    files = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), root / "data" / "README.md"]
    names = [path.relative_to(root) for path in files]
    return {
        str(name): (root / name).read_text(encoding="utf-8")
        for name in names
        if name.parts[:2] != ("docs", "_build")
    }


def test_snippets_run(pages):
    shown = {name: snippets(text) for name, text in pages.items() if name != NEW_TASK}
    assert shown["README.md"]
    for name, found in shown.items():
        for snippet in found:
            exec(compile(snippet, name, "exec"), {})


@pytest.fixture(scope="module")
def notebook_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["first_results", "own_files", "events"])
def test_notebooks_run(pages, notebook_folder, monkeypatch, name):
    """From the first cell to the last, as Jupyter runs them, in a folder without files."""
    monkeypatch.chdir(notebook_folder)
    page = f"docs/tutorials/notebook_{name}.md"
    cells = snippets(pages[page], r"\{code-cell\} python")
    assert len(cells) > 5
    scope = {}
    for cell in cells:
        lines = [line for line in cell.splitlines() if not line.startswith("%")]
        exec(compile("\n".join(lines), page, "exec"), scope)


def test_the_task_that_is_shown_is_found(pages):
    snippet, evaluation = snippets(pages[NEW_TASK])
    exec(evaluation, {})
    scope = {"__name__": "snippet"}
    exec(snippet, scope)
    task = scope["FirstInteractionTask"]
    try:
        assert available_tasks()["first_interaction"] is task
        made = task(settings.TaskSettings(uncertainty=True))
        events = {"true_h_first_int": np.array([25_000.0])}  # m, of the event index
        assert made.truth(events) == [[2.5]]
        columns = made.decode(np.array([[2.5, np.log(0.3)]]), events)
        assert columns["h_first_int"] == [25] * u.km
        assert columns["h_first_int_uncert"].value == pytest.approx([3], rel=1e-4)
        assert made.metrics(torch.tensor([[2.0, 0.0]]), torch.tensor([[2.5]])) == {
            "h_first_int_resolution": 5
        }
    finally:
        # The registry knows classes as long as they live.
        del scope, task, made
        gc.collect()
    assert "first_interaction" not in available_tasks()


def commands(text):
    """Words of each `gammalearn` command in the shell blocks of a page."""
    for block in snippets(text, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(re.sub(r"\$\w+", "1", line), comments=True)
            if words and (words[0].endswith("gammalearn") or "srun" in words[0]):
                first = next(i for i, word in enumerate(words) if word.endswith("gammalearn"))
                last = words.index(">") if ">" in words else len(words)
                yield words[first + 1 : last]


def test_commands_are_understood(pages):
    """By the parser of the command line; what they set is set in an experiment."""
    parser, names = make_parsers()
    found = 0
    for text in pages.values():
        for words in commands(text):
            if words[0] == OPTION:
                assert words[1:] in [[shell] for shell in SHELLS]
                continue
            arguments = parser.parse_args(with_values(with_command(words, names)))
            changes = [
                change
                for change in getattr(arguments, "set", [])
                if not change.startswith("simulation.")  # which only some experiments have
            ]
            override(settings.Experiment(), changes)
            found += 1
    assert found > 30


def test_yaml_blocks_are_yaml(pages):
    for text in pages.values():
        for block in snippets(text, "yaml"):
            assert isinstance(yaml.safe_load(block), dict)


def test_code_blocks_have_a_language(pages):
    """One that says whether they run here."""
    for name, text in pages.items():
        for fence, language in re.findall(r"^(```+)(\S*)[^\n]*\n.*?^\1$", text, re.DOTALL | re.M):
            assert language in LANGUAGES, f"{name}: {fence}{language}"
        outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"\n\n {4}\S", outside), f"{name}: an indented code block"


def test_pages_use_plain_words(pages):
    """Some words that readers stumble over; docs/contributing.md says what to write instead."""
    hard = re.compile(r"\b(learnt|anew|at the most|at the least|whoever|notwithstanding)\b")
    for name, text in pages.items():
        if name != "docs/contributing.md" and not name.startswith("docs/results/"):
            found = hard.search(text)
            assert not found, f"{name}: {found[0]}"


def anchors(text):
    """Names of a page's headings in links, as MyST and repository hosts make them."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", outside, flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_link_leads_somewhere(pages, pytestconfig):
    root = pytestconfig.rootpath
    for name, text in pages.items():
        for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)\s]+))?\)", text):
            if target.startswith("http"):
                continue
            place = (root / name).parent / target if target else root / name
            assert place.exists(), f"{name} links to {target}"
            if anchor:
                page = str(place.resolve().relative_to(root))
                assert anchor in anchors(pages[page]), f"{name} links to {target}#{anchor}"


def test_every_page_is_in_the_contents(pages, pytestconfig):
    root = pytestconfig.rootpath
    listed = {"docs/index.md"}
    for name, text in pages.items():
        for block in snippets(text, "{toctree}"):
            folder = (root / name).parent
            for entry in block.split():
                if entry.endswith("/*"):
                    found = (folder / entry[:-2]).resolve().glob("*.md")
                else:
                    found = [(folder / entry).resolve()] if entry.endswith(".md") else []
                listed |= {str(place.relative_to(root)) for place in found}
    assert listed == {name for name in pages if name.startswith("docs/")}


@pytest.mark.parametrize(
    ("script", "function", "page"),
    [
        ("make_settings.py", "settings_reference", "docs/reference/settings.md"),
        ("make_commands.py", "commands_reference", "docs/reference/commands.md"),
    ],
)
def test_references_are_up_to_date(pages, pytestconfig, script, function, page):
    made = runpy.run_path(str(pytestconfig.rootpath / "docs" / script))[function]()
    assert pages[page] == made, f"run python docs/{script}"


def test_every_setting_says_what_it_is():
    for model in (settings.Experiment, *settings.Settings.__subclasses__()):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


def test_every_option_says_what_it_does():
    for name, parser in make_parsers()[1].items():
        for action in parser._actions:
            assert action.help, f"gammalearn {name}: {action.option_strings or action.dest}"
