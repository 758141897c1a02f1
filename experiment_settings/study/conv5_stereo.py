"""Pixels alone of all images of a shower, in five layers, as the first GammaLearn networks."""

from study_network import IMAGES_ALONE, contender

experiment = contender(network={**IMAGES_ALONE, "encoder": "conv5"})
