# SPDX-License-Identifier: MIT
"""TOML documents, and what their values have to be, said once more."""

import json
import types
from typing import get_args, get_origin

from openmm_allegro.model import AllegroConfig
from openmm_allegro.simulate.settings import Stage
from openmm_allegro.simulate.system_config import SystemConfig
from openmm_allegro.simulate.watchdogs.settings import Watchdogs
from openmm_allegro.training.config import DataConfig, TrainConfig

TRAIN = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
TRAINING = {
    "data": {"training": ["a.extxyz"], "validation_size": 4},
    "model": {"elements": ["H", "O"], "cutoff": 4.0, "pair_cutoffs": {"H-H": 2.5}},
    "train": {"max_epochs": 10, "learning_rate": 0.01},
}
PROTOCOL = {
    "system": {"topology": "a.pdb", "model": ["m.safetensors"], "precision": "single"},
    "run": {"timestep_fs": 0.5, "report_interval": 10},
    "watchdogs": {"interval": 10, "closest": {"H-O": 0.8}, "energy_jump": 5.0},
    "stages": [
        {"name": "heat", "steps": 100, "temperature_k": [100.0, 300.0]},
        {"name": "hold", "steps": 200, "ensemble": "npt", "pressure_bar": 1.0},
    ],
}
CLASSES = {
    **TRAIN,
    "system": SystemConfig,
    "run": Stage,
    "watchdogs": Watchdogs,
    "stages": Stage,
}


def toml(value):
    """A value as TOML, tables inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):  # decimal digits have a limit, hexadecimal ones none
        return hex(value) if value > 10**30 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(k)} = {toml(v)}' for k, v in value.items())}}}"
    return value.isoformat()


def is_list(value):
    return isinstance(value, list)


def allowed(kind, meaning, value):
    """Whether a value has the declared type and bounds, said once more."""
    if isinstance(kind, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    if get_origin(kind) is tuple:
        return is_list(value) and all(
            allowed(get_args(kind)[0], meaning, item) for item in value
        )
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(
            allowed(get_args(kind)[1], meaning, item) for item in value.values()
        )
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is str:
        fits = not meaning.choices or value in meaning.choices
        return isinstance(value, str) and fits
    if not isinstance(value, int if kind is int else int | float):
        return False
    if value in (0, -1) and kind is not str:  # old ways to say none
        return True
    return (
        -(2.0**1023) < value < 2.0**1023
        and (meaning.minimum is None or value >= meaning.minimum)
        and (meaning.maximum is None or value <= meaning.maximum)
        and (meaning.above is None or value > meaning.above)
        and (meaning.below is None or value < meaning.below)
    )


def meant(value):
    return tuple(map(meant, value)) if is_list(value) else value
