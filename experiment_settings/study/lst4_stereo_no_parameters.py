"""All images of a shower together: their pixels alone, with keypoints."""

from study_network import contender

experiment = contender(network={"parameters": [], "geometry": False})
