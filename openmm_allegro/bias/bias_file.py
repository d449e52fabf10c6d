# SPDX-License-Identifier: MIT
"""Read variables, restraints and bias from the tables of a TOML file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..utils.config import brief, from_mapping, read_tables
from .sampling import RECORDED, Sampling
from .settings import KINDS, Bias, Plumed, Restraint, Variable

# Names of the tables: variables, restraints and bias.
TABLES = RECORDED


def read_sampling(path: str | Path) -> Sampling:
    """Read a file with tables ``[[variables]]``, ``[[restraints]]`` and ``[bias]``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        As ``sampling_of``, if the file has other tables or none, or if a restraint
        names stages.
    """
    sampling = sampling_of(read_tables(path, TABLES), path)
    if not sampling:
        raise ValueError(f"{path}: expected tables {', '.join(TABLES)}, found none")
    try:
        return sampling.of_run()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def sampling_of(content: Mapping[str, Any], path: str | Path) -> Sampling:
    """Make variables, restraints and bias of tables; paths are relative to the file.

    Parameters
    ----------
    content : mapping
        The file's tables; others than ``TABLES`` are left alone.
    path : path
        The file's, for messages.

    Raises
    ------
    ValueError
        If a table is of another form, or as ``Variable``, ``Restraint``,
        ``Metadynamics``, ``Opes`` and ``Plumed``.
    """
    folder = Path(path).parent
    variables = _list_of(Variable, content, "variables", path)
    variables = [
        dataclasses.replace(v, reference=str(folder / v.reference))
        if v.reference
        else v
        for v in variables
    ]
    restraints = _list_of(Restraint, content, "restraints", path)
    bias = _bias_of(content["bias"], path) if "bias" in content else None
    return Sampling(variables, restraints, bias)


def _list_of(
    cls: type, content: Mapping[str, Any], name: str, path: str | Path
) -> list[Any]:
    tables = content.get(name, [])
    if not isinstance(tables, list):
        raise ValueError(f"{path}: expected tables [[{name}]], found {brief(tables)}")
    return [
        from_mapping(cls, table, f"{path} [[{name}]] number {number}")
        for number, table in enumerate(tables, start=1)
    ]


def _bias_of(table: Any, path: str | Path) -> Bias:
    where = f"{path} [bias]"
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: expected a table, found {brief(table)}")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"{where}: expected kind of {tuple(KINDS)}, found {brief(kind)}"
        )
    rest = {key: value for key, value in table.items() if key != "kind"}
    bias = from_mapping(KINDS[kind], rest, where)
    if isinstance(bias, Plumed):
        bias = Plumed(str(Path(path).parent / bias.file))
    return bias
