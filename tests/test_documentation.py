"""What the documentation shows works."""

import gc
import re
import runpy

import astropy.units as u
import numpy as np
import pytest
import torch

from gammalearn import settings
from gammalearn.tasks import available_tasks


def snippets(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def read(pytestconfig):
    return lambda name: (pytestconfig.rootpath / name).read_text(encoding="utf-8")


def test_snippets_of_the_readme_run(read):
    found = snippets(read("README.md"))
    assert len(found) == 2
    for snippet in found:
        exec(snippet, {})


def test_the_pages_show_settings_that_are_valid(read):
    (data_settings,) = snippets(read("docs/explanation/pixels.md"))
    exec(data_settings, {})


def test_the_pages_show_a_task_that_is_found(read):
    (snippet,) = snippets(read("docs/howto/new_task.md"))
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


@pytest.fixture(scope="module")
def pages(pytestconfig):
    """Each page of the site and the README, with its text."""
    root = pytestconfig.rootpath
    files = [root / "README.md", *(root / "docs").rglob("*.md")]
    return {
        path: path.read_text(encoding="utf-8")
        for path in files
        if path.relative_to(root).parts[1:2] != ("_build",)
    }


def test_every_link_leads_somewhere(pages):
    for path, text in pages.items():
        for target in re.findall(r"\]\(([^)#]+)", text):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path} links to {target}"


def test_every_page_is_in_the_contents(pages, pytestconfig):
    docs = pytestconfig.rootpath / "docs"
    listed = {docs / "index.md"}
    for path, text in pages.items():
        for block in re.findall(r"^```{toctree}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
            entries = [line for line in block.split() if line.endswith(".md")]
            listed |= {(path.parent / entry).resolve() for entry in entries}
    assert listed == {path for path in pages if docs in path.parents}


def test_the_reference_of_the_settings_is_up_to_date(read, pytestconfig):
    script = runpy.run_path(str(pytestconfig.rootpath / "docs" / "make_settings.py"))
    assert read("docs/reference/settings.md") == script["settings_reference"]()


def test_every_setting_says_what_it_is():
    for model in (settings.Experiment, *settings.Settings.__subclasses__()):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
