"""Telescope fusion: sets of images, however many, each event for itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gammalearn.nn.fusion import (
    N_HEADS,
    AttentionFusion,
    ConcatenationFusion,
    MeanFusion,
    build_fusion,
    pad_events,
)
from gammalearn.settings import NetworkSettings

FEATURES = 16


@st.composite
def images_of_events(draw):
    """Features of images and the rows of their events: any multiplicity, any order."""
    multiplicity = draw(st.lists(st.integers(0, 13), min_size=1, max_size=6))
    event = np.repeat(np.arange(len(multiplicity)), multiplicity)
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    event = random.permutation(event)
    x = random.normal(size=(len(event), FEATURES))
    return torch.from_numpy(x), torch.from_numpy(event), len(multiplicity)


@given(images_of_events())
def test_padding_puts_the_images_of_an_event_side_by_side(case):
    x, event, n_events = case
    padded, absent, place = pad_events(x, event, n_events)
    assert torch.equal(padded[event, place], x)
    width = max(int((event == row).sum()) for row in range(n_events))
    assert padded.shape == (n_events, width, FEATURES)
    assert absent.shape == (n_events, width) and absent.dtype == torch.bool
    for row in range(n_events):
        mine = x[event == row]  # in the order they come
        assert torch.equal(padded[row, : len(mine)], mine)
        assert not padded[row, len(mine) :].any()
        assert absent[row].tolist() == [False] * len(mine) + [True] * (width - len(mine))


@pytest.fixture(scope="module", params=["attention", "mean"])
def fusion(request):
    torch.manual_seed(0)
    settings = NetworkSettings(fusion=request.param, embedding=FEATURES, fusion_layers=2)
    return build_fusion(settings)


MULTIPLICITY = [1, 13, 2, 5, 1]


@pytest.fixture
def case():
    torch.manual_seed(1)
    event = torch.repeat_interleave(torch.arange(len(MULTIPLICITY)), torch.tensor(MULTIPLICITY))
    return torch.randn(len(event), FEATURES), event, len(MULTIPLICITY)


@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
def test_the_order_of_the_telescopes_does_not_matter(fusion, case, training):
    fusion.train(training)
    x, event, n_events = case
    order = torch.randperm(len(event))
    with torch.no_grad():
        expected = fusion(x, event, n_events)
        assert expected.shape == (n_events, FEATURES)
        shuffled = fusion(x[order], event[order], n_events)
    torch.testing.assert_close(shuffled, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
def test_an_event_is_fused_as_if_it_were_alone(fusion, case, training):
    """Padding to the largest event of the batch does not show; events do not mix."""
    fusion.train(training)
    x, event, n_events = case
    with torch.no_grad():
        together = fusion(x, event, n_events)
        for row in range(n_events):
            mine = x[event == row]
            alone = fusion(mine, torch.zeros(len(mine), dtype=torch.int64), 1)
            torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-5)


def test_events_get_no_gradient_from_each_other(fusion, case):
    x, event, n_events = case
    x.requires_grad_()
    fusion(x, event, n_events)[1].square().sum().backward()
    assert not x.grad[event != 1].any()
    assert (x.grad[event == 1].abs().sum(dim=1) > 0).all(), "each image counts"


def test_twice_the_same_image_is_once_the_image(fusion):
    """Fusion describes the set of what is seen, it does not count."""
    x = torch.randn(1, FEATURES)
    once = fusion(x, torch.tensor([0]), 1)
    twice = fusion(x.expand(2, -1), torch.tensor([0, 0]), 1)
    torch.testing.assert_close(once, twice, rtol=1e-5, atol=1e-5)


def test_attention_gathers_as_the_formula_says():
    """Without layers among the telescopes: softmax(q k / √d) v for each head, and the mean."""
    torch.manual_seed(0)
    fusion = AttentionFusion(FEATURES).double().eval()
    fusion.among = type("Among", (torch.nn.Module,), {"forward": lambda _, x, **__: x})()
    images = torch.randn(3, FEATURES, dtype=torch.float64)
    with torch.no_grad():
        out = fusion(images, torch.zeros(3, dtype=torch.int64), 1).numpy()[0]

    gather, images = fusion.gather, images.numpy()
    weight, bias = gather.in_proj_weight.detach().numpy(), gather.in_proj_bias.detach().numpy()
    query = fusion.query.detach().numpy()[0, 0]
    q = weight[:FEATURES] @ query + bias[:FEATURES]
    k = images @ weight[FEATURES : 2 * FEATURES].T + bias[FEATURES : 2 * FEATURES]
    v = images @ weight[2 * FEATURES :].T + bias[2 * FEATURES :]
    heads = []
    for head in np.split(np.arange(FEATURES), N_HEADS):
        score = np.exp(k[:, head] @ q[head] / np.sqrt(len(head)))
        heads.append(score / score.sum() @ v[:, head])
    projection = gather.out_proj
    gathered = projection.weight.detach().numpy() @ np.concatenate(heads)
    expected = images.mean(axis=0) + gathered + projection.bias.detach().numpy()
    np.testing.assert_allclose(out, expected, rtol=1e-10)


def test_every_parameter_gets_a_gradient(fusion, case):
    fusion.train().zero_grad()
    fusion(*case).square().sum().backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_settings_select_what_they_name():
    assert isinstance(build_fusion(NetworkSettings(fusion="mean", embedding=8)), MeanFusion)
    fusion = build_fusion(NetworkSettings(embedding=24, fusion_layers=3, dropout=0.25))
    assert isinstance(fusion, AttentionFusion)
    assert len(fusion.among.layers) == 3
    assert fusion.query.shape == (1, 1, 24)
    assert {m.p for m in fusion.modules() if isinstance(m, torch.nn.Dropout)} == {0.25}


# -- fixed telescopes ------------------------------------------------------------------------------


def test_concatenation_has_a_slot_for_each_telescope():
    """In the order of the settings, zeros where there is none, whatever the order of the images."""
    torch.manual_seed(0)
    settings = NetworkSettings(fusion="concatenation", telescopes=[7, 3, 11], embedding=FEATURES)
    fusion = build_fusion(settings)
    assert isinstance(fusion, ConcatenationFusion)
    x = torch.randn(4, FEATURES)
    tel_id, event = torch.tensor([11, 3, 7, 3]), torch.tensor([0, 1, 0, 0])
    none = torch.zeros(FEATURES)
    slots = torch.stack([torch.cat([x[2], x[3], x[0]]), torch.cat([none, x[1], none])])
    linear = fusion.join[0]
    expected = (slots @ linear.weight.T + linear.bias).clamp(min=0)
    torch.testing.assert_close(fusion(x, event, 2, tel_id), expected)


def test_concatenation_knows_its_telescopes_only():
    fusion = ConcatenationFusion(FEATURES, [1, 2])
    with pytest.raises(ValueError, match=r"slots for telescopes \[1, 2\], got \[2, 5\]"):
        fusion(torch.zeros(2, FEATURES), torch.tensor([0, 0]), 1, torch.tensor([2, 5]))


@settings(max_examples=10)
@given(st.integers(1, 13))
def test_any_number_of_telescopes(n_images):
    torch.manual_seed(n_images)
    fusion = AttentionFusion(FEATURES).eval()
    with torch.no_grad():
        out = fusion(torch.randn(n_images, FEATURES), torch.zeros(n_images, dtype=torch.int64), 1)
    assert out.shape == (1, FEATURES) and torch.isfinite(out).all()
