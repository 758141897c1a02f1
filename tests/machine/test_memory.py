"""Freed memory stays with the process: the kernel counts the pages that it had to give."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import torch
from torch import nn
from gammalearn.machine.memory import keep_freed_memory

def step():
    network(features).sum().backward()

{prepare}
layers = [layer for _ in range(8) for layer in (nn.Linear(16, 16), nn.ReLU())]
network, features = nn.Sequential(*layers), torch.ones(100_000, 16)
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_given(prepare):
    """To twenty steps of training, after the first ones."""
    run = [sys.executable, "-c", STEPS.format(prepare=prepare)]
    return int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_memory_of_a_step_serves_the_next():
    assert pages_given("keep_freed_memory()") < pages_given("") / 3
