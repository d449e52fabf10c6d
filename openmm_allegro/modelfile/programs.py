# SPDX-License-Identifier: MIT
"""Programs in model files: their names, and checks that they are the model's."""

from collections.abc import Mapping

import numpy as np

from ..kernels.inference.compiled import charges, evaluate
from ..kernels.inference.folded import DTYPES
from ..kernels.inference.program import Code, Program, unpack
from ..kernels.inference.validity import check_program
from ..kernels.library import library
from ..model.config import AllegroConfig
from ..model.model import FoldedPrograms
from ..model.probe import Clusters, check_charges, check_energies, make_clusters
from ..model.statistics import Statistics
from .header import DTYPES as NAMES_IN_FILE

PREFIX = "folded."
# Type in the file of each array, by name: folded.single.integers and so on.
ARRAYS = {
    f"{PREFIX}{kind}.{name}": type_in_file
    for kind, dtype in DTYPES.items()
    for name, type_in_file in zip(
        Program._fields, ("I64", "F64", NAMES_IN_FILE[dtype]), strict=True
    )
}

# Largest difference of energies and charges in single and double precision: a fraction,
# and in eV or e.
# Models in use have 1e-6 of the first.
AGREEMENT = 0.01, 1e-4


def as_arrays(programs: FoldedPrograms) -> dict[str, np.ndarray]:
    """Name the arrays of programs as a file does."""
    return {
        f"{PREFIX}{kind}.{name}": array
        for kind, program in programs.arrays.items()
        for name, array in zip(Program._fields, program, strict=True)
    }


def as_programs(arrays: Mapping[str, np.ndarray]) -> dict[str, Program]:
    """Put programs together from their arrays in a file."""
    return {
        kind: Program(*(arrays[f"{PREFIX}{kind}.{name}"] for name in Program._fields))
        for kind in DTYPES
    }


def check_programs(
    programs: FoldedPrograms, config: AllegroConfig, statistics: Statistics
) -> None:
    """Refuse arrays that are no programs, or programs of another config.

    Raises
    ------
    ValueError
    """
    for kind, program in programs.arrays.items():
        try:
            types = check_program(*program)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{PREFIX}{kind}: {error}") from None
        parts = unpack(program)
        expected = {"cutoffs": config.cutoff_table(), "shifts": statistics.shifts}
        same = types == len(config.elements) and all(
            np.array_equal(parts.arrays[name], np.ravel(values))
            for name, values in expected.items()
        )
        has_charges = any(op.code == Code.CHARGE for op in parts.operations())
        same = same and has_charges == (config.charges == "learned")
        if not same or parts.header.points:
            raise ValueError(
                f"expected {PREFIX}{kind} with the elements, cutoffs, energies and "
                "charges of the header and without a table, found another program"
            )


def can_probe() -> bool:
    """Tell whether there are compiled kernels to run a program with."""
    return library() is not None


def probe_programs(
    programs: Mapping[str, Program], config: AllegroConfig, statistics: Statistics
) -> None:
    """Refuse programs whose results are absurd, or differ from each other.

    Parameters
    ----------
    programs : mapping of str to Program
        By "single" and "double".
    config : AllegroConfig
    statistics : Statistics

    Raises
    ------
    ValueError
    """
    clusters = make_clusters(config)
    shifts = np.array(statistics.shifts)[clusters.centers]
    atoms, step = _atoms(clusters)
    energies = {
        kind: evaluate(library(), program, *atoms)[0][::step] - shifts
        for kind, program in programs.items()
    }
    for values in energies.values():
        check_energies(clusters, values, config)
    _check_agreement("energies", energies, "eV")
    if config.charges == "learned":
        found = {
            kind: charges(library(), program, *atoms)[::step]
            for kind, program in programs.items()
        }
        for values in found.values():
            check_charges(clusters, values, config)
        _check_agreement("charges", found, "e")


def _check_agreement(name: str, found: Mapping[str, np.ndarray], unit: str) -> None:
    if len(found) < len(DTYPES):
        return
    scale = abs(found["double"]).max()
    difference = abs(found["single"] - found["double"]).max()
    if difference > AGREEMENT[0] * scale + AGREEMENT[1]:
        raise ValueError(
            f"expected {PREFIX}single and {PREFIX}double of one model, found {name} "
            f"that differ by {difference:.3g} {unit} of {scale:.3g} {unit}"
        )


def _atoms(clusters: Clusters) -> tuple[list[np.ndarray], int]:
    """Arrays of the atoms for ``evaluate``, and how far apart the centres are there."""
    count, number = clusters.neighbors.shape
    # Each centre is followed by its neighbours, which have no pairs.
    types = np.column_stack((clusters.centers, clusters.neighbors)).ravel()
    positions = np.zeros((count, 1 + number, 3))
    positions[:, 1:] = clusters.vectors
    degrees = np.zeros((count, 1 + number), dtype=np.int64)
    degrees[:, 0] = number
    neighbors = np.arange(len(types)).reshape(count, -1)[:, 1:].ravel()
    arrays = [
        positions.reshape(-1, 3),
        np.zeros((3, 3)),
        types.astype(np.int64),
        np.concatenate(([0], np.cumsum(degrees))),
        neighbors.astype(np.int32),
        np.zeros((len(neighbors), 3), dtype=np.int8),
    ]
    return arrays, 1 + number
