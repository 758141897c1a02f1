"""Stereo geometry: from the axes of the images to direction and core, and back to each image.

::

                                                        images
                                                          │
    parameters ─► first direction ─► core ─► distances ─► + ─► attention ─► direction ─► core …
                  least squares of  least    and angles        among        refined
                  lines in the sky  squares  of each           telescopes
                                    of lines on the ground

Each image gives a line in the sky, its axis, and how far along it the shower's direction is; the
event's direction is the place that fits all of them best, by weighted least squares. Each image
then points from its telescope to the core; the event's core is the place that fits those lines
best. With them every token knows the distance of its telescope from the axis of the shower, the
angle between its image and the line to the core, and the height that the light comes from.

All is done in frames that turn with the event: the axis of each image first, the line from the
direction to the image later. What comes out turns with what goes in, by any angle. That does not
hold for what encoders see in the images, which enters when direction and core are known for the
first time, so that it does not disturb what is simple.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .fusion import TelescopeAttention
from .means import images_of_events, weighted_sky_mean
from .tokens import Tokens, dot, perpendicular

__all__ = ["StereoGeometry", "Sighting"]

#: What an event knows before it is seen: the direction is that of the pointing to 10 deg, and the
#: core is among the telescopes to 1 km. Precisions in 1/deg² and 1/(100 m)².
PRIOR = 0.01

#: Added to distances (deg, 100 m) so that they have a gradient and a logarithm where they are 0.
SMALL = 0.02

#: Hidden features of what decides on steps and precisions.
HIDDEN = 96


@dataclass
class Sighting:
    """What is known of the shower's axis, by event and by image.

    Attributes
    ----------
    direction : Tensor, shape (n_events, N_SKY)
        Place in the sky (deg) and precision matrix.
    core : Tensor, shape (n_events, N_SKY)
        Place in the plane perpendicular to the pointing (100 m) and precision matrix.
    direction_of_images, core_of_images : Tensor, shape (n_images, N_SKY)
        The same of each image by itself.
    """

    direction: Tensor
    core: Tensor
    direction_of_images: Tensor
    core_of_images: Tensor


def _mlp(inputs: int, outputs: int, hidden: int = HIDDEN) -> nn.Sequential:
    """Two layers; the last begins at zero, for what is decided to begin as the geometry has it."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), last)


def length(vector: Tensor) -> Tensor:
    """Lengths of vectors of shape (n, 2), with a gradient where they are 0."""
    return torch.sqrt(dot(vector, vector) + SMALL**2)


def precision_along(unit: Tensor, log_across: Tensor, log_along: Tensor) -> Tensor:
    """Precision matrices that know a place across a line and along it.

    Parameters
    ----------
    unit : Tensor, shape (n, 2)
        Direction of the line.
    log_across, log_along : Tensor, shape (n,)
        Logarithm of the precisions.

    Returns
    -------
    Tensor, shape (n, 3)
        Elements xx, xy and yy.
    """
    across, along = log_across.clamp(-8, 9).exp(), log_along.clamp(-8, 9).exp()
    x, y = unit.unbind(dim=1)
    return torch.stack(
        [across * y * y + along * x * x, (along - across) * x * y, across * x * x + along * y * y],
        dim=1,
    )


def fitted(estimates: Sequence[Tensor], event: Tensor, n_events: int) -> Tensor:
    """The places that fit what the images of each event give best, with the prior.

    Parameters
    ----------
    estimates : sequence of Tensor, shape (n_images, N_SKY)
        Places and precision matrices; an image may give several.
    event : Tensor of int64, shape (n_images,)
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, N_SKY)
    """
    prior = estimates[0].new_tensor([0.0, 0.0, PRIOR, 0.0, PRIOR]).expand(n_events, -1)
    rows = torch.arange(n_events, device=event.device)
    return weighted_sky_mean(
        torch.cat([*estimates, prior]), torch.cat([*[event] * len(estimates), rows]), n_events
    )


def _together(estimates: Sequence[Tensor]) -> Tensor:
    """What each image gives, of all its places."""
    n_images = len(estimates[0])
    return fitted(estimates, torch.arange(n_images, device=estimates[0].device), n_images)


def _log_det(estimates: Tensor) -> Tensor:
    """Logarithm of the determinant of the precisions, how well a place is known."""
    xx, xy, yy = estimates[:, 2:].unbind(dim=1)
    return torch.log((xx * yy - xy * xy).clamp(min=PRIOR**2))


def _in_frame(precision: Tensor, unit: Tensor) -> Tensor:
    """Precision matrices seen along a unit vector: logarithms of the diagonal, and the rest.

    Parameters
    ----------
    precision : Tensor, shape (n, 3)
    unit : Tensor, shape (n, 2)

    Returns
    -------
    Tensor, shape (n, 3)
    """
    xx, xy, yy = precision.unbind(dim=1)
    x, y = unit.unbind(dim=1)
    along = xx * x * x + 2 * xy * x * y + yy * y * y
    across = xx * y * y - 2 * xy * x * y + yy * x * x
    mixed = (yy - xx) * x * y + xy * (x * x - y * y)
    along, across = along.clamp(min=PRIOR), across.clamp(min=PRIOR)
    return torch.stack([along.log(), across.log(), mixed / torch.sqrt(along * across)], dim=1)


#: Of each image: its centroid, how far the direction is from it, and the unit vector from there.
_Frame = tuple[Tensor, Tensor, Tensor]


class _FirstDirection(nn.Module):
    """A place in the sky by each image's axis and shape, before it knows of the others.

    An axis has no sign: the step along it is odd in what changes sign with it, such as skewness
    and time slope, and the precisions are even.
    """

    def __init__(self, embedding: int, vectors: Sequence[str]) -> None:
        super().__init__()
        self.odd = [name for name in vectors if name != "axis"]
        self.decide = _mlp(embedding + 2 * len(self.odd), 4)

    def forward(self, tokens: Tokens) -> Tensor:
        descriptors = tokens.described()
        axis = descriptors.vectors["axis"]
        side = perpendicular(axis)
        vectors = [descriptors.vectors[name] for name in self.odd]
        centroid = descriptors.vectors["centroid"] + tokens.pointing
        odd = torch.stack([dot(v, e) for v in vectors for e in (axis, side)], dim=1)
        even = tokens.features
        decided = self.decide(torch.cat([torch.cat([odd, -odd]), torch.cat([even, even])], dim=1))
        here, there = decided.tensor_split(2)
        along, across = ((here - there) / 2)[:, :2].unbind(dim=1)
        log_across, log_along = ((here + there) / 2)[:, 2:].unbind(dim=1)
        place = centroid + along.unsqueeze(1) * axis + across.unsqueeze(1) * side
        precision = precision_along(axis, log_across + 3, log_along)
        precision = precision * descriptors.known("axis").unsqueeze(1)
        return torch.cat([place, precision], dim=1)


class _Look(nn.Module):
    """What each image sees of the shower's axis: the core, and what its token learns of both."""

    N_SEEN = 13

    def __init__(self, embedding: int, vectors: Sequence[str]) -> None:
        super().__init__()
        self.others = [name for name in vectors if name not in ("axis", "centroid")]
        n_seen = self.N_SEEN + 2 * len(self.others)
        self.ground = _mlp(embedding + n_seen, 3)
        self.learn = nn.Sequential(
            nn.Linear(embedding + n_seen + 8, embedding), nn.GELU(), nn.Linear(embedding, embedding)
        )

    def forward(
        self, tokens: Tokens, direction: Tensor, n_events: int
    ) -> tuple[Tensor, Tensor, Tensor, _Frame]:
        """The core, what each image gives for it, tokens that know it, and the images' frames."""
        event, descriptors = tokens.event, tokens.described()
        centroid = descriptors.vectors["centroid"] + tokens.pointing
        to_image = centroid - direction[event, :2]
        r = length(to_image)
        u = to_image / r.unsqueeze(1)
        v = perpendicular(u)
        axis = descriptors.vectors["axis"]
        along, across = dot(axis, u), dot(axis, v)
        count = images_of_events(event, n_events).to(r.dtype)[event]
        seen = [
            r, r.log(), along * along - across * across, 2 * along * across, across.abs() * r,
            dot(descriptors.vectors["centroid"], u), dot(descriptors.vectors["centroid"], v),
            length(descriptors.vectors["centroid"]), count.log(), 1 / count,
            _log_det(direction)[event] / 4, dot(direction[event, :2], u),
            dot(direction[event, :2], v),
        ]  # fmt: skip
        seen += [dot(descriptors.vectors[n], e) for n in self.others for e in (u, v)]
        known_here = torch.cat([tokens.features, torch.stack(seen, dim=1)], dim=1)
        step, log_across, log_along = self.ground(known_here).unbind(dim=1)
        # Light comes from some 10 km: 1 deg is about 170 m.
        guess = nn.functional.softplus(step + 0.5 + 0.5 * r.log())
        to_core = tokens.position + guess.unsqueeze(1) * u
        precision = precision_along(u, log_across + 1, log_along)
        precision = precision * descriptors.known("axis").unsqueeze(1)
        of_images = torch.cat([to_core, precision], dim=1)
        core = fitted([of_images], event, n_events)
        to_core = core[event, :2] - tokens.position
        distance = length(to_core)
        height = distance / r
        seen_on_ground = torch.stack(
            [
                distance, distance.log(), dot(to_core, u) / distance, dot(to_core, v) / distance,
                (height + SMALL).log(), height.clamp(max=10) / 3,
                _log_det(core)[event] / 4, (guess / distance).log(),
            ],
            dim=1,
        )  # fmt: skip
        features = tokens.features + self.learn(torch.cat([known_here, seen_on_ground], dim=1))
        return core, of_images, features, (centroid, r, u)


class _Refine(nn.Module):
    """A better place in the sky from each image, in the frame of the direction so far."""

    def __init__(self, embedding: int, with_sky: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embedding)
        self.decide = _mlp(embedding + 5 * with_sky, 5 if with_sky else 4)
        if with_sky:
            # Keypoints are anywhere before they have learnt.
            last = self.decide.get_parameter("2.bias")
            nn.init.constant_(last[4:], -3.0)

    def forward(self, tokens: Tokens, frame: _Frame) -> list[Tensor]:
        centroid, r, u = frame
        descriptors = tokens.described()
        axis = descriptors.vectors["axis"]
        known = descriptors.known("axis").unsqueeze(1)
        # The end of the axis that looks away from the shower's direction.
        away = torch.where(dot(axis, u).unsqueeze(1) < 0, -axis, axis)
        away = known * away + (1 - known) * u
        features = self.norm(tokens.features)
        if tokens.sky is not None:
            to_place = tokens.sky[:, :2] - (centroid - r.unsqueeze(1) * u)
            seen = [dot(to_place, u), dot(to_place, perpendicular(u))]
            in_frame = _in_frame(tokens.sky[:, 2:], u)
            features = torch.cat([features, torch.stack(seen, dim=1), in_frame], dim=1)
        decided = self.decide(features)
        step, across, log_across, log_along = decided[:, :4].unbind(dim=1)
        place = (
            centroid
            - away * (r * torch.exp(step.clamp(-3, 3))).unsqueeze(1)
            + perpendicular(away) * across.unsqueeze(1)
        )
        precision = precision_along(away, log_across + 3, log_along + 1) * known
        estimates = [torch.cat([place, precision], dim=1)]
        if tokens.sky is not None:
            weight = torch.exp(decided[:, 4:].clamp(-8, 8))
            estimates.append(torch.cat([tokens.sky[:, :2], tokens.sky[:, 2:] * weight], dim=1))
        return estimates


class StereoGeometry(nn.Module):
    """Direction and core of events by least squares, and tokens that know them.

    Parameters
    ----------
    embedding : int
        Features of a token.
    vectors : sequence of str
        Vectors among the descriptors; ``centroid`` and ``axis`` must be there.
    with_sky : bool
        Whether images give places in the sky of their own (keypoints).
    rounds : int
        How often the direction is refined.
    layers : int
        Transformer layers of each round.
    dropout : float
    """

    def __init__(
        self,
        embedding: int,
        vectors: Sequence[str],
        with_sky: bool,
        rounds: int = 1,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.first = _FirstDirection(embedding, vectors)
        self.looks = nn.ModuleList(_Look(embedding, vectors) for _ in range(rounds + 1))
        self.among = nn.ModuleList(
            TelescopeAttention(embedding, layers, dropout) for _ in range(rounds)
        )
        self.refine = nn.ModuleList(_Refine(embedding, with_sky) for _ in range(rounds))

    def forward(self, tokens: Tokens, n_events: int) -> tuple[Tensor, list[Sighting]]:
        """Tokens that know the shower's axis, and what was known of it in each round.

        Returns
        -------
        features : Tensor, shape (n_images, embedding)
        sightings : list of Sighting
            From the first to the best.
        """
        event, sightings = tokens.event, []
        of_images = [self.first(tokens)]
        for number, look in enumerate(self.looks):
            direction = fitted(of_images, event, n_events)
            core, cores, features, frame = look(tokens, direction, n_events)
            sightings.append(Sighting(direction, core, _together(of_images), cores))
            tokens = replace(tokens, features=features)
            if number == len(self.refine):
                break
            if number == 0 and tokens.images is not None:
                features = features + tokens.images
            features = self.among[number](features, event, n_events)
            tokens = replace(tokens, features=features)
            of_images = self.refine[number](tokens, frame)
        return tokens.features, sightings
