"""Model cards say all that they must, and nothing that is not known."""

import datetime
import re

import pytest

from gammalearn.errors import CheckpointError
from gammalearn.models import card_of, read_card, shipped_networks


def test_a_card(write_card):
    card = read_card(write_card())
    assert card.training.date == datetime.date(2025, 1, 31)
    figures = {name: str(figure) for name, figure in card.measured[0].figures.items()}
    assert figures == {
        "energy_resolution": "0.281 ± 0.011",
        "angular_resolution_68": "0.18 ± 0.006 deg",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"titel": "x"}, "titel: no such setting; did you mean 'title'?"),
        ({"licence": ""}, "licence: String should have at least 1 character"),
        ({"limits": []}, "limits: "),
        ({"measured": [{"events": "all", "figures": {}}]}, "measured.0.figures: "),
        ({"events": {"n_events": {"gamma": 1}}}, "events.description: is needed"),
        (
            {"events": {"description": "x", "n_events": {"gamma": 1}, "seeds": [1]}},
            "events.seeds: no such setting; known: description, n_events, simulation",
        ),
        (
            {"events": {"description": "x", "n_events": {"gamma": 1}, "simulation": [{"run": 0}]}},
            "events.simulation.0.output: is needed",
        ),
        (
            {"training": {"hours": -1, "machine": "x", "seed": 1, "date": "2025-01-31"}},
            "training.hours: Input should be greater than 0, got -1",
        ),
    ],
)
def test_a_wrong_card(write_card, changes, words):
    with pytest.raises(CheckpointError, match="Wrong model card") as refused:
        read_card(write_card(**changes))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: [", "is not YAML (line 1)"),
        ("training: {date: 2025-02-31}", "is not YAML"),
        ("title: !!python/object/apply:os.system ['touch executed']", "is not YAML (line 1)"),
        ("[" * 1000 + "]" * 1000, "is not YAML"),
        ("a: &a [x]\nb: *a", "has aliases"),
        ("x" * 100_001, "has more than 100000 bytes"),
        ("", "Wrong model card"),
        ("- a", "Wrong model card"),
    ],
)
def test_a_hostile_card(write_card, elsewhere, text, words):
    with pytest.raises(CheckpointError) as refused:
        read_card(write_card(text))
    assert words in str(refused.value)
    assert not list(elsewhere.iterdir())


def test_no_card(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.yaml' does not exist"):
        read_card(tmp_path / "none.yaml")


def test_the_documentation_shows_a_card(write_card, pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "howto" / "share_network.md").read_text(
        encoding="utf-8"
    )
    (block,) = re.findall(r"^title: .*?^licence: \w+$", page, flags=re.DOTALL | re.MULTILINE)
    card = read_card(write_card(block))
    assert card.measured[0].figures["angular_resolution_68"].unit == "deg"


def test_the_cards_of_the_shipped_networks():
    for name in shipped_networks():
        assert card_of(name).title
