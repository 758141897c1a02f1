"""What an experiment is.

All settings with their defaults and what they may be; :meth:`Experiment.to_yaml` writes them
resolved, defaults included. :mod:`gammalearn.settings_reading` reads them.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, get_args

import pydantic
import yaml
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WrapValidator,
    field_validator,
    model_validator,
)

__all__ = [
    "AugmentationSettings",
    "CleaningSettings",
    "CutSettings",
    "DataSettings",
    "EvaluationSettings",
    "Experiment",
    "NetworkSettings",
    "OutputSettings",
    "Settings",
    "SimulationSettings",
    "TaskSettings",
    "TrainingSettings",
    "WeightSettings",
    "named_tasks",
]

Particle = Literal["gamma", "electron", "proton"]
Reference = Literal["lst1_mono", "lst4_requirement", "ctao_north"]

#: Energies (TeV) of simulated showers: those below give no light, those above take a day each.
LOWEST_ENERGY, HIGHEST_ENERGY = 0.001, 1000

#: Largest angle from the zenith (deg) of simulated showers; beyond, the Earth's curvature counts.
LARGEST_ZENITH = 75

#: Features and layers of any part of a network: more would take all memory before they are of use.
MOST_FEATURES, MOST_LAYERS = 4096, 100


def _as_path(value):
    return str(Path(value).expanduser()) if isinstance(value, str | Path) else value


def _as_list(value):
    return [value] if isinstance(value, str | int | Path) else value


def _as_str_list(value):
    value = _as_list(value)
    if not isinstance(value, list | tuple):
        return value
    return [str(v) if isinstance(v, Path) else v for v in value]


#: One file, glob or expression may stand for a list of one.
Strings = Annotated[list[str], BeforeValidator(_as_str_list)]


def _number_in(name: str):
    """A validator that turns a quantity, such as ``"20 GeV"``, into a number in a unit."""

    def convert(value):
        if isinstance(value, int | float):
            return value
        if isinstance(value, str):
            with suppress(ValueError):
                return float(value)
        # Slow to import, and few settings are quantities.
        import astropy.units as u

        unit = u.Unit(name)
        if isinstance(value, str):
            try:
                value = u.Quantity(value.strip())
            except (TypeError, ValueError):
                raise ValueError(
                    f"expected a number ({unit}) or a number with a unit, got {value!r}"
                ) from None
        if isinstance(value, u.Quantity):
            if not value.unit.is_equivalent(unit):
                raise ValueError(f"expected a number ({unit}) or a unit like it, got '{value}'")
            value = value.to_value(unit)
        return value

    return BeforeValidator(convert)


#: Numbers in these units; text and astropy quantities of other units are converted.
TeV = Annotated[float, _number_in("TeV"), Field(allow_inf_nan=False)]
Degrees = Annotated[float, _number_in("deg"), Field(allow_inf_nan=False)]
Metres = Annotated[float, _number_in("m"), Field(allow_inf_nan=False)]
Nanoseconds = Annotated[float, _number_in("ns"), Field(allow_inf_nan=False)]
Minutes = Annotated[float, _number_in("min"), Field(allow_inf_nan=False)]


#: A value of a parameter that another package defines; true and false stay what they are.
Number = bool | int | float | None


class Settings(pydantic.BaseModel):
    """What all settings share: unknown keys are refused, defaults are checked, and none changes."""

    model_config = ConfigDict(
        extra="forbid", validate_default=True, use_attribute_docstrings=True, frozen=True
    )


class CutSettings(Settings):
    """Selection of images and events, with expressions of DL1 parameters and truth."""

    image: Strings = []
    """Conditions for each image, e.g. ``hillas_intensity > 50``. Names are DL1 image parameters and
    columns of the event table."""

    telescope: dict[str, Strings] = {}
    """Conditions for the images of one telescope type (``LST``) or name (``LSTCam``), e.g.
    ``{"LST": "hillas_intensity > 50", "MST": "hillas_intensity > 80"}``."""

    event: Strings = []
    """Conditions for each event, e.g. ``true_energy > 0.05`` (TeV), ``multiplicity >= 3`` or
    ``multiplicity_LST >= 2``. The multiplicity counts the images that pass the image cuts."""


class CleaningSettings(Settings):
    """Which pixels hold light of the shower (the channel ``cleaning_mask``)."""

    method: Literal[
        "file",
        "tailcuts_clean",
        "mars_cleaning_1st_pass",
        "fact_image_cleaning",
        "time_constrained_clean",
        "nsb_image_cleaning",
    ] = "file"
    """Origin of the mask: the DL1 file, or ctapipe's function of this name. The function cleans the
    images when they are read, after their augmentation."""

    parameters: dict[str, Number | dict[str, Number]] = {}
    """Arguments of ctapipe's function, with ctapipe's names and defaults, e.g. ``{"picture_thresh":
    8, "boundary_thresh": 4, "min_number_picture_neighbors": 2}``. A value can be a dictionary with
    one value for each camera, ``{"LSTCam": 8, "*": 6}``."""

    applied_to: list[Literal["charge", "peak_time"]] = []
    """What the mask is applied to. Pixels outside the mask get no charge (0), or the time of the
    image."""


class AugmentationSettings(Settings):
    """Random changes of the training images, different in each epoch. Images of the validation and
    the prediction do not change."""

    turns: bool = False
    """Turn each training event at random by a multiple of 60 degrees (90 for square pixels) about
    its pointing. Images, telescopes, direction and impact are turned together. One event becomes
    six."""

    nsb: float = Field(0.0, ge=0, le=100)
    """Mean number of photoelectrons of night-sky background to add to each pixel's integration
    window. They follow a Poisson distribution, and their mean is subtracted, like a pedestal. Set
    it to the difference between the wanted noise and that of the simulation (p.e.²), which
    ``gammalearn info`` prints."""

    gain_jitter: float = Field(0.0, ge=0, lt=1)
    """Standard deviation of the relative gain of each pixel."""

    time_jitter: Nanoseconds = Field(0.0, ge=0, le=100)
    """Standard deviation (ns, or text with another unit) of the peak time of each pixel."""

    pixel_dropout: float = Field(0.0, ge=0, lt=1)
    """Fraction of the pixels that are removed, like broken ones."""

    telescope_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability to remove an image from its event, as if its telescope had not triggered. At
    least ``data.min_multiplicity`` images are kept."""


#: Exponent of a falling power law of energies.
SpectralIndex = Annotated[float, Field(ge=-6, le=0)]


class WeightSettings(Settings):
    """How much each training event counts in the losses. The mean weight of the events of a task is
    1. The figures of the validation and the evaluation do not use weights."""

    balance_particles: bool = False
    """Give each particle the same total weight."""

    spectral_index: SpectralIndex | dict[Particle, SpectralIndex] | None = None
    """Exponent of the energy spectrum that events are weighted to, such as -2.6, or one for each
    particle. The weights are pyirf's, from the simulated power law in the file. By default events
    count as simulated."""


class SimulationSettings(Settings):
    """One file of simulated events. A number can be text with another unit, such as `20 GeV`."""

    output: Annotated[str, BeforeValidator(_as_path)]
    """DL1 file to write. A relative name starts from the working directory."""

    particle: Particle
    """Particle that hits the atmosphere."""

    array: str = "lst4"
    """Telescopes: ``lst1``, ``lst4``, ``lst4_mst9``, or a YAML file with a layout."""

    n_showers: int = Field(ge=1)
    """Number of showers to simulate. Most of them may trigger no telescope."""

    energy: tuple[TeV, TeV]
    """Lowest and highest energy (TeV)."""

    index: float = Field(-2.0, ge=-5, le=0)
    """Exponent of the energy spectrum. With -2, each decade has a tenth of the showers of the
    decade below."""

    viewcone: Degrees = Field(0.0, ge=0, le=20)
    """Radius (deg) of the disc in the sky, around the pointing, from which the showers come. 0 is a
    point source."""

    offset: Degrees = Field(0.0, ge=0, lt=10)
    """Angle (deg) between a point source and the pointing. The position angle of each shower is
    random."""

    scatter: Metres = Field(300.0, gt=0, le=10_000)
    """Radius (m) of the circle, perpendicular to the shower, in which the impact points lie."""

    reuse: int = Field(10, ge=1, le=100)
    """Number of impact points for each shower. Each can give an event."""

    zenith: Degrees = Field(20.0, ge=0, le=70)
    """Angle (deg) between the pointing and the zenith."""

    azimuth: Degrees = Field(180.0, ge=-360, le=360)
    """Azimuth (deg) of the pointing, from North to East."""

    min_telescopes: int | None = Field(None, ge=1)
    """Smallest number of telescopes that must trigger. By default 2, or 1 if the array has one
    telescope."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of all random numbers, together with the run. Another seed gives other events."""

    run: int = Field(1, ge=1, lt=2**31)
    """Number of the run, which is the obs_id of its events."""

    @field_validator("output")
    @classmethod
    def _hdf5(cls, output):
        if not output.endswith(".h5"):
            raise ValueError(f"expected a name that ends in .h5, got {output!r}")
        return output

    @field_validator("energy")
    @classmethod
    def _range(cls, energy):
        low, high = energy
        if not LOWEST_ENERGY <= low < high <= HIGHEST_ENERGY:
            raise ValueError(
                f"expected two increasing energies between {LOWEST_ENERGY} and {HIGHEST_ENERGY} "
                f"TeV, got {low:g} and {high:g} TeV"
            )
        return energy

    @model_validator(mode="after")
    def _directions(self):
        if self.viewcone and self.offset:
            raise ValueError(
                "offset is of a point source: set either offset or viewcone, and the other to 0"
            )
        if self.zenith + self.viewcone + self.offset > LARGEST_ZENITH:
            raise ValueError(
                f"zenith={self.zenith:g} deg with viewcone or offset lets showers come from more "
                f"than {LARGEST_ZENITH} deg from the zenith"
            )
        return self

    def shower_settings(self) -> dict:
        """All that decides what is simulated: everything but where it goes."""
        return self.model_dump(mode="json", exclude={"output"})


class DataSettings(Settings):
    """Files, telescopes, grouping, cuts and channels."""

    train: Strings = []
    """Files or globs to learn from. The validation events come from them too."""

    test: Strings = []
    """Files or globs to reconstruct and evaluate."""

    validation_fraction: float = Field(0.2, ge=0, lt=1)
    """Fraction of the training showers, for each particle, that is used for the validation."""

    telescopes: Annotated[list[int | str] | None, BeforeValidator(_as_list)] = None
    """Telescope ids, types (``LST``) or names (``LSTCam``). By default all telescopes of each
    file."""

    grouping: Literal["mono", "stereo"] = "stereo"
    """An event is one image (mono) or all images of a shower (stereo)."""

    min_multiplicity: int = Field(1, ge=1)
    """Smallest number of images of an event after the image cuts."""

    cuts: CutSettings = CutSettings()
    """Selection of images and events."""

    events_per_particle: int | None = Field(None, ge=1)
    """Largest number of training events of each particle. Whole showers are drawn at random. By
    default all events are used."""

    weights: WeightSettings = WeightSettings()
    """How much each training event counts."""

    on_error: Literal["raise", "skip"] = "raise"
    """What happens if a file cannot be used: the run stops (``raise``), or the file is left out
    with a warning and named in the report (``skip``). If a file ends too early, ``skip`` leaves out
    single events."""

    channels: list[
        Literal["charge", "peak_time", "absolute_peak_time", "cleaning_mask", "has_charge"]
    ] = ["charge", "peak_time"]
    """Values of each pixel that enter the network, in this order. ``peak_time`` is relative to the
    time of the image, ``absolute_peak_time`` is that of the file, both in units of 10 ns.
    ``has_charge`` is 0 for missing pixels and 1 for others. Use no channels for a network of
    parameters alone."""

    charge_scale: Literal["linear", "asinh", "log", "sqrt"] = "asinh"
    """How the charge (p.e.) enters: unchanged (``linear``), asinh(charge), which is linear for
    noise and logarithmic for light, log(1 + charge), or its square root. The last two keep the sign
    of the charge."""

    peak_time_threshold: float | None = Field(None, allow_inf_nan=False)
    """Smallest charge (p.e.) of pixels whose peak time is used. The time of darker pixels is that
    of noise, so they get the time of the image, 0 in ``peak_time``. By default all times are
    used."""

    cleaning: CleaningSettings = CleaningSettings()
    """Which pixels hold light of the shower."""

    augmentation: AugmentationSettings = AugmentationSettings()
    """Random changes of the training images."""

    shuffle_window: int = Field(8192, ge=1)
    """Number of images that all processes together keep in memory to shuffle the training events
    (15 kB for two channels of an LST image). If there are fewer images, the shuffle is complete."""

    packed_cache: bool = False
    """Unpack the training images once into the cache, in half precision (rounding 0.05 %) and
    uncompressed (7.4 kB for two channels of an LST image). All epochs then read the cache."""

    cache_directory: Annotated[str | None, BeforeValidator(_as_path)] = None
    """Folder of the cache. By default ``~/.cache/gammalearn``."""

    @field_validator("channels")
    @classmethod
    def _channels(cls, channels):
        if len(set(channels)) < len(channels):
            raise ValueError("expected different channels")
        return channels

    @model_validator(mode="after")
    def _mono_has_one_image(self):
        if self.grouping == "mono" and self.min_multiplicity > 1:
            raise ValueError(
                f"min_multiplicity={self.min_multiplicity} leaves no event when "
                "grouping='mono', where every event has one image"
            )
        return self


#: What DL1 parameters tell of an image, see :mod:`gammalearn.data.descriptors`.
Descriptor = Literal[
    "light",
    "length",
    "width",
    "kurtosis",
    "concentration",
    "leakage",
    "time",
    "islands",
    "centroid",
    "axis",
    "skewness",
    "time_slope",
]


def _as_descriptors(value):
    return list(get_args(Descriptor)) if value in ("all", ["all"]) else value


def _or_own_class(value, validate):
    """A name of ours, or a class as ``module:Class``."""
    is_own = isinstance(value, str) and re.fullmatch(r"[\w.-]+:\w+", value)
    return value if is_own else validate(value)


#: An encoder of ours, or ``module:Class`` of the user's own.
Backbone = Annotated[
    Literal[
        "none",
        "gammaphysnet",
        "gammaphysnet_light",
        "gammaphysnet_deep",
        "conv4",
        "conv5",
        "convnext",
        "transformer",
    ],
    WrapValidator(_or_own_class),
    PlainSerializer(str),
]


class NetworkSettings(Settings):
    """The network: one encoder for each camera type, telescope fusion, one head for each task."""

    backbone: Backbone = "gammaphysnet"
    """Encoder of the images: residual blocks with attention (gammaphysnet, and with fewer or more
    weights _light and _deep), 4 or 5 plain layers (conv4, conv5), wide convolutions of each channel
    (convnext), or patches that attend to each other (transformer). none is a network of
    ``parameters`` alone, with ``data.channels=[]``. ``module:Class`` is your own encoder, from a
    module in ``imports``."""

    parameters: Annotated[list[Descriptor], BeforeValidator(_as_descriptors)] = []
    """DL1 parameters of each image that the network sees in addition to the pixels: scalars and, in
    the sky, vectors (``centroid``, ``axis``, ``skewness``, ``time_slope``), or ``all``. They come
    from the file. If the file has none, ctapipe computes them. The network is told which are
    missing."""

    geometry: bool = False
    """Reconstruct the shower axis in the network: direction and core by weighted least squares of
    the image axes in the sky and on the ground, and from these the distance of each telescope from
    the axis. All tasks see the result. It needs the ``parameters`` centroid and axis."""

    geometry_rounds: int = Field(1, ge=1, le=8)
    """Number of times that the telescopes attend to each other and direction and core are fitted
    again (geometry)."""

    channels: list[Annotated[int, Field(ge=1, le=MOST_FEATURES)]] | None = Field(
        None, max_length=MOST_LAYERS
    )
    """Number of features in each stage. By default 16, 32, 64 for gammaphysnet and _deep, 8, 16, 32
    for _light, 32, 64 for convnext, and 64 for the patches of the transformer."""

    blocks: int | None = Field(None, ge=1, le=MOST_LAYERS)
    """Number of blocks in each stage. By default 3 for gammaphysnet and convnext, 2 for
    gammaphysnet_light, 6 for gammaphysnet_deep, and 4 for the transformer."""

    attention: Literal["dual", "spatial", "squeeze_excitation", "none"] = "dual"
    """Attention after each stage (gammaphysnet): weights for pixels (spatial), for features
    (squeeze_excitation), for both (dual), or none."""

    keypoints: int = Field(0, ge=0, le=MOST_FEATURES)
    """Number of places in the camera that each encoder looks for, in addition to the flattened
    feature map. Each image then gives a direction with its own precision, and the network starts
    from their mean. It learns directions from far fewer events."""

    backend: Literal["auto", "native", "dense", "gather", "indexedconv"] = "auto"
    """How convolutions are computed. All give the same result: on pixels and their neighbours with
    code compiled for the CPU (native), as dense convolutions on the index matrix (dense), on
    gathered neighbours (gather), or with the IndexedConv package. auto chooses the fastest."""

    embedding: int = Field(256, ge=8, le=MOST_FEATURES, multiple_of=8)
    """Number of features that describe an image, and an event after the fusion."""

    fusion: Literal["attention", "mean", "concatenation"] = "attention"
    """How the images of an event are joined: with attention, with their mean, or by concatenation.
    Concatenation needs fixed telescopes and is for comparison with older methods."""

    telescopes: list[int] | None = Field(None, min_length=1, max_length=MOST_FEATURES)
    """Ids of all telescopes of the array, one slot for each (fusion='concatenation')."""

    fusion_layers: int = Field(1, ge=1, le=MOST_LAYERS)
    """Number of transformer layers among the telescopes (fusion='attention')."""

    head: int = Field(128, ge=1, le=MOST_FEATURES)
    """Number of hidden features in the head of each task."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Fraction of the features that are removed at random during the training, in fusion and
    heads."""

    @model_validator(mode="after")
    def _stages(self):
        n_stages = {"conv4": 4, "conv5": 5, "transformer": 1}.get(self.backbone)
        if self.channels is not None and n_stages and len(self.channels) != n_stages:
            raise ValueError(
                f"backbone={self.backbone!r} needs {n_stages} "
                f"value{'s' * (n_stages > 1)} in channels, got {len(self.channels)}"
            )
        if self.channels is not None and not self.channels:
            raise ValueError("channels needs at least one value")
        if self.channels is not None and self.backbone == "transformer" and self.channels[0] % 8:
            raise ValueError(
                f"backbone='transformer' needs a multiple of 8 in channels, got {self.channels[0]}"
            )
        if (self.fusion == "concatenation") != (self.telescopes is not None):
            raise ValueError(
                f"fusion={self.fusion!r} "
                + ("has no slots; leave out" if self.telescopes else "needs the ids of")
                + " telescopes"
            )
        if self.telescopes is not None and len(set(self.telescopes)) < len(self.telescopes):
            raise ValueError("expected different ids in telescopes")
        if self.geometry and not {"centroid", "axis"} <= set(self.parameters):
            raise ValueError(
                "geometry=true needs the axes of the images; add centroid and axis to parameters, "
                "or set parameters to all"
            )
        if self.backbone == "none" and not self.parameters:
            raise ValueError(
                "backbone='none' leaves the network nothing to see; set parameters to all"
            )
        if self.backbone == "none" and self.keypoints:
            raise ValueError("backbone='none' has no images to find keypoints in; set them to 0")
        if ":" in self.backbone and (self.keypoints or self.channels or self.blocks):
            raise ValueError(
                f"backbone={self.backbone!r} is an encoder of your own, which decides on its "
                "layers; leave out channels, blocks and keypoints"
            )
        if self.backbone == "convnext" and self.backend == "indexedconv":
            raise ValueError(
                "backbone='convnext' has convolutions of single channels, which "
                "backend='indexedconv' does not compute; set another backend"
            )
        return self


class TaskSettings(Settings):
    """One physical quantity to learn."""

    weight: float = Field(1.0, gt=0)
    """Weight of the loss of the task. ``training.balancing`` starts from it."""

    particles: list[Particle] | None = None
    """Particles that the task learns from. By default gammas for regressions, all for the type."""

    uncertainty: bool = False
    """Also learn the uncertainty of the estimate, with the likelihood of the truth, and write it to
    the DL2 file (energy, direction, impact, depth_of_maximum)."""

    distribution: bool = False
    """Learn the whole distribution of the quantity in bins, and write its median, mean and width
    (energy). It contains an uncertainty, so do not set ``uncertainty`` too."""

    classes: Literal[2, 3] = 2
    """2 separates gammas from all other particles. 3 separates gammas, protons and electrons. The
    gammaness is the probability of a gamma in both cases (particle_type)."""

    @model_validator(mode="after")
    def _one_uncertainty(self):
        if self.distribution and self.uncertainty:
            raise ValueError("set distribution or uncertainty, not both: a distribution has one")
        return self


class TrainingSettings(Settings):
    """Optimiser and machine."""

    initial: Annotated[str | None, BeforeValidator(_as_path)] = None
    """Checkpoint of another run, or name of a shipped network, whose weights the training starts
    from. Each part whose shapes fit is taken: encoders by camera, heads by task. Other parts start
    with random weights."""

    frozen: Strings = []
    """Parts that keep the weights of ``training.initial``, e.g. ``encoders``, ``encoders.LSTCam``,
    ``fusion`` or ``heads.energy``."""

    epochs: int = Field(20, ge=1)
    """Number of times that each training event is used."""

    batch_size: int = Field(64, ge=1)
    """Number of events in a batch, for each device."""

    accumulation: int = Field(1, ge=1)
    """Number of batches whose gradients are averaged for one step. A step then has more events with
    the memory of one batch."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019), or stochastic gradient descent with momentum."""

    momentum: float = Field(0.9, ge=0, lt=1)
    """Fraction of the previous step that is kept (sgd)."""

    learning_rate: float = Field(1e-3, gt=0)
    """Step size; with a schedule, the largest step size."""

    schedule: Literal["constant", "one_cycle", "cosine", "step", "plateau"] = "constant"
    """How the step size changes: not at all (constant); up in the first third and down to zero at
    the end (one_cycle, Smith & Topin 2018); up in the warm-up and down as a cosine (cosine); down
    every ``decay_epochs`` (step); or down after that many epochs without a lower validation loss
    (plateau). one_cycle and cosine learn more in few epochs, but cannot be continued beyond the
    planned epochs."""

    warm_up: float = Field(0.05, ge=0, lt=1)
    """Fraction of the training in which the step size rises (cosine)."""

    decay_epochs: int = Field(5, ge=1)
    """Number of epochs between two reductions of the step size (step), or without a lower
    validation loss before a reduction (plateau)."""

    decay_factor: float = Field(0.3, gt=0, lt=1)
    """Factor of each reduction of the step size (step and plateau)."""

    weight_decay: float = Field(0.0, ge=0)
    """Decay of the weights towards zero at each step, relative to the step size."""

    gradient_clipping: float | None = Field(None, gt=0)
    """Largest norm of the gradient of all weights. Longer gradients are shortened to it."""

    weight_averaging: float = Field(0.0, ge=0, lt=1)
    """Validate, save and use a moving average of the weights instead of the last weights. Each step
    keeps this fraction of the average: 0.999 averages about a thousand steps, 0 does not
    average."""

    early_stopping: int | None = Field(None, ge=1)
    """Number of epochs without a lower validation loss after which the training ends. By default it
    does not end early."""

    checkpoint_minutes: Minutes = Field(10.0, gt=0, le=1e6)
    """Time (minutes, or text with another unit) between two checkpoints within an epoch. An
    interrupted run continues from the last one. There is also one after each epoch."""

    picture_epochs: int = Field(5, ge=1)
    """Number of epochs between two pictures of the validation in TensorBoard: some events with the
    results of the network, and migration matrices of energy and direction."""

    image_losses: float = Field(1.0, ge=0, allow_inf_nan=False)
    """Weight of the losses of the image estimates, relative to the loss of the event (stereo). With
    it each telescope trains the encoder directly, which helps most in short trainings. It is also
    the weight of the earlier fits of the geometry."""

    balancing: Literal["fixed", "uncertainty", "dwa", "gradnorm", "pcgrad"] = "fixed"
    """How the losses of the tasks are weighted: with their settings (fixed), with learned
    uncertainties (uncertainty), by how fast each falls (dwa), with learned weights that give all
    tasks similar training rates (gradnorm), or by changing gradients that oppose each other
    (pcgrad). The last two need one more backward pass for each task."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the split, the order of the events, the first weights and dropout."""

    workers: int = Field(0, ge=0)
    """Number of processes that load data. With 0 the training process loads them."""

    accelerator: str = "auto"
    """``cpu``, ``gpu`` or ``auto``, as in Lightning."""

    devices: int | list[int] | Literal["auto"] = 1
    """Number of devices on each node, or a list of devices."""

    nodes: int = Field(1, ge=1)
    """Number of nodes."""

    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """Precision of the numbers, with Lightning's names."""

    compile: bool = False
    """Let torch compile the encoders. The first steps take a minute longer, later steps are faster
    (with the native backend on a CPU by a tenth at most). If there is no compiler, the training
    continues without."""

    @model_validator(mode="after")
    def _frozen_parts_have_learnt(self):
        if self.frozen and self.initial is None:
            raise ValueError(
                f"frozen={self.frozen} would keep random weights; set initial to a checkpoint to "
                "begin with"
            )
        return self


class EvaluationSettings(Settings):
    """Bins and choices of the evaluation."""

    energy_range: tuple[TeV, TeV] = (0.01, 100.0)
    """Edges of the energy axis (TeV, or text with another unit, such as `50 GeV`)."""

    bins_per_decade: int = Field(5, ge=1)
    """Number of energy bins in each factor of ten."""

    signal: Particle = "gamma"
    """Particle whose migration and resolution are shown."""

    algorithm: str | None = None
    """Name of the DL2 algorithm, or several names separated by commas (ctapipe has one for each
    quantity). Needed if a file has several results for one quantity."""

    references: list[Reference] = []
    """Published resolutions to draw for comparison: ``lst1_mono`` (LST-1, random forests),
    ``lst4_requirement`` (four LSTs, also its sensitivity), ``ctao_north`` (four LSTs and nine MSTs,
    prod5)."""

    on_error: Literal["raise", "skip"] = "raise"
    """What happens if a DL2 file cannot be used: the command stops (``raise``), or the file is left
    out with a warning and named in the report (``skip``)."""

    @field_validator("energy_range")
    @classmethod
    def _ordered(cls, value):
        if not 0 < value[0] < value[1]:
            raise ValueError("expected two increasing positive energies (TeV)")
        return value


class OutputSettings(Settings):
    """Output folder and layout of the results."""

    directory: str | None = None
    """Output folder. By default ``runs/`` and the name of the settings file."""

    algorithm: str = Field("GammaLearn", pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Name of the DL2 algorithm, which is the prefix of its columns."""

    dl1_images: bool = False
    """Copy the DL1 images into the DL2 files."""

    truth: Literal["copy", "link"] = "copy"
    """Copy the truth of simulated events into the DL2 files, or link to the DL1 file that has it.
    Files with links are smaller, but the DL1 file must stay in its place."""

    dl2_format: Literal["ctapipe", "lstchain"] = "ctapipe"
    """Layout of the DL2 files: ctapipe's data model, or lstchain's layout (for lstchain DL1 and
    networks of single telescopes)."""


def named_tasks(value):
    """Tasks with their settings, of a list of names or of a dictionary."""
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if task is None else task for name, task in value.items()}
    return value


class Experiment(Settings):
    """All settings of an experiment."""

    imports: Strings = []
    """Names of your own Python modules with tasks and encoders, beside the file of the experiment
    or on the path of Python. A Python experiment imports the modules that it lists. For a YAML file
    or a checkpoint, give their names or files with ``--imports``."""

    simulation: list[SimulationSettings] = []
    """Files to simulate if ``data.train`` or ``data.test`` needs them and they are missing."""

    data: DataSettings = DataSettings()
    """Files, telescopes, grouping, cuts and channels."""

    network: NetworkSettings = NetworkSettings()
    """The network."""

    tasks: Annotated[dict[str, TaskSettings], BeforeValidator(named_tasks)] = {
        "particle_type": TaskSettings(),
        "energy": TaskSettings(),
        "direction": TaskSettings(),
        "impact": TaskSettings(),
    }
    """Quantities to learn: a list of names, or names with their settings."""

    training: TrainingSettings = TrainingSettings()
    """Optimiser and machine."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """Binning and choices of the evaluation."""

    output: OutputSettings = OutputSettings()
    """Where results go and how they are called."""

    @field_validator("imports")
    @classmethod
    def _modules(cls, imports):
        for name in imports:
            if name.endswith(".py") or not re.fullmatch(r"[^\W.][^/\\:]*", name):
                raise ValueError(f"expected names of modules, such as my_task, got {name!r}")
        return imports

    @field_validator("simulation")
    @classmethod
    def _different_files(cls, simulation):
        outputs, sources = {}, {}
        for number, made in enumerate(simulation):
            other = outputs.setdefault(Path(made.output).resolve(), number)
            if other != number:
                raise ValueError(
                    f"{other} and {number} would both become '{made.output}'; give each another "
                    "output"
                )
            other = sources.setdefault((made.particle, made.seed, made.run), number)
            if other != number:
                raise ValueError(
                    f"{other} and {number} are both {made.particle} with seed={made.seed} and "
                    f"run={made.run}, which gives the same showers; give each another seed or run"
                )
        return simulation

    @field_validator("tasks")
    @classmethod
    def _some_task(cls, tasks):
        if not tasks:
            raise ValueError("expected at least one task")
        return tasks

    @model_validator(mode="after")
    def _own_encoder_is_imported(self):
        module, colon, _ = self.network.backbone.partition(":")
        if colon and module not in self.imports:
            raise ValueError(
                f"network.backbone={self.network.backbone!r} is of the module {module!r}: set "
                f"imports to [{module}]"
            )
        return self

    @model_validator(mode="after")
    def _pixels_or_none(self):
        if (self.network.backbone == "none") != (not self.data.channels):
            raise ValueError(
                f"network.backbone={self.network.backbone!r} does not go with "
                f"data.channels={self.data.channels}: a network of parameters alone has "
                "network.backbone='none' and data.channels=[], all others have channels"
            )
        return self

    @model_validator(mode="after")
    def _something_to_validate(self):
        training = self.training
        if self.data.validation_fraction == 0 and (
            training.schedule == "plateau" or training.early_stopping is not None
        ):
            setting = "schedule='plateau'" if training.schedule == "plateau" else "early_stopping"
            raise ValueError(
                f"training.{setting} follows the validation loss, and data.validation_fraction=0 "
                "leaves none"
            )
        return self

    @model_validator(mode="after")
    def _something_to_balance(self):
        balancing = self.training.balancing
        if balancing in ("dwa", "gradnorm", "pcgrad") and len(self.tasks) == 1:
            raise ValueError(
                f"training.balancing={balancing!r} weighs tasks against each other, and there is "
                f"one only ({', '.join(self.tasks)}): set it to 'fixed'"
            )
        if balancing in ("gradnorm", "pcgrad") and self.training.precision == "16-mixed":
            raise ValueError(
                f"training.balancing={balancing!r} takes the gradient of each task as it is, which "
                "training.precision='16-mixed' has only as a multiple: set it to 'bf16-mixed'"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved settings, defaults included, as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
