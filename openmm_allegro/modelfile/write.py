# SPDX-License-Identifier: MIT
"""Write a model file: weights, and the programs that the compiled kernel runs."""

import dataclasses
import json
from pathlib import Path

from safetensors.numpy import save

from ..kernels.inference.folded import DTYPES as KINDS_OF_PROGRAMS
from ..kernels.inference.folded import fold_arrays, is_foldable, known_program
from ..kernels.library import FORMAT as FORMAT_OF_PROGRAMS
from ..model.config import recorded
from ..model.model import FoldedPrograms, Model, Stored, digest, weights
from ..utils.files import replace_file
from .header import (
    BLANK,
    CHECKSUM,
    DTYPES,
    FORMAT,
    KINDS,
    PROGRAMS,
    UNITS,
    format_version,
    with_checksum,
)
from .programs import as_arrays


def save_model(model: Model, path: str | Path, *, with_programs: bool = True) -> Path:
    """Write a model file; an existing one is replaced in one step.

    It holds programs, so that a simulation needs no torch. Torch folds the model to
    them, unless it was read from a file that has them and is unchanged. A model whose
    energy has terms that programs do not have is written without.

    Parameters
    ----------
    model : Model
    path : path
        Normally ``*.safetensors``.
    with_programs : bool
        False leaves programs out, as training does until its end.

    Returns
    -------
    Path

    Raises
    ------
    ImportError
        If the model must be folded and torch is missing.
    ValueError
        If ``model.kind`` or ``model.dtype`` is unknown, or the provenance has NaN,
        infinity or what JSON does not have.
    """
    for name, known in (("kind", KINDS), ("dtype", tuple(DTYPES))):
        if getattr(model, name) not in known:
            raise ValueError(
                f"model file: expected {name} of {known}, found "
                f"{getattr(model, name)!r}"
            )
    programs = None
    if with_programs and is_foldable(model):
        programs = fold_programs(model)
    header = {
        "format": FORMAT,
        "format_version": format_version(model.config),
        "kind": model.kind,
        "dtype": model.dtype,
        "units": UNITS,
        "config": recorded(model.config),
        "statistics": dataclasses.asdict(model.statistics),
        "provenance": model.provenance,
        PROGRAMS: programs and {"format": programs.format, "digest": programs.digest},
        CHECKSUM: BLANK,  # the last one, see header.with_checksum
    }
    arrays = weights(model)
    if programs is not None:
        arrays |= as_arrays(programs)
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"model file: expected provenance of JSON's finite values, found {error}"
        ) from error
    path = Path(path)
    write_file(path, with_checksum(save(arrays, metadata={FORMAT: text})))
    return path


def fold_programs(model: Model) -> FoldedPrograms:
    """Fold a model as its file will give it back, or take the programs it has.

    Raises
    ------
    ImportError
        If the model must be folded and torch is missing.
    """
    known = {kind: known_program(model, kind) for kind in KINDS_OF_PROGRAMS}
    if None in known.values():
        fields = model.config, model.statistics, None, model.kind, model.dtype
        unused = model.stored and model.stored.programs
        stored = Stored(weights(model), unused)  # rounded to what the file holds
        fresh = Model(*fields, stored=stored)
        where = model.origin.path if model.origin else "model"
        known = {kind: fold_arrays(fresh, kind, where) for kind in KINDS_OF_PROGRAMS}
    return FoldedPrograms(FORMAT_OF_PROGRAMS, digest(model), known)


def write_file(path: Path, content: bytes) -> None:
    """Write a file and its folder; an existing file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Files of safetensors' own save_file can be read by their owner alone.
    replace_file(path, content)
