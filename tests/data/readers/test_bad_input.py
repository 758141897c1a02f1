"""Files and events that are not as they should be: refused by name, left out and counted, or read
as far as they mean something."""

import faulthandler
import logging
import os
import random
import shutil
import signal

import numpy as np
import pytest

from gammalearn.checkpoint.trained import TrainedOn
from gammalearn.data import EventIndex, count_repeated
from gammalearn.data.index import file_index
from gammalearn.data.readers.formats import open_reader
from gammalearn.dl2 import writer
from gammalearn.errors import EmptySelectionError, GammaLearnError, InputFileError
from gammalearn.evaluation import Worded
from gammalearn.inspection import info
from gammalearn.inspection.show import show_event
from gammalearn.io.ctapipe_tables import IMAGES, TEL_TRIGGER, TRIGGER
from gammalearn.run.reconstruction import index_inputs
from gammalearn.run.report import report_sections
from gammalearn.settings import DataSettings, Experiment
from gammalearn.tasks import build_tasks
from gammalearn.training.fit import TrainingSummary

RUN202, RUN201, GAMMAS = "proton_run202_prod5", "proton_run201_prod5", "gamma_lsts_run7_7.0.0"


@pytest.fixture
def no_text(data_dir, tmp_path):
    """A copy of a file with a byte in one of its attributes that no UTF-8 text has."""

    def damage(name, attribute):
        whole = (data_dir / name).read_bytes()
        assert attribute in whole
        path = tmp_path / "no_text.h5"
        path.write_bytes(whole.replace(attribute, attribute[:-1] + b"\xff"))
        return path

    return damage


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        (f"dl1_ctapipe/{RUN201}.dl1.h5", b"Minimum shower azimuth"),
        (f"dl1_ctapipe/{GAMMAS}.dl1.h5", b"CORSIKA physics model ID for high energies"),
        (f"dl1_ctapipe/{RUN201}.dl1.h5", b"List of telescope ids that triggered the array event"),
        (f"dl1_lstchain/dl1_{GAMMAS}_4tel.h5", b"Fraction of intensity in two outermost rings"),
    ],
)
def test_an_attribute_that_is_no_text(no_text, dl1, name, attribute, caplog):
    path = no_text(name, attribute)
    with pytest.raises(InputFileError, match=f"'{path}': the attribute .* is no text in UTF-8"):
        EventIndex.build([path], DataSettings())
    with caplog.at_level(logging.WARNING):
        rest = EventIndex.build([path, dl1(RUN202)], DataSettings(on_error="skip"))
    assert rest.files == [dl1(RUN202)] and [skipped for skipped, _ in rest.skipped] == [path]
    assert caplog.text.count("Skipped: ") == 1


@pytest.mark.parametrize(
    "name", [f"dl1_ctapipe/{RUN201}.dl1.h5", f"dl1_lstchain/dl1_{GAMMAS}_4tel.h5"]
)
def test_holes_and_garbage_anywhere(data_dir, tmp_path, name):
    """The file is refused in our words, or the events are what they were; where damage hides a
    table of images, the cut flow shows it."""
    whole = (data_dir / name).read_bytes()
    expected = EventIndex.build([data_dir / name], DataSettings())
    truth = ["particle", "true_energy", "true_alt", "true_core_x"]
    refused = 0
    for seed in range(12):
        rng = random.Random(seed)
        start = rng.randrange(len(whole) - 2000)
        filling = bytes(2000) if seed % 2 else rng.randbytes(500)
        path = tmp_path / f"{seed}.h5"
        path.write_bytes(whole[:start] + filling + whole[start + len(filling) :])
        try:
            found = EventIndex.build([path], DataSettings())
        except GammaLearnError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            for column in truth:
                np.testing.assert_array_equal(found.events[column], expected.events[column])
            assert found.cut_flow[0] == expected.cut_flow[0]
            assert found.cut_flow[1][2] == len(found.images)
    assert 0 < refused < 12


class TestDamageThatKillsTheProcess:
    """As the HDF5 library does with some; here the file alone is spared."""

    @pytest.fixture
    def crashing(self, dl1, tmp_path, monkeypatch):
        path = tmp_path / "crashing.h5"
        shutil.copyfile(dl1(RUN201), path)

        def crash(file, *arguments):
            if file == path:
                faulthandler.disable()  # pytest's
                os.kill(os.getpid(), signal.SIGSEGV)
            return open_reader(file, *arguments)

        for module in (file_index, info, writer):
            monkeypatch.setattr(module, "open_reader", crash)
        return path

    @pytest.mark.parametrize("place", [75886, 76116, 76372, 77412])
    def test_with_real_damage(self, dl1, tmp_path, place):
        """Single letters of names of attributes that HDF5 1.14 stumbles over."""
        data = bytearray(dl1(RUN201).read_bytes())
        data[place] = 0xCA
        path = tmp_path / "flipped.h5"
        path.write_bytes(data)
        with pytest.raises(InputFileError, match=f"'{path}' is damaged"):
            EventIndex.build([path], DataSettings())
        with pytest.raises(InputFileError, match=f"'{path}' is damaged"):
            show_event(path, 8615, tmp_path / "event.png")
        assert not (tmp_path / "event.png").exists()

    @pytest.mark.parametrize("processes", [0, 2])
    def test_stops_the_run_by_name_or_is_skipped(self, crashing, dl1, tmp_path, processes):
        settings = DataSettings(cache_directory=tmp_path / "cache")
        files = [dl1(RUN202), crashing, dl1(GAMMAS)]
        with pytest.raises(InputFileError, match=f"^'{crashing}' is damaged, so that the library"):
            EventIndex.build(files, settings, processes=processes)
        skipping = settings.model_copy(update={"on_error": "skip"})
        rest = EventIndex.build(files, skipping, processes=processes)
        assert rest.files == [dl1(RUN202), dl1(GAMMAS)], rest.skipped
        assert [path for path, _ in rest.skipped] == [crashing]

    def test_is_told_by_info(self, crashing, dl1):
        text, (error,) = info.describe([dl1(RUN202), crashing])
        assert str(error).startswith(f"'{crashing}' is damaged") and "6 proton" in text

    def test_leaves_nothing_of_a_dl2_file(self, crashing, dl1, tmp_path):
        """Where it shows only as the file is copied."""
        experiment = Experiment.model_validate({"data": {"grouping": "stereo"}})
        index = EventIndex.build([dl1(RUN201)], experiment.data)
        index.files[0] = crashing
        tasks = build_tasks(experiment.tasks)
        outputs = {name: np.zeros((1, task.n_outputs)) for name, task in tasks.items()}
        (tmp_path / "dl2").mkdir()
        with pytest.raises(InputFileError, match=f"'{crashing}' is damaged"):
            writer.write_dl2(index, tasks, outputs, tmp_path / "dl2" / "x.dl2.h5", experiment)
        assert list((tmp_path / "dl2").iterdir()) == []


def test_negative_charges_stay(altered, make):
    """Noise below the pedestal, and an image of nothing else: no light to take the time of."""

    def darken(file):
        table = file.get_node(f"{IMAGES}/tel_007")
        rows = table.read()
        rows["image"][0] = -1 - np.arange(rows["image"].shape[1]) / 1000
        table.modify_rows(0, len(rows), rows=rows)

    names = ["charge", "peak_time", "has_charge", "absolute_peak_time"]
    dataset = make(altered(RUN201, darken), channels=names, charge_scale="linear", telescopes=[7])
    (image,) = dataset[0].images["FlashCam"].pixels
    np.testing.assert_allclose(image[0], -1 - np.arange(image.shape[1]) / 1000, rtol=1e-6)
    assert not image[1].any() and (image[2] == 1).all() and (image[3] > 0).all()
    cleaned = {"method": "tailcuts_clean", "applied_to": ["charge", "peak_time"]}
    path = altered(RUN201, darken, copy="other")
    dataset = make(path, channels=names, cleaning=cleaned, telescopes=[7])
    assert not dataset[0].images["FlashCam"].pixels[0, [0, 1, 3]].any()


class TestRepeatedEvents:
    def test_of_different_files_are_not_the_same(self, dl1):
        """Ids are not all: these runs have events 100 and 200 both."""
        files = [dl1(name) for name in (RUN202, RUN201, GAMMAS, "proton_run1_6.0.2")]
        whole = EventIndex.build(files, DataSettings())
        assert count_repeated([whole]) == count_repeated([]) == 0
        mono = EventIndex.build(files, DataSettings(grouping="mono"))
        assert count_repeated([mono]) == 0

    def test_are_counted_within_an_index_and_among_several(self, dl1, tmp_path):
        copy = tmp_path / "copy.h5"
        shutil.copyfile(dl1(RUN202), copy)
        merged = dl1("protons_prod5_merged")
        both = EventIndex.build([dl1(RUN202), copy], DataSettings())
        assert count_repeated([both]) == 6
        parts = [EventIndex.build([path], DataSettings()) for path in (merged, dl1(RUN201), copy)]
        assert count_repeated(parts) == 7

    def test_one_run_of_two_particles(self, dl1, altered):
        """The same ids, but not the same events."""

        def renumber(file):
            for node in file.walk_nodes("/", "Table"):
                if "obs_id" in node.colnames:
                    rows = node.read()
                    rows["obs_id"] = 202
                    node.modify_rows(0, len(rows), rows=rows)

        files = [dl1(RUN202), altered(GAMMAS, renumber)]
        index = EventIndex.build(files, DataSettings())
        assert len(np.unique(index.events["obs_id"])) == 1
        assert count_repeated([index]) == 0


class TestTelescopeWithoutImages:
    @staticmethod
    def empty(file):
        """Its triggers stay, as of a telescope whose images were lost."""
        file.get_node(f"{IMAGES}/tel_007").remove_rows()

    def test_is_absent_from_its_events(self, altered, dl1):
        whole, rest = (
            EventIndex.build([path], DataSettings())
            for path in (dl1(RUN202), altered(RUN202, self.empty))
        )
        lost = np.asarray(whole.images["tel_id"]) == 7
        assert lost.any()
        assert np.array_equal(rest.images["tel_id"], whole.images["tel_id"][~lost])
        assert rest.cut_flow[:2] == [
            ("triggered", 6, 36),
            ("with images", len(rest), 36 - lost.sum()),
        ]

    def test_alone_leaves_nothing(self, altered):
        settings = DataSettings(telescopes=[7])
        with pytest.raises(
            EmptySelectionError, match="triggered: [1-6] events; with images: 0 events"
        ):
            EventIndex.build([altered(RUN202, self.empty)], settings)


def test_no_image_of_any_telescope(altered):
    def empty(file):
        for table in file.list_nodes(IMAGES):
            table.remove_rows()

    with pytest.raises(InputFileError, match="holds no DL1 image of any telescope"):
        EventIndex.build([altered(RUN202, empty)], DataSettings())


def test_triggers_of_no_telescope(altered):
    """Images that belong to no trigger would have no pointing."""
    with pytest.raises(EmptySelectionError, match="belong to no trigger"):
        EventIndex.build(
            [altered(RUN202, lambda file: file.get_node(TEL_TRIGGER).remove_rows())], DataSettings()
        )


def test_a_telescope_without_position(altered):
    """Impact points are relative to it, and stereo sees it; the others can be used."""

    def lose(file):
        layout = file.root.configuration.instrument.subarray.layout
        (row,) = layout.get_where_list("tel_id == 7")
        layout.modify_column(row, colname="pos_y", column=np.nan)

    path = altered(RUN202, lose)
    with pytest.raises(InputFileError, match=f"'{path}': telescope 7 has no position"):
        EventIndex.build([path], DataSettings())
    others = [1, 2, 3, 4]
    assert len(EventIndex.build([path], DataSettings(telescopes=others))) > 0


def test_what_is_left_out_of_the_test_files_is_reported(dl1, altered, tmp_path):
    """Files that cannot be used, and the events and images that each step leaves, of all files."""
    empty = altered(RUN201, lambda file: file.get_node(TRIGGER).remove_rows(), copy="empty")
    settings = DataSettings(on_error="skip", cuts={"event": "true_energy > 1"})
    files = [dl1(RUN202), empty, dl1("protons_prod5_merged")]
    tests, skipped = index_inputs(files, Experiment(data=settings), None)
    assert [path for path, _ in skipped] == [empty]
    trained_on = TrainedOn(training_events=1, validation_events=0)
    summary = TrainingSummary(tmp_path / "best.ckpt", trained_on, 1, {}, {}, skipped_steps=0)
    learnt = EventIndex.build([empty, dl1(RUN202)], settings)
    told = report_sections(Experiment(data=settings), tmp_path, summary, learnt, tests, skipped)
    sections = {section.title: section for section in told}
    for kind in ("Training", "Test"):
        assert sections[f"{kind} files left out"].table == {str(empty): skipped[0][1]}
    one, both = (sections[f"Selection of the {kind} events"] for kind in ("training", "test"))
    assert one.heading == ["Step", "Events", "Images", "Share"]
    assert one.table["triggered"] == [6, 36, Worded(1.0, "100.0%")]
    # The merged file holds the same six events and one more with two images.
    assert both.table["triggered"] == [13, 74, Worded(1.0, "100.0%")]
    n_events, n_images, share = one.table["event: true_energy > 1"]
    assert share == Worded(n_images / 36, f"{100 * n_images / 36:.1f}%")
    assert both.table["event: true_energy > 1"][:2] == [2 * n_events, 2 * n_images]
