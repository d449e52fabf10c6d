# SPDX-License-Identifier: MIT
"""The program of a model: from its file, from the user's cache, or folded by torch."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ...model.model import TERMS as PREFIX
from ...model.model import Model, Stored, digest, weights
from ...utils.extras import remedy
from ...utils.files import cache_folder, replace_file
from ..library import FORMAT
from .program import TERMS, Program, add_to_hash
from .validity import check_program

if TYPE_CHECKING:
    from torch import Tensor

    from ...model.energy import AllegroEnergy

# The kind of program for each ForceOptions.precision.
KINDS = {"single": "single", "mixed": "single", "double": "double"}
DTYPES = {"single": "float32", "double": "float64"}  # of the weights of each kind
_CHECKSUM = "sha256"
_log = logging.getLogger(__name__)


def folded(model: Model, precision: str) -> Program:
    """Find the program of a model, or fold it.

    The model's file has programs. For a file without them, or with those of another
    format, torch folds once, and the user's cache folder keeps the result.

    Parameters
    ----------
    model : Model
    precision : str
        Of the network: "single" and "mixed" stand for float32, "double" for float64.

    Returns
    -------
    Program
        Arrays of numpy.

    Raises
    ------
    ImportError
        If the model must be folded and torch is missing.
    ValueError
        If the energy has a term that programs do not have.
    """
    kind = KINDS[precision]
    others = _other_terms(model)
    if others:
        raise ValueError(
            "the compiled kernel, and with it backend='native', expects an energy of "
            f"the terms that programs have, found {', '.join(map(repr, others))} "
            "beside them; kernel='plain' with another backend takes any"
        )
    known = known_program(model, precision)
    if known is not None:
        return known
    if not _is_as_read(model):
        return fold_arrays(model, kind)
    program = fold_arrays(_anew(model), kind, model.origin.path)
    _write_cached(_cached(model.origin.digest, kind), program)
    return program


def known_program(model: Model, precision: str) -> Program | None:
    """Find the program of a model in its file or the cache; None if in neither.

    Parameters as ``folded``.
    """
    kind = KINDS[precision]
    if not _is_as_read(model):
        return None
    programs = model.stored.programs
    if programs is not None and programs[:2] == (FORMAT, model.origin.digest):
        return Program(*programs.arrays[kind])
    path = _cached(model.origin.digest, kind)
    return _read_cached(path, kind, len(model.config.elements))


def is_foldable(model: Model) -> bool:
    """Tell whether a program can have all terms of a model's energy.

    That of charges at long range stands beside the program.
    """
    return not _other_terms(model)


def _other_terms(model: Model) -> list[str]:
    """Names of the terms of a model's energy that programs do not have."""
    if not model.is_built:
        of_terms = [name for name in weights(model) if name.startswith(PREFIX)]
        return sorted({name.split(".")[1] for name in of_terms} - {*TERMS})
    from .fold import other_terms

    return other_terms(model.energy)


def fold_arrays(model: Model, kind: str, where: str = "model") -> Program:
    """Fold a model's network to a program of numpy's arrays, with torch.

    Parameters
    ----------
    model : Model
    kind : str
        "single" or "double".
    where : str
        Beginning of the error message: the model's file.

    Raises
    ------
    ImportError
        If torch is missing.
    """
    try:
        import torch

        from .fold import fold
    except ImportError as error:
        raise ImportError(
            f"{where}: expected a model file with programs of the compiled kernel, "
            f"format {FORMAT}, found {_describe(model)}, and torch, which would make "
            f"them, cannot be imported ({error}){remedy(error)}, or run openmm-allegro "
            "import OLD.safetensors -o NEW.safetensors where it is installed; the new "
            "file needs no torch"
        ) from error
    program = fold(model.energy, getattr(torch, DTYPES[kind]))
    return Program(*(array.numpy() for array in program))


def _describe(model: Model) -> str:
    """The programs that a model has."""
    programs = None if model.stored is None else model.stored.programs
    if programs is None:
        return "none"
    if programs.format != FORMAT:
        return f"programs of format {programs.format}"
    return "programs of other weights"


def _is_as_read(model: Model) -> bool:
    """Tell whether a model was read from a file and not changed since."""
    if model.origin is None or model.stored is None:
        return False
    if digest(model) != model.origin.digest:
        return False
    return not model.is_built or _has_own_buffers(model)


def _has_own_buffers(model: Model) -> bool:
    """Tell whether a built network computes with the model's config and statistics."""
    import torch

    from ...model.energy import AllegroEnergy

    dtype = next(model.energy.network.parameters()).dtype
    expected = AllegroEnergy(model.config, model.statistics).set_dtype(dtype)
    own, buffers = map(_constants, (model.energy, expected))
    return own.keys() == buffers.keys() and all(
        torch.equal(own[name].cpu(), value) for name, value in buffers.items()
    )


def _constants(energy: AllegroEnergy) -> dict[str, Tensor]:
    """Buffers of a network that are no weights, which the digest covers."""
    saved = {f"{PREFIX}{name}" for name in energy.terms.state_dict()}
    return {n: value for n, value in energy.named_buffers() if n not in saved}


def _anew(model: Model) -> Model:
    """A model with a network of its own; that of another may be in float32."""
    stored = Stored(weights(model), model.stored.programs)
    fields = {n: v for n, v in vars(model).items() if n not in ("energy", "stored")}
    return Model(**fields, stored=stored)


def _cached(model_digest: str, kind: str) -> Path:
    name = f"{model_digest}-{FORMAT}-{kind}.safetensors"
    return cache_folder() / "programs" / name


def _write_cached(path: Path, program: Program) -> None:
    """Keep a program; without a folder to write to, it is folded again next time."""
    arrays = program._asdict()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, save(arrays, metadata={_CHECKSUM: _sum(program)}))
    except OSError as error:
        _log.debug("the program is not kept: %s", error)


def _read_cached(path: Path, kind: str, elements: int) -> Program | None:
    """Read a program; None if there is none to read, or the file is damaged."""
    try:
        with safe_open(path, framework="np") as file:
            program = Program(*(file.get_tensor(name) for name in Program._fields))
            checksum = (file.metadata() or {}).get(_CHECKSUM)
        types = check_program(*program)
    except (SafetensorError, OSError, ValueError, RuntimeError):
        return None
    if (types, program.weights.dtype) != (elements, DTYPES[kind]):
        return None
    return program if checksum == _sum(program) else None


def _sum(program: Program) -> str:
    """SHA-256 of a program's arrays."""
    sha = hashlib.sha256()
    add_to_hash(sha, program)
    return sha.hexdigest()
