# SPDX-License-Identifier: MIT
"""Read a model file, without torch where it holds programs; no code of it is run."""

import contextlib
import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from ..kernels.inference.folded import DTYPES as KERNEL_DTYPES
from ..kernels.inference.folded import known_program
from ..kernels.inference.program import FORMER, from_former
from ..kernels.library import FORMAT
from ..model.config import LARGEST_CHARGE, AllegroConfig
from ..model.model import (
    CHARGES,
    TERMS,
    FoldedPrograms,
    Model,
    Origin,
    Stored,
    check_shapes,
    digest,
)
from ..model.shapes import charge_shapes, term_shapes, weight_shapes
from ..model.statistics import Statistics
from ..utils.config import from_mapping
from .header import (
    DTYPES,
    PROGRAMS,
    Tensors,
    check_checksum,
    describe,
    read_header,
    tell_if_unchecked,
)
from .named import model_path
from .programs import (
    ARRAYS,
    PREFIX,
    as_programs,
    can_probe,
    check_programs,
    probe_programs,
)

KINDS_BY_DTYPE = {dtype: kind for kind, dtype in KERNEL_DTYPES.items()}
_log = logging.getLogger(__name__)


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Torch builds the network, in float64, when ``energy`` of the model is first used;
    see ``AllegroEnergy.set_dtype``. Of a file without programs, as earlier versions
    wrote, it does so at once if it is installed.

    Parameters
    ----------
    path : path
        Or the name of a model, see ``modelfile.named``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model file, is truncated, comes from a newer version or
        does not hold the weights its header promises.
    """
    path = model_path(path)
    read_header(path)  # refuses another file before all of it is read
    content = path.read_bytes()  # at once: a training may replace it
    header, stored = describe(content, path)
    check_checksum(content, header, path)
    dataclass_of = {"config": AllegroConfig, "statistics": Statistics}
    parts = {
        k: from_mapping(c, header[k], f"{path}: {k}") for k, c in dataclass_of.items()
    }
    config, statistics, dtype = *parts.values(), header["dtype"]
    of_programs = {n: stored.pop(n) for n in list(stored) if n.startswith(PREFIX)}
    try:
        statistics.check_elements(config.elements)
        # Before anything is built, which could take more memory than there is.
        _check_weights(config, stored, dtype)
        _check_arrays(header.get(PROGRAMS), of_programs)
        arrays = _finite_arrays(content)
        weights = {name: arrays[name] for name in stored}
        _check_start(config, weights)
        programs = header.get(PROGRAMS)
        if programs is not None:
            folded = as_programs(arrays)
            if programs["format"] == FORMER:
                folded = {
                    kind: from_former(program) for kind, program in folded.items()
                }
                programs = {**programs, "format": FORMAT}
            programs = FoldedPrograms(**programs, arrays=folded)
            if programs.format == FORMAT:
                check_programs(programs, config, statistics)
        fields = header["kind"], dtype, header["provenance"]
        model = Model(
            config, statistics, None, *fields, stored=Stored(weights, programs)
        )
        sha256 = hashlib.sha256(content).hexdigest()
        model.origin = Origin(str(path), sha256, digest(model))
        _check_energies(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    tell_if_unchecked(path, header)
    _tell_if_unused(model)
    return model


def _check_weights(config: AllegroConfig, stored: Tensors, dtype: str) -> None:
    """Refuse weights of other names, shapes or precision than the header promises.

    Those of terms that this package does not have are checked where the network is
    built.
    """
    shapes = {name: shape for name, (_, shape) in stored.items()}
    of_terms = {name: s for name, s in shapes.items() if name.startswith(TERMS)}
    known = {TERMS + name: shape for name, shape in term_shapes(config).items()}
    charges = {CHARGES + name: s for name, s in charge_shapes(config).items()}
    check_shapes(weight_shapes(config) | of_terms | known | charges, shapes)
    for name, (kind, _) in stored.items():
        if kind != DTYPES[dtype]:
            raise ValueError(
                f"expected weights {name} in {dtype} from the header, found {kind}"
            )


def _check_start(config: AllegroConfig, weights: dict[str, np.ndarray]) -> None:
    """Refuse charges of elements that no training finds."""
    for element, charge in zip(
        config.elements, weights.get(f"{CHARGES}start", ()), strict=False
    ):
        if abs(charge) > LARGEST_CHARGE:
            raise ValueError(
                f"expected a charge of {element} within {LARGEST_CHARGE:g} e, found "
                f"{charge:g} e"
            )


def _check_arrays(header: dict[str, Any] | None, stored: Tensors) -> None:
    """Refuse arrays of programs other than the header promises."""
    expected = {} if header is None else ARRAYS
    for name in sorted({*expected, *stored}):
        kind, shape = stored.get(name, ("none", ()))
        if name not in expected:
            raise ValueError(f"expected no array {name} from the header, found {kind}")
        if (kind, len(shape)) != (expected[name], 1):
            raise ValueError(
                f"expected an array {name} of type {expected[name]} with 1 axis from "
                f"the header, found {kind} with {len(shape)} axes"
            )


def _finite_arrays(content: bytes) -> dict[str, np.ndarray]:
    """Read all arrays, of which each number is finite."""
    try:
        arrays = load(content)
    except SafetensorError as error:
        raise ValueError(f"expected a whole file, found {error}") from None
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"expected finite weights, found NaN or infinity in {name}"
            )
    return arrays


def _check_energies(model: Model) -> None:
    """Refuse weights that are noise, by the kernel or, without programs, by torch."""
    known = {kind: known_program(model, kind) for kind in KINDS_BY_DTYPE.values()}
    known = {kind: program for kind, program in known.items() if program is not None}
    if KINDS_BY_DTYPE[model.dtype] in known and can_probe():
        probe_programs(known, model.config, model.statistics)
        return
    # Where there is no torch either, nothing can be computed with the model.
    with contextlib.suppress(ImportError):
        _ = model.energy


def _tell_if_unused(model: Model) -> None:
    """Log that programs are of other weights or of another format."""
    programs = model.stored.programs
    if programs is None or programs[:2] == (FORMAT, model.origin.digest):
        return
    which = "of other weights than its own"
    if programs.format != FORMAT:
        which = f"of format {programs.format} instead of {FORMAT}"
    _log.warning(
        "%s holds programs %s, which are not used; save_model(load_model(path), path) "
        "makes them anew",
        model.origin.path,
        which,
    )
