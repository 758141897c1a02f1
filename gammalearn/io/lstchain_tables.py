"""Where tables are in lstchain's files; all telescopes are in one table."""

__all__ = ["CALIBRATIONS", "DL2_EVENTS", "IMAGES", "PARAMETERS", "RUNS", "THROWN", "TIMES"]

#: Images and their parameters.
IMAGES = "/dl1/event/telescope/image/LST_LSTCam"
PARAMETERS = "/dl1/event/telescope/parameters/LST_LSTCam"

#: Calibrations of a run of LST-1; images say which of them is theirs.
CALIBRATIONS = "/dl1/event/telescope/monitoring/calibration"

#: Reconstructed images.
DL2_EVENTS = "/dl2/event/telescope/parameters/LST_LSTCam"

#: Settings of each run of a simulation, and histograms of the showers that it threw.
RUNS = "/simulation/run_config"
THROWN = "/simulation/thrown_event_distribution"

#: Columns with the times of the images of LST-1, the ones that lstchain trusts most first: s since
#: 1970, UTC.
TIMES = ("dragon_time", "ucts_time", "trigger_time")
