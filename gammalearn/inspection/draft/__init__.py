"""Draft of an experiment for files of events: what they hold, what goes with it, and the text."""

from ...lazy import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "choices": "Draft choose simulated_draft",
        "place": "check_place_of_draft",
        "survey": "FileSurvey survey_files",
        "text": "draft_text write_draft",
    },
)
