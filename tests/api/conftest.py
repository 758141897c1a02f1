"""Events that the command line has reconstructed, to compare with."""

import pytest


@pytest.fixture(scope="session")
def dl2_files(once, simulated_files):
    """DL2 of `gammalearn predict lst4-stereo`."""
    from gammalearn.cli import main

    def make(folder):
        words = ["predict", "lst4-stereo", *map(str, simulated_files), "-o", str(folder), "-q"]
        assert main(words) == 0

    folder = once("api_dl2", make)
    return [folder / f"{particle}.dl2.h5" for particle in ("gamma", "proton")]


@pytest.fixture(scope="session")
def network():
    import gammalearn

    return gammalearn.load("lst4-stereo")


@pytest.fixture(scope="session")
def reconstructed(network, simulated_files):
    """Table of all events of the simulated files."""
    return network.predict(simulated_files, progress=False)
