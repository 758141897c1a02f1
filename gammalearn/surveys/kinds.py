"""The surveys that there are, by their names."""

from .lenses.survey import Lenses
from .redshifts.survey import Redshifts
from .supernovae.survey import Supernovae
from .survey import Survey

__all__ = ["KINDS", "survey_of"]

#: All of them.
KINDS: tuple[Survey, ...] = (Supernovae(), Redshifts(), Lenses())


def survey_of(name: str) -> Survey:
    """The survey of a name, which a setting or a checkpoint has."""
    return next(survey for survey in KINDS if survey.name == name)
