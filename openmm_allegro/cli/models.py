# SPDX-License-Identifier: MIT
"""``openmm-allegro models``: the models that have a name, and what is known of each."""

import argparse
import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..modelfile.accuracy import accuracy_words
from ..modelfile.header import read_header
from ..modelfile.named import errors_of, model_path, named_models, read_card
from ..utils.suggest import did_you_mean
from .error_tables import UNITS
from .outcome import Outcome
from .output import print_next


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " A name stands wherever a model file does: openmm-allegro simulate NAME ..., "
        "AllegroPotential(NAME). With a name: its level of theory, domain, licence and "
        "errors, and where it fails."
    )
    parser.add_argument("name", nargs="?", help="one of the models")


def models(options: argparse.Namespace) -> Outcome:
    """Print the table, or what the card of one model says.

    Raises
    ------
    ValueError
        If there is no model of the name.
    """
    cards = named_models()
    if options.name is not None:
        if options.name not in cards:
            known = ", ".join(cards) or "none"
            raise ValueError(
                f"expected a model of {known}, found {options.name}"
                f"{did_you_mean([options.name], cards)}"
            )
        _print_card(options.name, cards[options.name])
        cards, more = {options.name: cards[options.name]}, []
    elif cards:
        heads = "model", "elements", "RMSE, meV/Å", "of", "level of theory"
        print(_aligned([heads, *map(_row, cards.items())]))
        more = print_next("models NAME")
    else:
        print(
            "no models are installed; the package openmm-allegro-models has them "
            "(pip install ./systems in a checkout of the source)"
        )
        more = []
    known = {name: _described(name, path) for name, path in cards.items()}
    return Outcome({"models": known}, UNITS, next=more)


def _described(name: str, path: Path) -> dict[str, Any]:
    """What the card of a model says, with its errors and the path of its file."""
    card = dataclasses.asdict(read_card(path))
    return card | _network(name) | {"file": model_path(name), "errors": errors_of(path)}


def _network(name: str) -> dict[str, Any]:
    """Elements and cutoff of a model."""
    config = read_header(model_path(name))["config"]
    return {key: config[key] for key in ("elements", "cutoff")}


def _row(item: tuple[str, Path]) -> tuple[str, ...]:
    name, path = item
    card = read_card(path)
    level = card.level_of_theory.partition(" (")[0]
    elements = " ".join(_network(name)["elements"])
    error = f"{errors_of(path)['forces_rmse']:.1f}"
    return name, elements, error, card.title, level


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _print_card(name: str, path: Path) -> None:
    card, errors = read_card(path), errors_of(path)
    network = _network(name)
    rows = {
        "model": f"{name}: {card.title}",
        "elements": f"{', '.join(network['elements'])}; cutoff {network['cutoff']} Å",
        "file": str(model_path(name)),
        "level of theory": card.level_of_theory,
        "domain": card.domain,
        "errors": f"{'; '.join(accuracy_words(errors))} (RMSE on frames that were not "
        "trained on; how to read it: docs/evaluate.md)",
        "checked": card.checked,
        "fails": card.fails,
        "licence": card.licence,
        "data": card.source,
    }
    for key, text in rows.items():
        if not text:
            continue
        # a path is copied, so it stays in one line
        lines = (
            [text] if key == "file" else textwrap.wrap(text, 71, break_on_hyphens=False)
        )
        print(f"{key:<17}" + f"\n{' ' * 17}".join(lines))
