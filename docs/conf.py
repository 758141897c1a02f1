"""Sphinx: ``sphinx-build docs docs/_build`` with the extra ``docs`` installed."""

from gammalearn import __version__

project = "GammaLearn"
author = "The GammaLearn developers"
release = __version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
exclude_patterns = ["_build"]
numpydoc_show_class_members = False
html_theme = "alabaster"
# Links out of docs/, such as to the README, are for readers of the repository.
suppress_warnings = ["myst.xref_missing"]
