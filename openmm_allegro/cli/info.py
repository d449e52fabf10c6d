# SPDX-License-Identifier: MIT
"""``openmm-allegro info``: print the header of a model file."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outcome import Outcome

if TYPE_CHECKING:
    from ..model.model import Model


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " It has the architecture, the units, the origin and which programs of the "
        "compiled kernel follow, as JSON, and the charges of elements, if it has any. "
        "Of a model with a card it has where it is known to fail; openmm-allegro "
        "models NAME prints all of the card."
    )
    parser.add_argument("model", type=Path, help="*.safetensors")


def info(options: argparse.Namespace) -> Outcome:
    """Print the header."""
    from ..modelfile import load_model, read_header
    from ..modelfile.header import PROGRAMS

    header = read_header(options.model)
    header.setdefault(PROGRAMS, None)  # earlier versions wrote none
    try:
        model = load_model(options.model)
        header["num_weights"] = model.num_weights
        if model.config.is_charged:
            header["charges"] = _charges(model)
        header |= _card(options.model)
    finally:  # of a file whose weights are damaged, too
        _shorten(header["provenance"])
        print(json.dumps(header, indent=2))
    return Outcome(header)


def _card(given: Path) -> dict[str, Any]:
    """Where a model is known to fail, and what prints all of its card."""
    from ..modelfile.named import card_beside, card_name, model_path, named_models

    beside = card_beside(model_path(given))
    if beside is None:
        return {}
    path, card = beside
    name = card_name(path)
    more = {"card": f"openmm-allegro models {name}"} if name in named_models() else {}
    return {"fails": card.fails, **more}


def _charges(model: "Model") -> dict[str, Any]:
    """Charges of a model's elements (e), and the width parameter of all (1/Å)."""
    from ..model.long_range import long_range_settings

    settings, start = long_range_settings(model), model.config.charge_start
    elements = zip(model.config.elements, settings.start, strict=True)
    return {
        "alpha": settings.alpha,
        "elements": {e: {"start": start[e], "trained": q} for e, q in elements},
    }


def _shorten(provenance: dict[str, Any]) -> None:
    """Count the directions of latents that training saw: they are long lists."""
    for latent in provenance.get("seen", {}).get("latent", {}).values():
        latent["mean"] = f"{len(latent['mean'])} features"
        latent["directions"] = f"{len(latent['directions'])} of them"
