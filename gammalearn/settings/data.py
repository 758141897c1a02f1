"""Settings of the data: files, selection, cleaning, augmentation and weights."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .base import Nanoseconds, Number, Particle, Settings, Strings, as_list, as_path

__all__ = [
    "AugmentationSettings",
    "CleaningSettings",
    "CutSettings",
    "DataSettings",
    "WeightSettings",
]

#: How many times fewer images are shuffled with waveforms: by default some 0.24 GB of them.
SMALLER_WINDOW = 16


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

    renamed: ClassVar = {"data.augmentation.turns": "data.augmentation.rotations"}

    rotations: bool = False
    """Rotate each training event at random by a multiple of 60 degrees (90 for square pixels) about
    its pointing. Images, telescopes, direction and impact are rotated together. One event becomes
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


class DataSettings(Settings):
    """Files, telescopes, grouping, cuts and channels."""

    train: Strings = []
    """Files or globs to learn from. The validation events come from them too."""

    test: Strings = []
    """Files or globs to reconstruct and evaluate."""

    unlabelled: Strings = []
    """Files or globs of events that take part in the training without their truth: observed events,
    or simulated events of other conditions. The adaptation tasks (``domain``, ``coral``, ``mmd``,
    ``deepjdot``) compare them with the training events. Cuts that name the truth do not apply to
    them."""

    unlabelled_fraction: float = Field(0.25, gt=0, lt=1)
    """Share of unlabelled events in each training batch, if there are any. An epoch still uses each
    training event once."""

    unlabelled_statistics: bool = False
    """Count the unlabelled events in the statistics of batch normalisations. By default the
    statistics are those of the training events alone, and the unlabelled events are normalised with
    them."""

    validation_fraction: float = Field(0.2, ge=0, lt=1)
    """Fraction of the training showers, for each particle, that is used for the validation."""

    telescopes: Annotated[list[int | str] | None, BeforeValidator(as_list)] = None
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

    input: Literal["images", "waveforms"] = "images"
    """What enters the network of each pixel: the ``channels`` alone (images), or also the samples
    of its waveform (R1), of which a temporal convolution makes ``network.temporal_channels``. All
    files must then have waveforms."""

    samples: int = Field(60, ge=8, le=1024)
    """Number of samples of a waveform that enter (``input=waveforms``), from the first one on.
    Later samples are left out, with a warning, and zeros follow a shorter waveform."""

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
    (15 kB for two channels of an LST image). If there are fewer images, the shuffle is complete.
    With ``input=waveforms``, a sixteenth of this number is kept (0.46 MB for 60 samples of an LST
    image)."""

    packed_cache: bool = False
    """Unpack the training images once into the cache, in half precision (rounding 0.05 %) and
    uncompressed (7.4 kB for two channels of an LST image). All epochs then read the cache."""

    cache_directory: Annotated[str | None, BeforeValidator(as_path)] = None
    """Folder of the cache. By default ``~/.cache/gammalearn``."""

    @property
    def values_per_pixel(self) -> int:
        """Numbers that a batch holds of each pixel: the channels, and the samples after them."""
        return len(self.channels) + self.n_samples

    @property
    def n_samples(self) -> int:
        """Samples that a batch holds of each pixel."""
        return self.samples if self.input == "waveforms" else 0

    @property
    def images_to_shuffle(self) -> int:
        """Images that wait in memory to be shuffled: waveforms take far more of it."""
        smaller = SMALLER_WINDOW if self.input == "waveforms" else 1
        return max(self.shuffle_window // smaller, 1)

    @field_validator("channels")
    @classmethod
    def _channels(cls, channels: list[str]) -> list[str]:
        if len(set(channels)) < len(channels):
            raise ValueError("expected different channels")
        return channels

    @model_validator(mode="after")
    def _samples_can_vary_like_images(self) -> Self:
        for name in ("nsb", "time_jitter"):
            if self.input == "waveforms" and getattr(self.augmentation, name):
                raise ValueError(
                    f"augmentation.{name} changes images, and not the samples of waveforms: set it "
                    "to 0, or input to images"
                )
        return self

    @model_validator(mode="after")
    def _mono_has_one_image(self) -> Self:
        if self.grouping == "mono" and self.min_multiplicity > 1:
            raise ValueError(
                f"min_multiplicity={self.min_multiplicity} leaves no event when "
                "grouping='mono', where every event has one image"
            )
        return self
