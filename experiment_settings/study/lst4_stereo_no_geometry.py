"""All images of a shower together: pixels and parameters, without the shower's geometry."""

from study_network import contender

experiment = contender(network={"geometry": False})
