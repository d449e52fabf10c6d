# SPDX-License-Identifier: MIT
"""Inputs of verbs that run something: models and a topology, or a protocol."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..inputs.settings import MixingConfig
from ..simulate.settings import RunSettings
from ..simulate.system_config import SystemConfig
from ..utils.settings import given_options, option_of


def add_inputs(parser: argparse.ArgumentParser, output: str) -> None:
    """Add the inputs to a parser, whose usage names the output."""
    inputs = "MODEL [MODEL ...] TOPOLOGY | PROTOCOL.toml"
    parser.usage = f"%(prog)s {inputs}  --output {output} [...]"
    parser.description += (
        " Several models are a committee. A topology is a PDB, PDBx/mmCIF, gro, "
        "POSCAR, CIF, extxyz or LAMMPS data file, or a prmtop, top or psf beside "
        "--positions. A protocol has the settings that are options of a single run in "
        "its file."
    )
    parser.add_argument(
        "inputs", type=Path, nargs="+", metavar="MODEL TOPOLOGY, or TOML"
    )


def begun_at_state(given: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run that begins at a State, minimised only to a given force."""
    if "minimize_tolerance_kj_mol_nm" in given:
        return given
    return {"minimize": False} | given


def protocol_of(
    options: argparse.Namespace, further: Sequence[str] = ()
) -> Path | None:
    """Path of the protocol, if the input is one.

    Parameters
    ----------
    options : argparse.Namespace
    further : sequence of str
        Options that were given and that a protocol has in its file.

    Raises
    ------
    ValueError
        If settings that a protocol has in its file are given beside it.
    """
    path = options.inputs[0]
    if len(options.inputs) > 1 or path.suffix != ".toml":
        return None
    given = [
        option_of(cls, name)
        for cls in (RunSettings, SystemConfig, MixingConfig)
        for name in given_options(options, cls)
    ]
    given += further
    if given:
        raise ValueError(
            f"expected the protocol {path} to say what is simulated, found "
            f"{', '.join(given)} beside it"
        )
    return path


def system_of(options: argparse.Namespace) -> SystemConfig:
    """Config of the System of a single run.

    Raises
    ------
    ValueError
        If there is one input alone.
    """
    *models, pdb = options.inputs
    if not models:
        raise ValueError(
            "expected a model and a topology such as a PDB file, or a protocol named "
            ".toml, found "
            f"{pdb} alone"
        )
    given: dict[str, Any] = given_options(options, SystemConfig)
    mixing = given_options(options, MixingConfig)
    if mixing:
        if "region" not in mixing:
            names = ", ".join(option_of(MixingConfig, name) for name in mixing)
            raise ValueError(
                "expected the region of the model (--region SELECTION) beside "
                f"{names}, found none"
            )
        given["mixing"] = MixingConfig(**mixing)
    return SystemConfig(str(pdb), tuple(map(str, models)), **given)
