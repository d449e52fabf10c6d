# SPDX-License-Identifier: MIT
"""Write the settings of a training as a TOML file with a comment for each line."""

import dataclasses
import json
import textwrap
from collections.abc import Iterator
from typing import Any

from ..utils.settings import settings_of
from .recipe import Recipe

# Settings that are written although they have their default values.
SHOWN = {
    "data": ("training", "test", "validation_size", "split_seed"),
    "model": (
        *("elements", "cutoff", "l_max", "num_layers", "num_scalar_features"),
        *("num_tensor_features", "two_body_width", "latent_width", "readout_width"),
        "zbl",
    ),
    "train": (
        *("seed", "max_epochs", "max_hours", "epoch_size", "batch_size", "optimizer"),
        *("momentum", "learning_rate", "weight_decay", "energy_weight"),
        *("forces_weight", "forces_loss", "compile"),
    ),
}
_WIDTH = 96


def config_text(recipe: Recipe, heading: str) -> str:
    """Text of a TOML that ``read_toml`` reads back as the recipe's settings.

    Parameters
    ----------
    recipe : Recipe
    heading : str
        Sentences for the comment at its top.
    """
    lines = textwrap.wrap(heading, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    for name, config in recipe.tables().items():
        if name == "model" and recipe.data.start_from is not None:
            continue  # the network is that of the model
        lines += [*([""] if name != "data" else []), f"[{name}]"]
        lines += _table(name, config, recipe.reasons)
    return "\n".join(lines) + "\n"


def _table(name: str, config: Any, reasons: dict[str, str]) -> Iterator[str]:
    meanings = settings_of(type(config))
    nested = {}
    for field in dataclasses.fields(config):
        value, default = getattr(config, field.name), field.default
        if isinstance(value, dict):
            nested[field.name] = value
            continue
        if value is None or (value == default and field.name not in SHOWN[name]):
            continue
        if value == () and field.name not in reasons:
            continue
        meaning = meanings[field.name]
        about = f"{meaning.unit}; " * bool(meaning.unit) + _lower(meaning.about)
        reason = reasons.get(field.name, about)
        yield from _line(field.name, value, reason)
    for key, table in nested.items():
        if table:
            yield ""
            yield from _comment(reasons.get(key, meanings[key].about))
            yield f"[{name}.{key}]"
            yield from (f"{k} = {_value(v)}" for k, v in table.items())


def _line(key: str, value: Any, comment: str) -> Iterator[str]:
    line = f"{key} = {_value(value)}"
    if len(line) + len(comment) + 4 <= _WIDTH:
        yield f"{line}  # {comment}"
    else:
        yield from _comment(comment)
        yield line


def _comment(text: str) -> list[str]:
    text = text[:1].upper() + text[1:]
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
