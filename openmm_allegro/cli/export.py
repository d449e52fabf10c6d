# SPDX-License-Identifier: MIT
"""``openmm-allegro export``: turn a model file into a nequip checkpoint."""

import argparse
import logging
from pathlib import Path

from .outcome import UNITS_OF_MODELS, Outcome, describe_model
from .output import add_overwrite_option, check_free, print_next, quoted

_log = logging.getLogger(__name__)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.add_argument("model", type=Path, help="*.safetensors")
    parser.add_argument("-o", "--output", type=Path, required=True, help="*.ckpt")
    add_overwrite_option(parser)


def export(options: argparse.Namespace) -> Outcome:
    """Write the checkpoint and print where it is."""
    from ..interop.nequip import export_model
    from ..modelfile import load_model
    from ..utils.process import keep_freed_memory

    check_free(options.output, options.force)
    model = load_model(options.model)
    _log.info(
        "making nequip's model of %s (%s weights), and comparing both",
        options.model,
        f"{model.num_weights:,}",
    )
    keep_freed_memory()  # as import does
    path = export_model(model, options.output, overwrite=options.force)
    print(f"model: {path}")
    return Outcome(
        describe_model(model),
        UNITS_OF_MODELS,
        files=[path],
        next=print_next(f"import {quoted(path)} -o MODEL.safetensors"),
    )
