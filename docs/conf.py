# SPDX-License-Identifier: MIT
"""Settings of Sphinx, which ``make docs`` runs over the whole checkout.

Pages are the manual, the READMEs of models and benchmarks, and what stands beside the
README, so that their links to each other are those of the files.
"""

import importlib.metadata

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "openmm_allegro"
author = "the authors of openmm_allegro"
version = release = importlib.metadata.version("openmm-allegro")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_copybutton",
]
include_patterns = [
    "README.md",
    "docs/**.md",
    "systems/*/README.md",
    "benchmarks/**/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["docs/_build"]
root_doc = "docs/index"
nitpicky = False

# Headings have the anchors that links of the pages name.
myst_heading_anchors = 4
# What is no page (a TOML, a picture, a script) is copied beside the pages.
suppress_warnings = ["myst.header"]

autodoc_typehints = "none"  # numpydoc's sections have them
autodoc_member_order = "bysource"
autodoc_mock_imports = []
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"openmm_allegro {version}"
html_static_path = []
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Show inputs of LAMMPS, which Pygments has no colours for, as they are."""
    app.add_lexer("lammps", TextLexer)
