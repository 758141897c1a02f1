"""Sphinx: ``make docs`` builds the site into docs/_build, with the extra ``docs`` installed.

The notebooks among the tutorials are run, each in an empty folder.
"""

from gammalearn import __version__

project = "GammaLearn"
author = "The GammaLearn developers"
copyright = "The GammaLearn developers, MIT licence"
release = version = __version__
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
]
exclude_patterns = ["_build", "jupyter_execute"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
# Progress bars.
nb_output_stderr = "remove"
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
