# SPDX-License-Identifier: MIT
"""Settings of Sphinx, which ``make docs`` runs over the whole checkout.

Pages are the manual, the READMEs of models and benchmarks, and what stands beside the
README, so that their links to each other are those of the files.
"""

import importlib.metadata
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
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
myst_enable_extensions = ["dollarmath"]
# What is no page (a TOML, a picture, a script) is copied beside the pages.
suppress_warnings = ["myst.header"]

autodoc_typehints = "none"  # numpydoc's sections have them
autodoc_member_order = "bysource"
autodoc_mock_imports = []
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"openmm_allegro {version}"
html_static_path = []
html_show_sphinx = html_show_copyright = False


def inline(page: Any, node: nodes.math) -> None:
    """Write a formula in a sentence as MathML, which browsers draw themselves."""
    page.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(page: Any, node: nodes.math_block) -> None:
    """Write a formula of its own line as MathML."""
    page.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Draw formulas and inputs of LAMMPS without a script of another host."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    # Pygments has no colours for it
    app.add_lexer("lammps", TextLexer)
