# SPDX-License-Identifier: MIT
"""``openmm-allegro export``: turn a model file into a nequip checkpoint."""

import argparse
from pathlib import Path

from .output import add_overwrite_option, check_free


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.add_argument("model", type=Path, help="*.safetensors")
    parser.add_argument("-o", "--output", type=Path, required=True, help="*.ckpt")
    add_overwrite_option(parser)


def export(options: argparse.Namespace) -> None:
    """Write the checkpoint and print where it is."""
    from ..interop.nequip import export_model
    from ..modelfile import load_model

    check_free(options.output, options.force)
    model = load_model(options.model)
    path = export_model(model, options.output, overwrite=options.force)
    print(f"model: {path}")
