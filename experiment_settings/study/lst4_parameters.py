"""All images of a shower together: their parameters and the shower's geometry, without pixels."""

from study_network import contender

experiment = contender(
    data={"channels": [], "packed_cache": False}, network={"encoder": "none", "keypoints": 0}
)
