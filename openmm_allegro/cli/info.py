# SPDX-License-Identifier: MIT
"""``openmm-allegro info``: print the header of a model file."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " It has the architecture, the units, the origin and which programs of the "
        "compiled kernel follow, as JSON."
    )
    parser.add_argument("model", type=Path, help="*.safetensors")


def info(options: argparse.Namespace) -> None:
    """Print the header."""
    from ..modelfile import load_model, read_header
    from ..modelfile.header import PROGRAMS

    header = read_header(options.model)
    header.setdefault(PROGRAMS, None)  # earlier versions wrote none
    try:
        header["num_weights"] = load_model(options.model).num_weights
    finally:  # of a file whose weights are damaged, too
        _shorten(header["provenance"])
        print(json.dumps(header, indent=2))


def _shorten(provenance: dict[str, Any]) -> None:
    """Count the directions of latents that training saw: they are long lists."""
    for latent in provenance.get("seen", {}).get("latent", {}).values():
        latent["mean"] = f"{len(latent['mean'])} features"
        latent["directions"] = f"{len(latent['directions'])} of them"
