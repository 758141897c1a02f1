"""Where tables are in ctapipe's files: the paths that ctapipe has, by short names.

Importing them imports ``ctapipe.io``, which takes a second.
"""

from ctapipe.io import hdf5dataformat as ctapipe

__all__ = [
    "COEFFICIENTS",
    "DL1_EVENTS",
    "DL2",
    "DL2_EVENTS",
    "EVENT_CLASS",
    "FIXED_POINTING",
    "IMAGES",
    "IMAGE_STATISTICS",
    "INSTRUMENT",
    "LAYOUT",
    "MONITORED_POINTING",
    "OBSERVATION",
    "PARAMETERS",
    "RUNS",
    "RUN_SETTINGS",
    "SCHEDULING",
    "SHOWER",
    "SIMULATION",
    "SUBARRAY_POINTING",
    "TEL_TRIGGER",
    "THROWN",
    "TRIGGER",
    "TRUE_IMAGES",
    "TRUE_IMPACT",
    "TRUE_PARAMETERS",
    "WAVEFORMS",
    "of_telescope",
]

#: Everything about telescopes; the first table that a file needs.
INSTRUMENT = f"{ctapipe.CONFIG_GROUP}/instrument"
LAYOUT = f"{INSTRUMENT}/subarray"

#: Observations and what they belong to.
OBSERVATION = ctapipe.OBSERVATION_BLOCK_TABLE
SCHEDULING = ctapipe.SCHEDULING_BLOCK_TABLE

#: Pointing by observation, a table for each telescope.
FIXED_POINTING = ctapipe.FIXED_POINTING_GROUP

#: Pointing against time, a table for each telescope, by data model: 7.2 and later, 5.0 and earlier.
MONITORED_POINTING = (ctapipe.DL0_TEL_POINTING_GROUP, ctapipe.DL1_TEL_POINTING_GROUP)

#: Pointing of the whole array against time.
SUBARRAY_POINTING = ctapipe.DL1_SUBARRAY_POINTING_GROUP

#: Calibration of the pixels against time, a table for each telescope.
COEFFICIENTS = ctapipe.DL1_CAMERA_COEFFICIENTS_GROUP

#: Triggered events, and triggers of telescopes; nothing is here if nothing triggered.
DL1_EVENTS = f"{ctapipe.DL1_GROUP}/event"
TRIGGER = ctapipe.DL1_SUBARRAY_TRIGGER_TABLE
TEL_TRIGGER = ctapipe.DL1_TEL_TRIGGER_TABLE

#: Calibrated waveforms (R1), a table for each telescope.
WAVEFORMS = ctapipe.R1_TEL_GROUP

#: Images and their parameters, a table for each telescope.
IMAGES = ctapipe.DL1_TEL_IMAGES_GROUP
PARAMETERS = ctapipe.DL1_TEL_PARAMETERS_GROUP

#: How many images met the criteria of ctapipe's ImageProcessor.
IMAGE_STATISTICS = ctapipe.DL1_IMAGE_STATISTICS_TABLE

#: Everything about simulated events, and their showers.
SIMULATION = ctapipe.SIMULATION_GROUP
SHOWER = ctapipe.SIMULATION_SHOWER_TABLE

#: Truth of each image, a table for each telescope.
TRUE_IMAGES = ctapipe.SIMULATION_IMAGES_GROUP
TRUE_IMPACT = ctapipe.SIMULATION_IMPACT_GROUP
TRUE_PARAMETERS = ctapipe.SIMULATION_PARAMETERS_GROUP

#: Settings of simulations, for each run, and histograms of the showers that each run threw.
RUN_SETTINGS = f"{ctapipe.CONFIG_GROUP}/simulation"
RUNS = ctapipe.SIMULATION_RUN_TABLE
THROWN = ctapipe.SHOWER_DISTRIBUTION_TABLE

#: Reconstructed events: of whole events a table for each quantity and algorithm, of telescopes a
#: group of tables.
DL2 = ctapipe.DL2_GROUP
DL2_EVENTS = {"subarray": ctapipe.DL2_SUBARRAY_GROUP, "telescope": ctapipe.DL2_TEL_GROUP}

#: Class of an event by the predicted error of its direction, in the table of the geometry, behind
#: the algorithm's name. ctapipe has no such column, and what it calls event type is the trigger's.
EVENT_CLASS = "event_class"


def of_telescope(group: str, tel_id: int) -> str:
    """The path of a telescope's table in a group.

    Parameters
    ----------
    group : str
    tel_id : int
    """
    return f"{group}/tel_{tel_id:03d}"
