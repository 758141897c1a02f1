"""Each image of the four telescopes by itself: its pixels, its parameters and its axis."""

from study_network import MONO, contender

experiment = contender(data=MONO)
