"""Sphinx configuration: `sphinx-build -W docs docs/_build`."""

project = "stackopt"
author = "The stackopt developers"
extensions = ["myst_parser", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "generate.py"]
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
