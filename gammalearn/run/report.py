"""What the report says of the run itself: what was learnt from, and what to beware of."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ..data import EventIndex, count_repeated, cuts_of_truth
from ..evaluation import ReportSection, Worded, section_of_skipped
from ..io.files import sha256
from ..settings import Experiment

if TYPE_CHECKING:
    # The report of a baseline needs no torch.
    from ..training import TrainingSummary

__all__ = [
    "baseline_section",
    "cuts_left_out",
    "faulty_files",
    "repeated_events",
    "report_sections",
    "selection_sections",
    "shared_files",
    "unlearnt_tasks",
]


def shared_files(train_files: Sequence[Path], test_files: Sequence[Path]) -> list[str]:
    """A sentence where a file is learnt from and tested on: such figures flatter."""
    shared = {path.resolve() for path in train_files} & {path.resolve() for path in test_files}
    if not shared:
        return []
    return [
        f"{len(shared)} of the {len(test_files)} test files are training files too "
        f"({min(shared).name} among them), so the figures are in part those of training events."
    ]


def faulty_files(what: str, indices: Sequence[EventIndex]) -> list[str]:
    """A sentence where files have faults, that events or images were left out for."""
    faults = [fault for index in indices for fault in index.faults]
    if not faults:
        return []
    path, first = faults[0]
    return [
        f"{len({path for path, _ in faults})} {what} file(s) have faults, whose events or images "
        f"were left out. The first one: '{path}': {first}."
    ]


def repeated_events(learnt: EventIndex) -> list[str]:
    """A sentence where events are learnt more than once."""
    n_repeated = count_repeated([learnt])
    if not n_repeated:
        return []
    return [
        f"{n_repeated} of the training events are there more than once, in the same file or "
        "another (same ids, same truth): they count as often."
    ]


def cuts_left_out(experiment: Experiment) -> list[str]:
    """A sentence where cuts do not apply to the unlabelled events, which have no truth."""
    cuts = cuts_of_truth(experiment.data) if experiment.data.unlabelled else []
    if not cuts:
        return []
    return [f"Cuts that name the truth do not apply to unlabelled events: {'; '.join(cuts)}."]


def unlearnt_tasks(events_by_task: Mapping[str, int]) -> list[str]:
    """A sentence for each task that had no event to learn from, by the number of its events."""
    return [
        f"There was no training event for {name.replace('_', ' ')}: its figures mean nothing."
        for name, count in events_by_task.items()
        if count == 0
    ]


def report_sections(
    experiment: Experiment,
    output: Path,
    summary: "TrainingSummary",
    index: EventIndex,
    tests: Sequence[EventIndex],
    skipped: Sequence[tuple[Path, str]] = (),
    unlabelled: EventIndex | None = None,
) -> list[ReportSection]:
    """What the report says of the training, and of the selection of events.

    ``skipped`` are the test files that were left out, with the reason; ``unlabelled`` are the
    events that took part in the training without their truth.
    """
    learnt = summary.trained_on
    return [
        ReportSection(
            title="Training",
            text="Losses and validation figures against the epoch.",
            table={
                "training events": learnt.training_events,
                "validation events": learnt.validation_events,
                **{
                    f"unlabelled {stage} events": n
                    for stage, n in (
                        ("training", learnt.unlabelled_training_events),
                        ("validation", learnt.unlabelled_validation_events),
                    )
                    if n is not None
                },
                **{f"events of {name}s": n for name, n in learnt.events.items()},
                **{f"training events of {name}": n for name, n in learnt.events_by_task.items()},
                "cameras": ", ".join(camera.name for camera in index.cameras),
                "seed": experiment.training.seed,
                **{package: version(package) for package in ("torch", "lightning")},
                "steps left out, not finite": summary.skipped_steps,
            },
            picture=output / "learning_curves.png",
            alt="Learning curves: training and validation loss of each task against the epoch",
        ),
        ReportSection(
            title="Network",
            text="Parameters and multiply-adds of its parts, for an event of one image of each "
            "camera.",
            table=summary.network,
        ),
        *(
            [
                ReportSection(
                    title="Weights of the training events",
                    text="How much the events of each particle count in the loss of each task.",
                    table=summary.weights,
                )
            ]
            if summary.weights
            else []
        ),
        *selection_sections(index, tests, skipped),
        *(_unlabelled_sections(unlabelled) if unlabelled else []),
    ]


def selection_sections(
    index: EventIndex, tests: Sequence[EventIndex], skipped: Sequence[tuple[Path, str]] = ()
) -> list[ReportSection]:
    """What the report says of the selection of events, and of the files.

    ``skipped`` are the test files that were left out, with the reason.
    """
    return [
        _cut_flow("training", [index]),
        _cut_flow("test", tests),
        _file_section("Training files", index),
        *section_of_skipped("training", index.skipped),
        *section_of_skipped("test", skipped),
        *_faults("training", [index]),
        *_faults("test", tests),
    ]


def _unlabelled_sections(index: EventIndex) -> list[ReportSection]:
    """What the report says of events that took part in the training without their truth."""
    return [
        _cut_flow("unlabelled", [index]),
        _file_section("Unlabelled files", index),
        *section_of_skipped("unlabelled", index.skipped),
        *_faults("unlabelled", [index]),
    ]


def _file_section(title: str, index: EventIndex) -> ReportSection:
    return ReportSection(
        title=title,
        heading=["", "File", "SHA-256"],
        table={str(n + 1): [f.name, sha256(f)] for n, f in enumerate(index.files)},
    )


def _faults(what: str, indices: Sequence[EventIndex]) -> list[ReportSection]:
    """What is wrong with files that were used, if anything."""
    faults: dict[str, list[str]] = {}
    for index in indices:
        for path, fault in index.faults:
            faults.setdefault(str(path.absolute()), []).append(fault)
    if not faults:
        return []
    return [
        ReportSection(
            title=f"Faults of {what} files",
            text="What was wrong with some events or images, which were left out.",
            table={path: "; ".join(found) for path, found in faults.items()},
        )
    ]


def baseline_section(learnt: Mapping[str, Sequence]) -> ReportSection:
    """What the report says of the trees of a baseline, see :meth:`Baseline.describe`."""
    return ReportSection(
        title="Boosted trees",
        text="The trees of scikit-learn's HistGradientBoosting. The hyper-parameters gave the best "
        "result for showers that the trees had not seen (cross-validation).",
        heading=["Quantity", "Events or images", "Showers", "Hyper-parameters", "Result"],
        table=learnt,
    )


def _cut_flow(what: str, indices: Sequence[EventIndex]) -> ReportSection:
    """Events and images left after each step of the selection, of all files."""
    flow: dict[str, tuple[int, int]] = {}
    for index in indices:
        for label, n_events, n_images in index.cut_flow:
            before = flow.get(label, (0, 0))
            flow[label] = before[0] + n_events, before[1] + n_images
    triggered = max(next(iter(flow.values()), (0, 0))[1], 1)
    return ReportSection(
        title=f"Selection of the {what} events",
        text="Events and images left after each step, and the share of the triggered telescopes' "
        "images.",
        heading=["Step", "Events", "Images", "Share"],
        table={
            label: [n, m, Worded(m / triggered, f"{m / triggered:.1%}")]
            for label, (n, m) in flow.items()
        },
    )
