"""Sphinx's settings: `make docs`."""

import spinetail

project = "Spinetail"
author = "the Spinetail contributors"
copyright = author
release = version = spinetail.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "off"  # make test executes the notebooks
exclude_patterns = ["_build", "requirements.txt"]
html_theme = "pydata_sphinx_theme"
suppress_warnings = ["myst.xref_missing", "docutils"]
