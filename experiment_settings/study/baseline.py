"""Hillas parameters: ctapipe's HillasReconstructor, then boosted trees for all quantities."""

from study_network import contender

# The events of lst4_stereo.py. `gammalearn baseline` has no network.
experiment = contender()
