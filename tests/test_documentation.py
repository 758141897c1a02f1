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


def test_the_guide_shows_a_task_that_is_found(read):
    data_settings, snippet = snippets(read("docs/guide.md"))
    exec(data_settings, {})
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


def test_every_link_leads_somewhere(read, pytestconfig):
    for name in ("README.md", "docs/guide.md", "docs/index.md"):
        folder = (pytestconfig.rootpath / name).parent
        for target in re.findall(r"\]\(([^)#]+)\)", read(name)):
            if not target.startswith("http"):
                assert (folder / target).exists(), f"{name} links to {target}"


def test_the_reference_of_the_settings_is_up_to_date(read, pytestconfig):
    script = runpy.run_path(str(pytestconfig.rootpath / "docs" / "make_settings.py"))
    assert read("docs/settings.md") == script["settings_reference"]()


def test_every_setting_says_what_it_is():
    for model in (settings.Experiment, *settings.Settings.__subclasses__()):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
