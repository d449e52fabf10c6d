# SPDX-License-Identifier: MIT
"""Import and export of models of nequip-allegro."""

import hashlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path

import ase.io
import torch

from ...model import AllegroConfig, AllegroEnergy
from ...model.model import Model
from ...modelfile import write_file
from ...units import ENERGY_UNITS_IN_EV, LENGTH_UNITS_IN_ANGSTROM
from .check import TOLERANCE, clusters, difference
from .load import describe_versions, load, nequip_state, versions
from .parts import find_parts
from .read import read_config, read_elements, read_statistics, read_weights
from .write import checkpoint

__all__ = ["export_model", "import_model"]

_log = logging.getLogger(__name__)


def import_model(
    path: str | Path,
    *,
    length_unit: str = "angstrom",
    energy_unit: str = "eV",
    elements: Mapping[str, str] | None = None,
    model_key: str | None = None,
) -> Model:
    """Read a model of nequip-allegro as a model of this package, the same function.

    It reads checkpoints (``*.ckpt``) and packages (``*.nequip.zip``) of nequip >= 0.13
    with nequip-allegro >= 0.5. Before it returns the model, it compares the model's
    energies and forces with nequip's own on clusters of all types.

    nequip's loader unpickles the file, which can run code from it, and a package brings
    code of its own: import only files that you would run. Nothing beyond that loader is
    executed here, and the model file of this package never holds code.

    Parameters
    ----------
    path : path
    length_unit : str
        Unit of the training data: "angstrom", "nm" or "bohr". nequip's files do not
        name it.
    energy_unit : str
        "eV", "kcal/mol", "kJ/mol" or "hartree".
    elements : mapping, optional
        Chemical symbols of types whose names are not symbols.
    model_key : str, optional
        Name of the model, if the file holds several.

    Returns
    -------
    Model
        In Å and eV; write it with ``save_model``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If nequip or nequip-allegro is missing.
    ValueError
        If the file cannot be read, holds no Allegro model or an unknown part, or the
        two models do not agree.

    Examples
    --------
    >>> save_model(import_model("best.ckpt"), "model.safetensors")  # doctest: +SKIP
    """
    path = Path(path)
    units = {
        "length": (length_unit, LENGTH_UNITS_IN_ANGSTROM),
        "energy": (energy_unit, ENERGY_UNITS_IN_EV),
    }
    for name, (unit, table) in units.items():
        if unit not in table:
            raise ValueError(f"expected {name}_unit of {tuple(table)}, found {unit!r}")
    length = LENGTH_UNITS_IN_ANGSTROM[length_unit]
    energy_scale = ENERGY_UNITS_IN_EV[energy_unit]
    theirs = load(path, model_key)
    try:
        parts = find_parts(theirs)
        symbols = read_elements(theirs, elements)
        config = read_config(parts, symbols, length, energy_scale)
        statistics = read_statistics(parts, len(symbols), energy_scale)
        energy = AllegroEnergy(config, statistics)
        read_weights(parts, energy)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    dtype = str(theirs.model_dtype).removeprefix("torch.")
    agreement = _require_same(path, theirs, energy, config, dtype, length, energy_scale)
    provenance = {
        "imported_from": path.name,
        "imported_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "imported_units": {"length": length_unit, "energy": energy_unit},
        "imported_with": versions(),
        "difference_from_nequip": agreement,
    }
    return Model(config, statistics, energy, "total", dtype, provenance)


def export_model(model: Model, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a checkpoint that nequip with nequip-allegro loads, with the same function.

    nequip loads it by ``ModelFromCheckpoint`` (to continue training),
    ``NequIPCalculator`` or OpenMM-ML's "nequip" potential. Before the file is written,
    nequip's energies and forces are compared with the model's. The file holds no
    optimizer and no training data. Beside it an example structure is written
    (``*.example.extxyz``), which ``nequip-package`` and ``nequip-compile`` expect to
    find in its place.

    Parameters
    ----------
    model : Model
        A model of kind "total"; its weights are written in ``model.dtype``.
    path : path
        ``*.ckpt``.
    overwrite : bool
        Whether to replace existing files.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If one of the two files exists.
    ImportError
        If nequip or nequip-allegro is missing.
    ValueError
        If nequip-allegro cannot express the model.
    """
    path = Path(path)
    if path.suffix != ".ckpt":
        raise ValueError(f"expected a checkpoint named *.ckpt, found {path}")
    example = path.with_suffix(".example.extxyz").absolute()
    for file in (path, example):
        if file.exists() and not overwrite:
            raise FileExistsError(f"expected no file yet at {file}, found one")
    with nequip_state():
        try:
            content, theirs = checkpoint(model, example)
        except (AssertionError, TypeError) as error:  # an older nequip-allegro
            raise ValueError(
                f"expected a model that {describe_versions()} can express, found that "
                f"it cannot ({error})"
            ) from error
    _require_same(path, theirs, model.energy, model.config, model.dtype, 1.0, 1.0)
    cluster, _ = clusters(model.config)
    # with a cell, because the compiled model has a stress
    atoms = ase.Atoms(cluster.symbols, cluster.positions, pbc=True)
    atoms.center(vacuum=model.config.cutoff)
    text = io.StringIO()
    ase.io.write(text, atoms, format="extxyz")
    write_file(path, content)
    write_file(example, text.getvalue().encode())
    return path


def _require_same(
    path: Path,
    theirs: torch.nn.Module,
    energy: AllegroEnergy,
    config: AllegroConfig,
    dtype: str,
    length: float,
    energy_scale: float,
) -> float:
    largest = difference(theirs, energy, config, length, energy_scale)
    if not largest < TOLERANCE[dtype]:  # also if it is NaN
        raise ValueError(
            f"{path}: expected the same energies and forces as nequip's within "
            f"{TOLERANCE[dtype]} of the largest, found a difference of {largest:.2g}: "
            "some part has another meaning here, or a weight is not finite"
        )
    _log.info("agrees with nequip within %.1e (relative, %s)", largest, dtype)
    return largest
