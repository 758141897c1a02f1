"""Writes reference/settings.md, the reference of all settings, from the settings' own words.

Run it after a change of gammalearn/settings: ``python docs/make_settings.py``.
"""

import types
import typing
from pathlib import Path

import pydantic

from gammalearn.settings import (
    AugmentationSettings,
    CleaningSettings,
    CutSettings,
    DataSettings,
    DiffuseSettings,
    EvaluationSettings,
    Experiment,
    NetworkSettings,
    ObservationSettings,
    OutputSettings,
    SimulationSettings,
    SourceSettings,
    SpectrumSettings,
    TaskSettings,
    TrainingSettings,
    WeightSettings,
)
from gammalearn.settings.surveys import (
    CutoutData,
    CutoutNetwork,
    LensData,
    LensEvaluation,
    LensExperiment,
    LensNetwork,
    LightCurveData,
    LightCurveNetwork,
    LightCurveTask,
    RedshiftEvaluation,
    RedshiftExperiment,
    SimulatedCatalogue,
    SimulatedGalaxies,
    SimulatedLenses,
    SupernovaEvaluation,
    SupernovaExperiment,
    SurveyOutput,
)

SECTIONS = {
    "simulation.N": SimulationSettings,
    "data": DataSettings,
    "data.cuts": CutSettings,
    "data.cleaning": CleaningSettings,
    "data.augmentation": AugmentationSettings,
    "data.weights": WeightSettings,
    "network": NetworkSettings,
    "tasks.NAME": TaskSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "output": OutputSettings,
}

#: Those of a file of their own, for `gammalearn simulate --observation`.
OBSERVATION = {
    "source": SourceSettings,
    "source.spectrum": SpectrumSettings,
    "proton, helium, electron": DiffuseSettings,
}

#: Settings of each survey: the experiment, its sections, and the page that explains it.
SURVEYS = {
    "supernovae": (
        SupernovaExperiment,
        {
            "simulation.N": SimulatedCatalogue,
            "data": LightCurveData,
            "network": LightCurveNetwork,
            "tasks.NAME": LightCurveTask,
            "evaluation": SupernovaEvaluation,
            "output": SurveyOutput,
        },
        "[Classify supernovae](../howto/supernovae.md)",
    ),
    "redshifts": (
        RedshiftExperiment,
        {
            "simulation.N": SimulatedGalaxies,
            "data": CutoutData,
            "network": CutoutNetwork,
            "evaluation": RedshiftEvaluation,
            "output": SurveyOutput,
        },
        "[Measure photometric redshifts](../howto/redshifts.md)",
    ),
    "lenses": (
        LensExperiment,
        {
            "simulation.N": SimulatedLenses,
            "data": LensData,
            "network": LensNetwork,
            "evaluation": LensEvaluation,
            "output": SurveyOutput,
        },
        "[Find strong lenses](../howto/strong_lenses.md)",
    ),
}

SURVEY_INTRODUCTION = """\
An experiment with `survey: {name}` has these settings instead (see {page}). Those of `training`
are the same as above. In a Python file it is `experiment = {model}(...)` of
`gammalearn.settings.surveys`."""

INTRODUCTION = """\
# Settings

An experiment is a Python file that defines `experiment = Experiment(...)`, or a YAML file with the
same keys. `--set section.name=value` changes a setting on the command line. An error about a wrong
key or value names its path. Earlier names of settings are read, and a warning gives the new names.
This page is made from gammalearn/settings.
"""

OBSERVATION_INTRODUCTION = """\
`gammalearn simulate --observation SETTINGS` reads them from a YAML file, or from a Python file that
defines `observation = ObservationSettings(...)`. The page
[Simulate an observation](../howto/observe.md) explains them."""


def kind(annotation) -> str:
    """A type in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(kind(argument) for argument in arguments)
    if origin is list:
        return f"list of {kind(arguments[0])}"
    if origin is tuple:
        return f"{len(arguments)} {kind(arguments[0])}s"
    if origin is dict:
        return "settings by name"
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return "settings"
    names = {int: "integer", float: "number", str: "text", bool: "yes or no", type(None): "none"}
    return names[annotation]


def default(field) -> str:
    """A setting's default as one would write it in YAML."""
    if field.is_required():
        return "needed"
    value = field.default
    if isinstance(value, pydantic.BaseModel):
        return "below"
    if isinstance(value, dict):
        # Names alone may be a list.
        return f"`[{', '.join(value)}]`" if value else "`{}`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def plain(text: str) -> str:
    """A docstring as one line of Markdown."""
    return " ".join(text.split()).replace("``", "`")


def table(model) -> list[str]:
    """Rows for each setting of a model."""
    rows = ["| setting | value | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        words = plain(field.description).replace("|", r"\|")
        rows.append(f"| `{name}` | {kind(field.annotation)} | {default(field)} | {words} |")
    return rows


def settings_reference() -> str:
    """The page."""
    lines = [INTRODUCTION, *table(Experiment)]
    for path, model in SECTIONS.items():
        lines += ["", f"## {path}", "", plain(model.__doc__), "", *table(model)]
    lines += ["", "## Settings of an observation", "", OBSERVATION_INTRODUCTION, ""]
    lines += [plain(ObservationSettings.__doc__), "", *table(ObservationSettings)]
    for path, model in OBSERVATION.items():
        lines += ["", f"### {path}", "", plain(model.__doc__), "", *table(model)]
    for name, (experiment, sections, link) in SURVEYS.items():
        words = SURVEY_INTRODUCTION.format(name=name, page=link, model=experiment.__name__)
        lines += ["", f"## Settings of {name}", "", words, "", *table(experiment)]
        for path, model in sections.items():
            lines += ["", f"### {name}: {path}", "", plain(model.__doc__), "", *table(model)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = Path(__file__).with_name("reference") / "settings.md"
    page.write_text(settings_reference(), encoding="utf-8")
