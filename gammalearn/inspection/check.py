"""Check of an experiment: all that is wrong with it, and what it would learn from and be.

Nothing is trained. What is wrong is found by what a run begins with, one part after the other; a
part that cannot be checked for what is wrong before it is left out.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..data import (
    EventIndex,
    check_slots,
    check_weights,
    columns_for,
    index_unlabelled,
    split_by_shower,
)
from ..errors import GammaLearnError
from ..evaluation import skipped_files
from ..io.finding import find_files, is_meant
from ..machine.sizes import size_in_words
from ..run.reconstruction import check_names, index_inputs, none_selected
from ..run.report import (
    cuts_left_out,
    faulty_files,
    repeated_events,
    shared_files,
    unlearnt_tasks,
)
from ..settings import Experiment, SimulationSettings
from ..settings.all_mistakes import Reading
from ..simulation.on_demand import check_same, wanted_simulations
from ..tasks import Task, build_tasks
from ..tasks.adaptation import build_adaptations
from ..tasks.without_labels import check_without_labels
from ..training import check_events, check_initial, check_machine
from ..training.batch_memory import BatchMemory, estimate_batch_memory
from ..training.model_summary import Part, in_words, summarise

__all__ = ["check_experiment"]

Result = TypeVar("Result")


def check_experiment(reading: Reading) -> tuple[str, list[GammaLearnError]]:
    """Check the data, the machine and the network of an experiment.

    Parameters
    ----------
    reading : Reading
        What was read of its settings.

    Returns
    -------
    text : str
        What it would learn from and be: selected events, cuts, network, memory.
    errors : list of GammaLearnError
        What is wrong, beside the mistakes of the settings.
    """
    if reading.experiment is None:
        return "", []
    check = _Check(reading.experiment, reading.wrong)
    text = "\n\n".join("\n".join(lines) for lines in check.run() if lines)
    # Of files of one kind the same may be wrong.
    return text, list({str(error): error for error in check.errors}.values())


class _Check:
    """One check, that collects what is wrong.

    Parameters
    ----------
    experiment : Experiment
    wrong : set of str
        Sections of the settings that have their defaults, as they are wrong.
    """

    def __init__(self, experiment: Experiment, wrong: set[str]):
        self.experiment, self.wrong = experiment, wrong
        self.errors: list[GammaLearnError] = []

    def run(self) -> list[list[str]]:
        """Tables of the text, by their lines."""
        experiment = self.experiment
        tasks = self._tasks()
        if "training" not in self.wrong:
            self._attempt(check_machine, experiment.training)
        missing = self._missing_simulations()
        train = self._files(experiment.learned_files, "data.train", missing)
        test: list[Path] = []
        if experiment.data.test or not experiment.is_pretraining:
            test = self._files(experiment.data.test, "data.test", missing)
        found = [_simulated_lines(missing)]
        if self.wrong & {"data", "simulation"}:
            return found
        learnt = self._training_index(train)
        unlabelled = self._unlabelled_index(learnt, missing)
        tests = self._test_indices(test, learnt)
        events = self._events(learnt, unlabelled, tests)
        if learnt or tests:
            found.append(_event_lines(events, bool(missing)))
        found.append(_flow_lines("training", [learnt] if learnt else []))
        found.append(_flow_lines("unlabelled", [unlabelled] if unlabelled else []))
        found.append(_flow_lines("test", tests))
        if learnt and (tasks or experiment.is_pretraining) and "network" not in self.wrong:
            found += self._network(learnt, tasks, events["training"].total())
        found.append(_note_lines(self._notes(learnt, tests, tasks)))
        return found

    def _attempt(self, function: Callable[..., Result], *arguments: Any) -> Result | None:
        """The result of a function; None, and what is wrong noted, if there is none."""
        try:
            return function(*arguments)
        except GammaLearnError as error:
            self.errors.append(error)
            return None

    def _tasks(self) -> dict[str, Task]:
        """The tasks; none if one of them is wrong."""
        settings = self.experiment.tasks
        made = [self._attempt(build_tasks, {name: task}) for name, task in settings.items()]
        if None in made or "tasks" in self.wrong:
            return {}
        tasks = build_tasks(settings)
        if "network" not in self.wrong:
            self._attempt(build_adaptations, settings, self.experiment.network.embedding, tasks)
        self._attempt(check_without_labels, settings)
        return tasks

    def _missing_simulations(self) -> list[SimulationSettings]:
        """What a run would simulate first."""
        if self.wrong & {"data", "simulation"}:
            return []
        data = self.experiment.data
        wanted = wanted_simulations(
            self.experiment.simulation, [*data.train, *data.unlabelled, *data.test]
        )
        missing = [simulation for simulation in wanted if not Path(simulation.output).exists()]
        for simulation in wanted:
            if simulation not in missing:
                self._attempt(check_same, simulation)
        return missing

    def _files(
        self, patterns: Sequence[str], setting: str, missing: Sequence[SimulationSettings]
    ) -> list[Path]:
        """The files that there are."""
        if "simulation" in self.wrong or (not patterns and "data" in self.wrong):
            return []
        found: list[Path] = []
        if not patterns:
            self._attempt(find_files, patterns, setting)
        for pattern in patterns:
            meant = any(is_meant(simulation.output, pattern) for simulation in missing)
            try:
                found += find_files([pattern], setting)
            except GammaLearnError as error:
                if not meant:
                    self.errors.append(error)
        # A file of several names goes by the first.
        return list({path.resolve(): path for path in reversed(found)}.values())[::-1]

    def _training_index(self, files: Sequence[Path]) -> EventIndex | None:
        """The index of the events to learn from, as far as their files can be used."""
        experiment, data = self.experiment, self.experiment.data
        if not files:
            return None
        if experiment.is_pretraining:
            parameters, workers = self._parameters(), experiment.training.workers
            return self._attempt(index_unlabelled, files, data, None, parameters, workers)
        known: list[GammaLearnError] = []
        try:
            index = EventIndex.build(
                files,
                data,
                processes=experiment.training.workers,
                parameters=self._parameters(),
                errors=known,
            )
        except GammaLearnError as error:
            # Where no file can be used, that is said by what is wrong with each.
            self.errors += known or [error]
            return None
        self.errors += known
        index = index.limited(data.events_per_particle, experiment.training.seed)
        self._attempt(check_weights, index, data.weights)
        return index

    def _unlabelled_index(
        self, learnt: EventIndex | None, missing: Sequence[SimulationSettings]
    ) -> EventIndex | None:
        """The index of the unlabelled events, as far as their files can be used."""
        data = self.experiment.data
        if self.experiment.is_pretraining:
            return None
        files = self._files(data.unlabelled, "data.unlabelled", missing) if data.unlabelled else []
        if not files or learnt is None:
            return None
        workers = self.experiment.training.workers
        index = self._attempt(
            index_unlabelled, files, data, learnt.cameras, self._parameters(), workers
        )
        if index is not None and "network" not in self.wrong:
            self._attempt(check_slots, self.experiment.network, [index])
        return index

    def _test_indices(self, files: Sequence[Path], learnt: EventIndex | None) -> list[EventIndex]:
        """The index of each file to reconstruct that can be used."""
        cameras = learnt.cameras if learnt else None
        self._attempt(check_names, files)
        indices = []
        for path in files:
            found = self._attempt(
                index_inputs, [path], self.experiment, cameras, True, self._parameters()
            )
            indices += found[0] if found else []
        if indices and not any(map(len, indices)):
            self.errors.append(none_selected(files))
        if "network" not in self.wrong:
            self._attempt(check_slots, self.experiment.network, indices)
        return indices

    def _parameters(self) -> list[str]:
        return [] if "network" in self.wrong else columns_for(self.experiment.network)

    def _events(
        self,
        learnt: EventIndex | None,
        unlabelled: EventIndex | None,
        tests: Sequence[EventIndex],
    ) -> dict[str, Counter]:
        """Selected events of each particle, by the set that they are of."""
        sets: dict[str, Counter[str]] = {
            name: Counter() for name in ("training", "validation", "test")
        }
        if learnt:
            names = np.asarray(learnt.events["particle"])
            for name, rows in zip(("training", "validation"), self._split(learnt), strict=True):
                sets[name].update(str(particle) or "unknown" for particle in names[rows])
        if unlabelled:
            sets["unlabelled"] = Counter(unlabelled.particle_counts())
        for index in tests:
            sets["test"].update(index.particle_counts() if len(index) else {})
        return sets

    def _notes(
        self, learnt: EventIndex | None, tests: Sequence[EventIndex], tasks: dict[str, Task]
    ) -> list[str]:
        """What is no error, but what a reader of the results has to know."""
        notes = faulty_files("test", tests)
        if learnt is None:
            return notes
        events = learnt.events[self._split(learnt)[0]]
        counts = {
            name: int(np.isfinite(task.targets(events)).all(axis=1).sum())
            for name, task in tasks.items()
        }
        return [
            *shared_files(learnt.files, [index.files[0] for index in tests]),
            *repeated_events(learnt),
            *cuts_left_out(self.experiment),
            *unlearnt_tasks(counts),
            *skipped_files("training", learnt.skipped),
            *faulty_files("training", [learnt]),
            *notes,
        ]

    def _split(self, learnt: EventIndex) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the training and of the validation events."""
        experiment = self.experiment
        fraction = experiment.data.validation_fraction
        return split_by_shower(learnt.events, fraction, experiment.training.seed)

    def _network(
        self, learnt: EventIndex, tasks: dict[str, Task], n_training: int
    ) -> list[list[str]]:
        """What the network is, and the memory of a batch."""
        experiment = self.experiment
        if "training" not in self.wrong:
            self._attempt(check_events, experiment, learnt, tasks)
            self._attempt(check_initial, experiment, learnt.cameras, tasks)
        parts = self._attempt(summarise, experiment, learnt.cameras, tasks)
        if parts is None:
            return []
        memory = estimate_batch_memory(experiment, learnt, tasks, n_training)
        return [_network_lines(experiment, parts), _memory_lines(memory)]


def _simulated_lines(missing: Sequence[SimulationSettings]) -> list[str]:
    if not missing:
        return []
    rows = [
        [made.output, f"{made.n_showers} {made.particle} showers over {made.array}"]
        for made in missing
    ]
    return _table([["The run simulates first", ""], *rows])


def _event_lines(sets: dict[str, Counter], incomplete: bool) -> list[str]:
    particles = list(sum(sets.values(), Counter()))
    rows = [
        [particle, *(str(counts[particle]) for counts in sets.values())] for particle in particles
    ]
    if len(rows) > 1:
        rows.append(["all", *(str(counts.total()) for counts in sets.values())])
    title = "Selected events" + (" of the files that exist" if incomplete else "")
    return _table([[title, *sets], *(rows or [["none", *["0"] * len(sets)]])])


def _flow_lines(what: str, indices: Sequence[EventIndex]) -> list[str]:
    """What is left after each step of the selection, of all files of a kind."""
    events: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for index in indices:
        for label, n_events, n_images in index.cut_flow:
            events[label] += n_events
            images[label] += n_images
    if not events:
        return []
    rows = [[label, str(events[label]), str(images[label])] for label in events]
    return _table([[f"Selection of {what} files", "events", "images"], *rows])


def _note_lines(notes: Sequence[str]) -> list[str]:
    return ["To note", *(f"  {note}" for note in notes)] if notes else []


def _network_lines(experiment: Experiment, parts: list[Part]) -> list[str]:
    title = f"Network ({experiment.network.encoder})"
    rows = [[name, words] for name, words in in_words(parts).items()]
    return _table([[title, "for an event with one image of each camera"], *rows])


def _memory_lines(memory: BatchMemory) -> list[str]:
    rows = [
        ["events", str(memory.n_events)],
        ["images of each event, on average", f"{memory.images_per_event:.1f}"],
        ["pixels", size_in_words(memory.pixels)],
        ["training step", f"about {size_in_words(memory.step)}"],
    ]
    return _table([["Memory of a batch", ""], *rows])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: its heading, and below it the others, indented."""
    heading, *others = rows
    indented = [heading, *([f"  {first}", *rest] for first, *rest in others)]
    widths = [max(map(len, column)) for column in zip(*indented, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in indented]
