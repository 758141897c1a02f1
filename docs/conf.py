"""Sphinx: ``make docs`` builds the site into docs/_build, with the extra ``docs`` installed."""

from gammalearn import __version__

project = "GammaLearn"
author = "The GammaLearn developers"
copyright = "The GammaLearn developers, MIT licence"
release = version = __version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
html_theme = "pydata_sphinx_theme"
html_title = f"GammaLearn {release}"
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
# A page's source is in the repository, not on the site.
html_copy_source = False
html_show_sourcelink = False
