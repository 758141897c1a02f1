"""All images of a shower together: their pixels, their parameters and the shower's geometry."""

from study_network import contender

experiment = contender()
