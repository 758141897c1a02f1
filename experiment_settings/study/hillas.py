"""ctapipe's HillasReconstructor: directions from where the axes of the images cross, no more."""

from study_network import contender

from gammalearn.settings import OutputSettings

# The events of lst4_stereo.py. Nothing is learnt.
experiment = contender().model_copy(
    update={"output": OutputSettings(algorithm="HillasReconstructor")}
)
