"""The loader: every event once an epoch, in blocks, for any number of workers and processes."""

import os
import signal

import numpy as np
import pytest
import tables
import torch

from gammalearn.data import event_loader
from gammalearn.errors import DataError, InputFileError
from gammalearn.io.ctapipe_tables import IMAGES

RUN202, RUN201 = "proton_run202_prod5", "proton_run201_prod5"
NAMES = [RUN202, "gamma_diffuse_run10_6.0.0", RUN201, "gamma_lsts_run7_7.0.0"]


def order(loader):
    return [row for batch in loader for row in batch.index.tolist()]


def test_in_order_unless_shuffled(make):
    loader = event_loader(make(*NAMES), 4)
    assert len(loader) == 4
    assert [batch.n_events for batch in loader] == [3, 3, 3, 4]
    assert order(loader) == list(range(13))


@pytest.mark.parametrize("grouping", ["mono", "stereo"])
@pytest.mark.parametrize("window", [1, 20, 8192])
def test_batches_are_those_of_the_data_set(make, assert_same_batch, grouping, window):
    """Whatever was read together, and in every epoch."""
    dataset = make(*NAMES, grouping=grouping, shuffle_window=window)
    targets = np.arange(len(dataset.index), dtype=np.float32)[:, None]
    dataset.targets = {"number": torch.from_numpy(targets)}
    loader = event_loader(dataset, 4, shuffle_seed=3)
    orders = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        orders.append([])
        for batch in loader:
            assert_same_batch(batch, dataset[batch.index.numpy()])
            assert batch.targets["number"][:, 0].tolist() == batch.index.tolist()
            orders[-1] += batch.index.tolist()
    assert [sorted(one) for one in orders] == [list(range(len(dataset)))] * 3
    assert orders[0] != orders[1]


@pytest.mark.parametrize("shuffle_seed", [None, 3])
def test_ranks_share_the_events(make, shuffle_seed):
    dataset = make(*NAMES, rows=np.arange(1, 13))
    orders = [
        order(event_loader(dataset, 4, shuffle_seed=shuffle_seed, rank=r, world_size=2))
        for r in range(2)
    ]
    assert [len(one) for one in orders] == [6, 6]
    assert sorted(orders[0] + orders[1]) == list(range(1, 13))


def test_two_ranks_of_two_workers_see_each_event_once(make, assert_same_batch):
    """Also where the events do not divide; and they see what this process would."""
    dataset = make(*NAMES, shuffle_window=20)
    seen = []
    for rank in range(2):
        loader = event_loader(dataset, 3, 2, shuffle_seed=1, rank=rank, world_size=2)
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            seen.append([])
            for batch in loader:
                assert_same_batch(batch, dataset[batch.index.numpy()])
                seen[-1] += batch.index.tolist()
    assert sorted(seen[0] + seen[2]) == sorted(seen[1] + seen[3]) == list(range(13))
    assert seen[0] != seen[1]


@pytest.mark.parametrize("window", [10, 8192])
def test_goes_on_in_the_middle_of_an_epoch(make, assert_same_batch, window):
    def loader():
        return event_loader(make(*NAMES, shuffle_window=window), 3, shuffle_seed=5)

    whole = loader()
    whole.sampler.set_epoch(1)
    batches = list(whole)
    for n_done in range(len(batches)):
        stopped = loader()
        stopped.sampler.set_epoch(1)
        epoch = iter(stopped)
        for _ in range(n_done):
            next(epoch)
        state = stopped.state_dict()
        if n_done:
            assert state == {"epoch": 1, "batch": n_done}
        else:
            state = {"epoch": 1, "batch": 0}
        resumed = loader()
        resumed.load_state_dict(state)
        for batch, expected in zip(resumed, batches[n_done:], strict=True):
            assert_same_batch(batch, expected)
        # The epochs that follow are whole.
        resumed.sampler.set_epoch(2)
        assert sorted(order(resumed)) == list(range(13))


def test_state_after_an_epoch_is_the_next_one(make):
    loader = event_loader(make(RUN202), 4, shuffle_seed=5)
    order(loader)
    resumed = event_loader(make(RUN202), 4, shuffle_seed=5)
    resumed.load_state_dict(loader.state_dict())
    resumed.sampler.set_epoch(1)
    assert sorted(order(resumed)) == list(range(6))


def test_an_epoch_that_is_left_is_begun_anew(make):
    loader = event_loader(make(RUN202), 2, shuffle_seed=5)
    first = next(iter(loader)).index.tolist()
    assert order(loader)[:2] == first


def test_damage_and_a_worker_that_is_killed_are_told_in_one_sentence(make, altered):
    path = altered(RUN201, lambda file: None)
    dataset = make(path)
    loaders = [event_loader(dataset, 4, workers) for workers in (0, 1)]
    with tables.open_file(path) as file:
        info = file.get_node(f"{IMAGES}/tel_007").chunk_info((0,))
    data = bytearray(path.read_bytes())
    data[info.offset + info.size // 2] ^= 1
    path.write_bytes(data)
    for loader in loaders:
        with pytest.raises(InputFileError) as error:
            order(loader)
        assert str(error.value).startswith(f"'{path}' is damaged")
        assert "\n" not in str(error.value)

    os.kill(loaders[1]._blocks._iterator._workers[0].pid, signal.SIGKILL)
    with pytest.raises(DataError, match=r"was killed.*training.workers.*--resume"):
        order(loaders[1])
