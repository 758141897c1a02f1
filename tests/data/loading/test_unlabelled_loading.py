"""Loaders of events with and without truth."""

import numpy as np
import pytest
import torch

from gammalearn.data import ChainedLoader, PairedLoader, event_loader, shares_of_batch

RUN202, RUN201 = "proton_run202_prod5", "proton_run201_prod5"
LABELLED = [RUN202, "gamma_diffuse_run10_6.0.0"]
OTHERS = [RUN201, "gamma_lsts_run7_7.0.0"]


@pytest.mark.parametrize(
    ("size", "fraction", "expected"),
    [
        (64, 0.25, (48, 16)),
        (10, 0.25, (8, 2)),
        (1, 0.25, (1, 1)),
        (4, 0.99, (1, 4)),
        (8, 0.01, (7, 1)),
    ],
)
def test_shares_of_a_batch(size, fraction, expected):
    assert shares_of_batch(size, fraction) == expected


@pytest.fixture
def datasets(make):
    """Training events with two targets, and others whose targets nobody is to see."""
    one, two = make(*LABELLED), make(*OTHERS)
    for dataset in (one, two):
        numbers = np.arange(len(dataset), dtype=np.float32)
        dataset.targets = {"number": torch.from_numpy(np.column_stack([numbers, -numbers]))}
        dataset.weights = {"number": torch.full((len(dataset),), 7.0)}
    return one, two


def pair(datasets, sizes=(3, 2), workers=0, **options):
    return PairedLoader(
        *(
            event_loader(dataset, size, workers, shuffle_seed=1, **options)
            for dataset, size in zip(datasets, sizes, strict=True)
        )
    )


def test_a_batch_is_the_events_of_both(datasets):
    one, two = datasets
    for batch in pair(datasets):
        n = batch.n_labelled
        assert 0 < n < batch.n_events
        assert batch.labelled.tolist() == [True] * n + [False] * (batch.n_events - n)
        halves = one[batch.index[:n].numpy()], two[batch.index[n:].numpy()]
        assert torch.equal(batch.targets["number"][:n], halves[0].targets["number"])
        assert batch.targets["number"][n:].isnan().all()
        assert batch.weights["number"].tolist() == [7.0] * n + [1.0] * (batch.n_events - n)
        for name, images in batch.images.items():
            parts = [half.images[name] for half in halves if name in half.images]
            for field in ("pixels", "position", "pointing", "tel_id"):
                expected = torch.cat([getattr(part, field) for part in parts])
                assert torch.equal(getattr(images, field), expected), field
            offsets = [0 if name in half.images and half is halves[0] else n for half in halves]
            rows = [
                half.images[name].event + offset
                for half, offset in zip(halves, offsets, strict=True)
                if name in half.images
            ]
            assert torch.equal(images.event, torch.cat(rows))


def orders(loader, epochs):
    """Rows of the training events and of the others, by epoch and batch."""
    found = []
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)
        found.append(
            [(b.index[b.labelled].tolist(), b.index[~b.labelled].tolist()) for b in loader]
        )
    return found


def test_epochs_have_each_training_event_once_and_use_all_others(datasets):
    loader = pair(datasets)
    found = orders(loader, range(6))
    for epoch in found:
        assert sorted(sum((labelled for labelled, _ in epoch), [])) == [*range(len(datasets[0]))]
    stream = sum((others for epoch in found for _, others in epoch), [])
    n = len(datasets[1])
    assert len(stream) > 2 * n
    for start in range(0, len(stream) - n, n):
        assert sorted(stream[start : start + n]) == [*range(n)]


def test_training_events_are_those_of_a_training_without_others(datasets):
    alone = event_loader(datasets[0], 3, shuffle_seed=1)
    alone.sampler.set_epoch(2)
    expected = [batch.index.tolist() for batch in alone]
    assert [labelled for labelled, _ in orders(pair(datasets), [2])[0]] == expected


def test_goes_on_in_the_middle_of_an_epoch(datasets):
    whole = orders(pair(datasets), [3])[0]
    loader = pair(datasets)
    loader.sampler.set_epoch(3)
    iterator = iter(loader)
    for _ in range(2):
        next(iterator)
    state = loader.state_dict()
    other = pair(datasets)
    other.load_state_dict(state)
    assert orders(other, [3])[0] == whole[2:]


def test_workers_give_the_same(datasets):
    loader = pair(datasets, workers=1)
    try:
        assert orders(loader, [0, 1]) == orders(pair(datasets), [0, 1])
    finally:
        loader.close()


def test_processes_share_both(datasets):
    n_labelled, n_others = (len(dataset) for dataset in datasets)
    found = [orders(pair(datasets, rank=rank, world_size=2), [0])[0] for rank in range(2)]
    assert len(found[0]) == len(found[1])
    both = sum((labelled for rank in found for labelled, _ in rank), [])
    assert sorted(both) == [*range(n_labelled)]
    first_pass = [rank[0][1] for rank in found]
    assert not set(first_pass[0]) & set(first_pass[1]) and n_others > 1


def test_chained(datasets):
    loaders = [event_loader(dataset, 4) for dataset in datasets]
    chained = ChainedLoader(*loaders)
    batches = list(chained)
    assert len(batches) == len(chained) == sum(map(len, loaders))
    known = [batch.n_labelled == batch.n_events for batch in batches]
    assert known == [True] * len(loaders[0]) + [False] * len(loaders[1])
    assert all(not b.n_labelled and not b.targets for b in batches[len(loaders[0]) :])
    order = [batch.index.tolist() for batch in batches]
    assert sum(order[: len(loaders[0])], []) == [*range(len(datasets[0]))]
    assert sum(order[len(loaders[0]) :], []) == [*range(len(datasets[1]))]
