# SPDX-License-Identifier: MIT
"""A model as a file of the LAMMPS pair style, ``*.allegro``.

The file is a line that names it, the length of a JSON header, the header, and the
arrays of the model's program as ``allegro.h`` describes them. Each array begins at a
page of memory, so that the processes of a machine share one copy of the weights.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from openmm import app, unit

from .._version import __version__
from ..kernels.inference.folded import KINDS, folded
from ..kernels.inference.program import Program
from ..kernels.inference.table import choose_table
from ..kernels.library import FORMAT as PROGRAM_FORMAT
from ..model.long_range import long_range_settings
from ..model.model import Model, digest
from ..modelfile import load_model
from ..modelfile.header import BLANK
from ..potential.options import ForceOptions
from ..topology.elements import ATOMIC_NUMBERS
from ..units import COULOMB_EV_ANGSTROM_CODATA
from ..utils.files import check_new_file, replacing

SUFFIX = ".allegro"
MAGIC = b"ALLEGRO\n"
FORMAT = "openmm_allegro.lammps"
FORMAT_VERSION = 1
CHARGED_VERSION = 2  # of files of models with charges
PAGE = 4096  # bytes
# Files of other programs that hold Allegro models.
_NEQUIP = (".ckpt", ".pt", ".pth", ".pt2", ".zip")


def export_model(
    model: str | Path | Model,
    output: str | Path,
    *,
    precision: str = "mixed",
    two_body: str = "exact",
    overwrite: bool = False,
) -> Path:
    """Write a model as a file that ``pair_style allegro`` of LAMMPS reads.

    Equal models and options give equal bytes. Torch is needed only where the model must
    be folded, as for ``kernels.inference.folded.folded``.

    Parameters
    ----------
    model : path or Model
        A model file (``*.safetensors``), or the result of ``load_model`` or ``train``.
        Members of a committee are exported one by one, to a file each.
    output : path
        Its name ends in ``.allegro``. Its folder is made.
    precision, two_body : str
        As in ``ForceOptions``; the fused kernel takes "single" as "mixed".
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If there is a file and ``overwrite`` is False.
    FileNotFoundError
        If there is no such model file.
    ImportError
        If the model must be folded and torch is missing, or if a table is asked for and
        the kernels were not built.
    ValueError
        If an option is unknown, the file is no model file, the output has another
        suffix, or the energy has a term that programs do not have.
    """
    output = Path(output)
    options = ForceOptions(precision=precision, two_body=two_body)
    if output.suffix != SUFFIX:
        raise ValueError(
            f"export: expected an output whose name ends in {SUFFIX}, by which "
            f"pair_coeff tells files from elements, found {output}"
        )
    check_new_file(output, overwrite)
    if not isinstance(model, Model):
        _refuse_other_formats(Path(model))
        model = load_model(model)
    charges = _charges(model)
    header = {
        "format": FORMAT,
        "format_version": CHARGED_VERSION if charges else FORMAT_VERSION,
        "program_format": PROGRAM_FORMAT,
        "kind": model.kind,
        "elements": list(model.config.elements),
        "masses": _masses(model.config.elements),
        "cutoff": model.config.cutoff,
        **charges,
        "precision": KINDS[precision],
        "two_body": two_body,
        "digest": digest(model),
        "package_version": __version__,
    }
    _write(output, header, _program(model, options))
    return output


def _refuse_other_formats(path: Path) -> None:
    name = path.name.lower()
    if name.endswith(SUFFIX):
        raise ValueError(
            f"export: expected a model file (*.safetensors), found {path}, which is "
            "exported already; name it in pair_coeff as it is"
        )
    if name.endswith(_NEQUIP):
        raise ValueError(
            f"export: expected a model file (*.safetensors), found {path}; "
            "openmm-allegro import makes one of a checkpoint or package of nequip"
        )


def _charges(model: Model) -> dict[str, Any]:
    """What the energy of charges needs beside the program; nothing without charges."""
    settings = long_range_settings(model)
    if settings is None:
        return {}
    return {
        "charges": model.config.charges,
        "charge_start": list(settings.start),
        "charge_alpha": settings.alpha,
        "coulomb": COULOMB_EV_ANGSTROM_CODATA,
    }


def _masses(elements: Sequence[str]) -> list[float]:
    """Masses of atoms as OpenMM has them, Da."""
    try:
        found = [app.Element.getByAtomicNumber(ATOMIC_NUMBERS[e]) for e in elements]
    except KeyError as error:
        raise ValueError(
            "export: expected elements whose masses OpenMM knows, found one of atomic "
            f"number {error} among {', '.join(elements)}"
        ) from None
    return [element.mass.value_in_unit(unit.dalton) for element in found]


def _program(model: Model, options: ForceOptions) -> Program:
    program = folded(model, options.precision)
    if options.two_body == "table":
        exact = folded(model, "double")
        _, program = choose_table(program, exact, model.config.elements)
    return program


def _write(path: Path, header: Mapping[str, Any], program: Program) -> None:
    arrays = {
        name: np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        for name, array in program._asdict().items()
    }
    head = _head(header, arrays)
    sha = hashlib.sha256()
    for part in _parts(head, arrays):
        sha.update(part)
    head = _with_checksum(head, sha.hexdigest())
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, open(partial, "wb") as file:
        for part in _parts(head, arrays):
            file.write(part)


def _head(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """All before the arrays, with a blank checksum at the header's end."""
    begin = 0
    while True:  # until the header that names it ends before
        begin += PAGE
        places, offset = {}, begin
        for name, array in arrays.items():
            places[name] = {"offset": offset, "count": len(array)}
            offset += array.nbytes + _padding(array.nbytes)
        content = {**header, "arrays": places, "sha256": BLANK}
        text = json.dumps(content, allow_nan=False).encode()
        head = MAGIC + len(text).to_bytes(8, "little") + text
        if len(head) <= begin:
            return head


def _with_checksum(head: bytes, digits: str) -> bytes:
    before, _, after = head.rpartition(BLANK.encode())
    return before + digits.encode() + after


def _parts(head: bytes, arrays: Mapping[str, np.ndarray]) -> Iterator[bytes]:
    """Contents of the file, one after the other, each followed by zeros to a page."""
    for part in (head, *(array.data.cast("B") for array in arrays.values())):
        yield part
        yield bytes(_padding(len(part)))


def _padding(size: int) -> int:
    return -size % PAGE
