"""Pixels alone of all images of a shower, in four layers, as the first GammaLearn networks."""

from study_network import IMAGES_ALONE, contender

experiment = contender(network={**IMAGES_ALONE, "encoder": "conv4"})
