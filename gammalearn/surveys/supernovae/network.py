"""The network: attention between the nights of a light curve.

::

    night 1: [flux, error, signal to noise, observed] by band ─┐
    night 2: …                                                 ├─ + time ─► attention ─► states
    context: redshift, brightness, …  ─────────────────────────┘               │
                                                              hidden fluxes ◄──┤
                                    context's state, mean, max ──┴─► embedding ─► heads
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...nn.network import Estimates
from ...settings.surveys import LightCurveNetwork, SupernovaExperiment
from .curves import CONTEXT
from .light_curves import LightCurves
from .tasks import build_tasks

__all__ = ["VIEWS", "CurveEncoder", "SupernovaNetwork", "build_network"]

#: What the views of an event are called.
VIEWS = "light_curves"

#: Numbers for each night and band: flux, error, signal to noise, and whether it was observed.
N_NUMBERS = 4

#: Longest period (d) of the encoding of the time, and the number of periods.
LONGEST_PERIOD, N_PERIODS = 1000.0, 12

#: Part of the largest flux that the auto-encoder need not be better than.
TOLERANCE = 0.05

#: Temperature of the contrast (Chen et al. 2020).
TEMPERATURE = 0.2

#: Mean activity of a feature that the sparsity asks for.
ACTIVITY = 0.1


class CurveEncoder(nn.Module):
    """States of nights, and one of the whole light curve.

    Parameters
    ----------
    n_bands : int
    settings : LightCurveNetwork
    """

    periods: Tensor

    def __init__(self, n_bands: int, settings: LightCurveNetwork):
        super().__init__()
        width = settings.embedding
        periods = torch.logspace(
            math.log10(settings.shortest_period), math.log10(LONGEST_PERIOD), N_PERIODS
        )
        self.register_buffer("periods", periods, persistent=False)
        self.night = nn.Linear(N_NUMBERS * n_bands, width)
        # As seen, and in the frame of the supernova.
        self.time = nn.Linear(4 * N_PERIODS, width)
        self.context = nn.Sequential(
            nn.Linear(len(CONTEXT), width), nn.GELU(), nn.Linear(width, width)
        )
        layer = nn.TransformerEncoderLayer(
            width,
            settings.heads,
            2 * width,
            settings.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.attention = nn.TransformerEncoder(
            layer, settings.layers, nn.LayerNorm(width), enable_nested_tensor=False
        )

    def forward(self, curves: LightCurves, seen: Tensor) -> tuple[Tensor, Tensor]:
        """States of the light curves and of their nights.

        Parameters
        ----------
        curves : LightCurves
        seen : Tensor of bool, shape (n_curves, n_nights, n_bands)
            Observations that are not hidden.

        Returns
        -------
        Tensor, shape (n_curves, 3 n_features)
        Tensor, shape (n_curves, n_nights, n_features)
        """
        flux, error = curves.flux, curves.error
        numbers = torch.stack(
            [torch.clamp(flux, -3, 3), torch.log10(error) + 1, torch.asinh(flux / error) / 2], -1
        )
        numbers = torch.cat([numbers * seen[..., None], seen[..., None].to(flux.dtype)], -1)
        nights = self.night(numbers.flatten(2)) + self.time(self._encoded(curves))
        tokens = torch.cat([self.context(curves.context)[:, None], nights], dim=1)
        absent = functional.pad(~curves.is_night, (1, 0), value=False)
        states = self.attention(tokens, src_key_padding_mask=absent)
        whole, nights = states[:, 0], states[:, 1:]
        is_night = curves.is_night[..., None]
        mean = (nights * is_night).sum(1) / is_night.sum(1).clamp(min=1)
        most = nights.masked_fill(~is_night, -1e4).amax(1)
        return torch.cat([whole, mean, most], dim=1), nights

    def _encoded(self, curves: LightCurves) -> Tensor:
        """Sines and cosines of the time, shape (n_curves, n_nights, 4 n_periods)."""
        redshift = curves.context[:, CONTEXT.index("host_redshift"), None]
        times = torch.stack([curves.time, curves.time / (1 + redshift)], dim=-1)
        phase = (2 * math.pi * times[..., None] / self.periods).flatten(2)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class SupernovaNetwork(nn.Module):
    """Encoder, one head for each task, and what is learned without types.

    Parameters
    ----------
    n_bands : int
    n_outputs : mapping of str to int
        Numbers for each task.
    settings : LightCurveNetwork
    """

    def __init__(self, n_bands: int, n_outputs: Mapping[str, int], settings: LightCurveNetwork):
        super().__init__()
        width = settings.embedding
        self.encoders = nn.ModuleDict({VIEWS: CurveEncoder(n_bands, settings)})
        self.to_embedding = nn.Sequential(
            nn.Linear(3 * width, width), nn.LayerNorm(width), nn.GELU()
        )
        without_types = ("auto_encoder", "contrast", "sparsity")
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, number))
                for name, number in n_outputs.items()
                if name not in without_types
            }
        )
        self.beside = nn.ModuleDict()
        if "auto_encoder" in n_outputs:
            self.beside["auto_encoder"] = nn.Sequential(
                nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, n_bands)
            )
        if "contrast" in n_outputs:
            self.beside["contrast"] = nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.Linear(width, width // 2)
            )
        if "sparsity" in n_outputs:
            self.beside["sparsity"] = nn.Linear(width, width)

    @property
    def n_pixels(self) -> dict[str, int]:
        """Nothing: all batches have light curves."""
        return {}

    def embed(self, curves: LightCurves) -> Tensor:
        """Embedding of each light curve, nothing hidden, shape (n_curves, n_features)."""
        return self.to_embedding(self.encoders[VIEWS](curves, curves.observed)[0])

    def forward(self, views: Mapping[str, LightCurves], n_events: int) -> dict[str, Tensor]:
        """Outputs of the tasks with types, shape (n_events, n_outputs).

        Parameters
        ----------
        views : mapping of str to LightCurves
        n_events : int
        """
        curves = views[VIEWS]
        embedding = self.embed(curves)
        return {
            name: _mean_of_views(head(embedding), curves.event, n_events)
            for name, head in self.heads.items()
        }

    def estimates(
        self, views: Mapping[str, LightCurves], n_events: int, counted: Tensor | None = None
    ) -> Estimates:
        """Outputs of all tasks; of those without types they are the losses of the events.

        Parameters
        ----------
        views : mapping of str to LightCurves
        n_events : int
        counted : Tensor, optional
            Events that statistics are of: this network has none.
        """
        curves = views[VIEWS]
        state, nights = self.encoders[VIEWS](curves, curves.observed & ~curves.hidden)
        hidden_state = state
        if not self.training:
            # Nothing is hidden from a prediction.
            state, _ = self.encoders[VIEWS](curves, curves.observed)
        embedding = self.to_embedding(state)
        outputs = {name: head(embedding) for name, head in self.heads.items()}
        if "auto_encoder" in self.beside:
            of_curve = hidden_state[:, None, : nights.shape[2]].expand_as(nights)
            found = self.beside["auto_encoder"](torch.cat([nights, of_curve], dim=2))
            outputs["auto_encoder"] = _hidden_fluxes(found, curves)[:, None]
        if "sparsity" in self.beside:
            active = torch.sigmoid(self.beside["sparsity"](embedding)).mean(0)
            outputs["sparsity"] = _divergence(active).expand(len(embedding), 1)
        events = {
            name: _mean_of_views(output, curves.event, n_events) for name, output in outputs.items()
        }
        if "contrast" in self.beside:
            projected = functional.normalize(self.beside["contrast"](embedding).float(), dim=1)
            events["contrast"] = _contrast(projected, curves.event, n_events)[:, None]
        whole = _mean_of_views(embedding, curves.event, n_events)
        return Estimates(events, outputs, curves.event, whole, embedding)


def build_network(experiment: SupernovaExperiment, bands: Sequence[str]) -> SupernovaNetwork:
    """An untrained network for the settings and bands."""
    outputs = {name: task.n_outputs for name, task in build_tasks(experiment.tasks).items()}
    return SupernovaNetwork(len(bands), outputs, experiment.network)


def _mean_of_views(values: Tensor, event: Tensor, n_events: int) -> Tensor:
    number = torch.bincount(event, minlength=n_events).clamp(min=1)
    total = values.new_zeros(n_events, values.shape[1]).index_add(0, event, values)
    return total / number[:, None]


def _hidden_fluxes(found: Tensor, curves: LightCurves) -> Tensor:
    """Mean loss of the fluxes that were hidden, 0 where none was, shape (n_curves,)."""
    asked = curves.observed & curves.hidden
    width = torch.sqrt(curves.error**2 + TOLERANCE**2)
    apart = (found.float() - curves.flux) / width
    loss = functional.huber_loss(apart, torch.zeros_like(apart), reduction="none", delta=2.0)
    return (loss * asked).sum((1, 2)) / asked.sum((1, 2)).clamp(min=1)


def _divergence(active: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the features' mean activity from that asked for (Ng 2011)."""
    active = active.float().clamp(1e-5, 1 - 1e-5)
    terms = ACTIVITY * torch.log(ACTIVITY / active)
    terms = terms + (1 - ACTIVITY) * torch.log((1 - ACTIVITY) / (1 - active))
    return terms.mean()


def _contrast(projected: Tensor, event: Tensor, n_events: int) -> Tensor:
    """InfoNCE (van den Oord et al. 2018) of the views of each event, 0 for a lone view."""
    likeness = projected @ projected.T / TEMPERATURE
    is_self = torch.eye(len(event), dtype=torch.bool, device=event.device)
    is_other_view = (event[:, None] == event) & ~is_self
    chance = likeness.masked_fill(is_self, -1e4).log_softmax(dim=1)
    number = is_other_view.sum(1)
    loss = -(chance * is_other_view).sum(1) / number.clamp(min=1)
    return _mean_of_views(loss[:, None], event, n_events)[:, 0]
