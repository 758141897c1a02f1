"""Containers of what is reconstructed, by kind of quantity."""

from types import new_class

from ctapipe.containers import (
    Container,
    ParticleClassificationContainer,
    ReconstructedEnergyContainer,
    ReconstructedGeometryContainer,
)
from ctapipe.core import Field

from ..io.ctapipe_tables import EVENT_CLASS
from ..tasks.event_classes import NO_CLASS

__all__ = ["CONTAINERS", "EVENT_CONTAINERS", "with_event_class"]

#: Of one telescope's image; other kinds have their own columns only.
CONTAINERS: dict[str, type[Container]] = {
    "energy": ReconstructedEnergyContainer,
    "geometry": ReconstructedGeometryContainer,
    "particle_type": ParticleClassificationContainer,
}


def _of_events(kind: str, base: type[Container]) -> type[Container]:
    """The container with its telescopes also under a name that no other kind has.

    Our three kinds have one prefix. ctapipe's tools for instrument responses (0.32) ask for the
    telescopes of each kind, and refuse three columns of one name.
    """
    telescopes = Field(None, f"Telescopes that the {kind.replace('_', ' ')} comes from")
    fields = {f"{kind}_telescopes": telescopes, "default_prefix": base.default_prefix}
    return new_class(
        base.__name__,
        (base,),
        exec_body=lambda body: body.update({**fields, "__doc__": base.__doc__}),
    )


#: Of a whole event.
EVENT_CONTAINERS = {kind: _of_events(kind, base) for kind, base in CONTAINERS.items()}


def with_event_class(base: type[Container]) -> type[Container]:
    """The container of a geometry, with the class of the event.

    Parameters
    ----------
    base : type of Container
    """
    field = Field(NO_CLASS, "Class by the predicted error of the direction, 0 for the largest")
    fields = {EVENT_CLASS: field, "default_prefix": base.default_prefix}
    return new_class(
        base.__name__,
        (base,),
        exec_body=lambda body: body.update({**fields, "__doc__": base.__doc__}),
    )
