"""The ctapipe plug-in: a trained network as a reconstructor of `ctapipe-process`.

ctapipe finds it by the entry point ``ctapipe_reco``; docs/ctapipe has configurations.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ctapipe.containers import ArrayEventContainer, Container
from ctapipe.core import Component, Provenance, QualityQuery, ToolConfigurationError, traits
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import HDF5EventSource
from ctapipe.reco import Reconstructor
from traitlets import HasTraits

from ..camera import CameraType
from ..checkpoint.trained import TrainedNetwork, load_checkpoint
from ..data import EventDataset, EventIndex, columns_of
from ..data.index.telescopes import chosen_telescopes
from ..data.readers.bad_pixels import CalibrationRecord
from ..data.readers.ctapipe_event import CtapipeEventReader
from ..errors import CameraError, GammaLearnError
from ..image.parameters import ImageParametrizer
from ..io.files import open_hdf5, reading
from ..models import find_checkpoint, is_shipped
from ..nn import for_inference, inference_device
from ..settings.own_modules import import_modules
from .containers import CONTAINERS, EVENT_CONTAINERS, with_event_class
from .writer import decode_outputs

__all__ = ["GammaLearnQualityQuery", "GammaLearnReconstructor"]

#: Fields of ctapipe's DL2 event for each kind of quantity, by release.
FIELDS = {
    "energy": ("energy",),
    "geometry": ("geometry",),
    "particle_type": ("particle_type", "classification"),
}

#: Stands for the telescope in results of the whole subarray, as in the index.
NO_TELESCOPE = -1

#: What is reconstructed of one event: kind → column → value, with unit if it has one.
Found = Mapping[str, Mapping[str, Any]]


class GammaLearnQualityQuery(QualityQuery):
    """Which images count, beside the cuts that the network was trained with: by default all."""

    quality_criteria = traits.List(
        traits.Tuple(traits.Unicode(), traits.Unicode()),
        default_value=[],
        help=QualityQuery.quality_criteria.help,
    ).tag(config=True)


class _CheckpointPath(traits.Path):
    """The path of a checkpoint, also by the name of a shipped network."""

    def validate(self, obj: HasTraits, value: Any) -> Any:
        return super().validate(obj, find_checkpoint(value) if is_shipped(value) else value)


class GammaLearnReconstructor(Reconstructor):
    """Energy, geometry and particle type by a network that GammaLearn trained.

    Results are those of ``gammalearn predict``: for each telescope if the network was trained with
    ``data.grouping="mono"``, for the subarray if with ``"stereo"``. What the cuts of the training
    leave out is invalid.
    """

    #: Asked of each reconstructor from ctapipe 0.31 on.
    needs_atmosphere_profile = False

    checkpoint = _CheckpointPath(
        default_value=None,
        allow_none=True,
        directory_ok=False,
        help="Checkpoint of GammaLearn, such as runs/lst_stereo/checkpoints/best.ckpt, or the name "
        "of a shipped network.",
    ).tag(config=True)

    imports = traits.List(
        traits.Unicode(),
        help="Modules of your own, or their files, that the network needs: these are imported, and "
        "no others that a checkpoint may name.",
    ).tag(config=True)

    prefix = traits.Unicode(
        default_value=None,
        allow_none=True,
        help="Name of the results; by default output.algorithm of the checkpoint's settings.",
    ).tag(config=True)

    device = traits.Unicode(
        default_value=None,
        allow_none=True,
        help="Device of the network, such as cpu or cuda:1; by default a GPU if there is one.",
    ).tag(config=True)

    def __init__(
        self, subarray: SubarrayDescription, atmosphere_profile: Any = None, **kwargs: Any
    ):
        super().__init__(subarray, atmosphere_profile, **kwargs)
        self.quality_query = GammaLearnQualityQuery(parent=self)
        if self.checkpoint is None:
            raise ToolConfigurationError(
                "GammaLearnReconstructor.checkpoint is not set; give the path of a checkpoint of "
                "GammaLearn, or the name of a shipped network."
            )
        try:
            import_modules(self.imports)
            self._trained = load_checkpoint(self.checkpoint)
            _check_cameras(self._trained, subarray)
        except GammaLearnError as error:
            raise ToolConfigurationError(str(error)) from error
        Provenance().add_input_file(self.checkpoint, role="reconstructor", add_meta=False)
        self._settings = self._trained.experiment.data
        self._name = self.prefix or self._trained.experiment.output.algorithm
        if self.n_jobs:
            torch.set_num_threads(self.n_jobs)
        self._device = self.device or inference_device()
        self._network = for_inference(self._trained.network).to(self._device)
        self._parametrizer = ImageParametrizer(subarray)
        self._calibration = _calibration(self)
        kinds = {task.kind for task in self._trained.tasks.values()}
        for kind in sorted(kinds - set(FIELDS)):
            self.log.warning("ctapipe has no container for %s; it is left out.", kind)
        self._kinds = sorted(kinds & set(FIELDS))
        self._containers = {False: dict(EVENT_CONTAINERS), True: dict(CONTAINERS)}
        if self._trained.event_classes is not None:
            for of_level in self._containers.values():
                of_level["geometry"] = with_event_class(of_level["geometry"])
        if not kinds:
            raise ToolConfigurationError(
                f"'{self.checkpoint}' has learned without labels and reconstructs no quantity; "
                "give a checkpoint of a training that began with it (training.initial)."
            )

    def __call__(self, event: ArrayEventContainer) -> None:
        """Reconstruct an event and fill its ``dl2``.

        Parameters
        ----------
        event : ArrayEventContainer
            With DL1 images.

        Raises
        ------
        InputFileError
            If it has none.
        """
        passed = [
            tel_id
            for tel_id, dl1 in event.dl1.tel.items()
            if all(self.quality_query(parameters=dl1.parameters))
        ]
        reader = CtapipeEventReader(
            event, self.subarray, passed, self._parametrizer, self._calibration
        )
        if self._settings.grouping == "mono":
            results = {tel_id: event.dl2.tel[tel_id] for tel_id in event.trigger.tels_with_trigger}
        else:
            results = {NO_TELESCOPE: event.dl2.stereo}
        found, telescopes = self._predict(reader)
        for tel_id, result in results.items():
            for kind in self._kinds:
                container = self._container(kind, found.get(int(tel_id)), tel_id)
                if tel_id == NO_TELESCOPE:
                    container.telescopes = telescopes if container.is_valid else []
                    container[f"{kind}_telescopes"] = container.telescopes
                field = next(name for name in FIELDS[kind] if name in result.fields)
                result[field][self._name] = container

    @torch.inference_mode()
    def _predict(self, reader: CtapipeEventReader) -> tuple[dict[int, Found], list[int]]:
        """What is reconstructed, telescope → kind → column → value, and of which telescopes."""
        if not reader.telescopes_with_images():
            return {}, []
        index = EventIndex.of_reader(
            reader,
            self._settings,
            self._trained.cameras,
            columns_of(self._network.image_parameters),
        )
        if len(index) == 0:
            return {}, []
        dataset = EventDataset(
            index,
            self._settings,
            parameters=self._network.image_parameters,
            readers=[reader],
        )
        batch = dataset[np.arange(len(index))].to(self._device)
        outputs = {
            name: output.float().cpu().numpy()
            for name, output in self._network(batch.images, batch.n_events).items()
        }
        decoded = decode_outputs(index, self._trained.tasks, outputs, self._trained.event_classes)
        found: dict[int, Found] = {
            int(tel_id): {
                kind: {name: values[row] for name, values in columns.items()}
                for kind, columns in decoded.items()
            }
            for row, tel_id in enumerate(index.events["tel_id"])
        }
        return found, np.asarray(index.images["tel_id"]).tolist()

    def _container(self, kind: str, found: Found | None, tel_id: int) -> Container:
        """ctapipe's container of a kind, invalid if there is nothing."""
        of_telescope = tel_id != NO_TELESCOPE
        prefix = f"{self._name}_tel" if of_telescope else self._name
        container = self._containers[of_telescope][kind](prefix=prefix)
        if found is not None:
            values = found[kind]
            container.is_valid = all(np.isfinite(value) for value in values.values())
            for name in set(values) & set(container.fields):
                container[name] = values[name]
        return container


def _check_cameras(trained: TrainedNetwork, subarray: SubarrayDescription) -> None:
    """Refuse telescopes that the network would get images of and has no encoder for."""
    chosen = chosen_telescopes(subarray, trained.experiment.data.telescopes, "the subarray")
    for tel_id in sorted(chosen):
        telescope = subarray.tel[tel_id]
        camera = CameraType.from_geometry(
            telescope.camera.geometry, telescope.optics.equivalent_focal_length
        )
        if all(known.order_of(camera) is None for known in trained.cameras):
            raise CameraError(
                f"Telescope {tel_id} ({telescope}) has a camera of {camera.n_pixels} pixels that "
                "the network was not trained on; it knows "
                f"{', '.join(c.name for c in trained.cameras)}. Leave the telescope out with "
                "EventSource.allowed_tels, or train on its camera."
            )


def _calibration(component: Component | None) -> dict[int, CalibrationRecord]:
    """Broken pixels by telescope, of the DL1 file that the tool around a component reads.

    ctapipe does not load the calibration in a DL1 file with its events.
    """
    while component is not None and not hasattr(component, "event_source"):
        component = component.parent
    source = getattr(component, "event_source", None)
    if not isinstance(source, HDF5EventSource):
        return {}
    path = source.input_url
    with open_hdf5(path) as file, reading(path, "the calibration of its pixels"):
        records = {
            tel_id: CalibrationRecord.read(file, tel_id, source.is_simulation)
            for tel_id in source.subarray.tel
        }
    return {tel_id: record for tel_id, record in records.items() if record is not None}
