"""The images of one telescope, the first: their pixels, their parameters and their axes."""

from study_network import MONO, contender

experiment = contender(data={**MONO, "telescopes": [1]})
