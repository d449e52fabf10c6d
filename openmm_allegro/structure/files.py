# SPDX-License-Identifier: MIT
"""Read structures with ab-initio labels from files."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .labels.charges import read_charges
from .labels.frames import iterate_frames
from .labels.plausible import Labelled, doubts
from .labels.read import UNLABELLED, Labels, check_keys, check_results, read_labels
from .labels.settings import LabelSettings
from .labels.stated import check_stated_units
from .labels.survey import LabelSurvey
from .names import name_reader
from .structure import Structure, check_structure

if TYPE_CHECKING:
    import ase

log = logging.getLogger(__name__)


def read_structures(
    path: str | Path | Sequence[str | Path],
    *,
    labels: bool = True,
    energy_key: str | None = None,
    forces_key: str | None = None,
    stress_key: str | None = None,
    virial_key: str | None = None,
    dipole_key: str | None = None,
    charges_key: str | None = None,
    energy_unit: str = "eV",
    length_unit: str = "angstrom",
    forces_unit: str | None = None,
    stress_unit: str | None = None,
    use_weights: bool = True,
) -> list[Structure]:
    """Read all frames of one or more files that ase can read, such as extxyz.

    What is not plain is logged once a file: labels under other names than ``energy``,
    ``forces`` and ``stress``, weights, labels of some frames only.

    Parameters
    ----------
    path : path or sequence of paths
    labels : bool
        Require an energy in each frame, and forces somewhere in a file if there is a
        ``forces_key``. If false, labels that need a choice are left out, and nothing
        is logged.
    energy_key, forces_key, stress_key, virial_key, dipole_key, charges_key, \
energy_unit, length_unit, forces_unit, stress_unit, use_weights
        See ``LabelSettings``.

    Returns
    -------
    list of Structure

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file cannot be read, has no frames, or a frame has positions that are not
        finite, a periodic direction without a cell, or lacks labels that were asked
        for; if two names could be that of a label, or a label is no number.

    Warns
    -----
    UserWarning
        If energies or forces cannot be in eV and Å.
    """
    settings = LabelSettings(
        energy_key,
        forces_key,
        stress_key,
        virial_key,
        dipole_key,
        charges_key,
        energy_unit,
        length_unit,
        forces_unit,
        stress_unit,
        use_weights,
    )
    paths = [path] if isinstance(path, str | Path) else path
    structures: list[Structure] = []
    surveys: list[LabelSurvey] = []
    for name in paths:
        survey = LabelSurvey(str(name), settings)
        structures += _read_file(Path(name), labels, survey)
        surveys.append(survey)
    if labels:
        _report_unused_key(settings, surveys)
    return structures


def from_ase(
    atoms: "ase.Atoms",
    *,
    where: str = "structure",
    labels: bool = False,
    settings: LabelSettings | None = None,
) -> Structure:
    """Convert an ``ase.Atoms`` with the results that are attached to it.

    Parameters
    ----------
    atoms : ase.Atoms
    where : str
        Name of the structure in error messages.
    labels : bool
        Require an energy, and forces if the settings name them.
    settings : LabelSettings, optional
        Names and units of the labels.

    Raises
    ------
    ValueError
        As ``read_structures``, or if the results are those of other positions.
    """
    settings = settings or LabelSettings()
    check_results(atoms, where)
    structure, found = _convert(atoms, where, settings)
    if labels:
        survey = LabelSurvey(where, settings)
        survey.add(found, len(structure), where, sorted(atoms.arrays))
        missing = _missing_energy(structure, atoms, settings)
        if missing:
            raise ValueError(missing)
        survey.check_forces()
    return structure


def _read_file(path: Path, labels: bool, survey: LabelSurvey) -> list[Structure]:
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a file of structures, found nothing at {path}"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected at least one frame, found an empty file")
    structures: list[Structure] = []
    settings, missing = survey.settings, ""
    frames, set_elements = iterate_frames(path, settings), name_reader(path)
    while True:
        where = f"{path}, frame {len(structures)}"
        try:
            atoms = next(frames)
        except StopIteration:
            break
        except Exception as error:  # ase raises many kinds, some bare
            raise ValueError(
                f"{where}: expected a structure that ase can read, found "
                f"{_reason(error)}"
            ) from error
        set_elements(atoms)
        structure, found = _convert(atoms, where, settings, strict=labels)
        if labels:
            survey.add(found, len(structure), where, sorted(atoms.arrays))
            missing = missing or _missing_energy(structure, atoms, settings)
        structures.append(structure)
    if not structures:
        raise ValueError(f"{path}: expected at least one frame, found none")
    if missing:
        raise ValueError(missing + (f"; {survey.numbers}" if survey.frames else ""))
    survey.check_energies()
    if labels:
        survey.check_forces()
        _report(path, structures, survey)
    return structures


def _reason(error: Exception) -> str:
    from ase.io.formats import UnknownFileTypeError

    if isinstance(error, UnknownFileTypeError) and " " not in str(error):
        return f"a kind of file that it does not know ({error}); extxyz is one it knows"
    if isinstance(error, KeyError):  # of its table of elements, mostly
        return f"{error}, which is no name (of an element) that it knows"
    return f"{type(error).__name__}: {error}"


def _convert(
    atoms: "ase.Atoms", where: str, settings: LabelSettings, *, strict: bool = True
) -> tuple[Structure, Labels]:
    check_keys(atoms, where)
    check_stated_units(atoms, where, settings)
    length = settings.length_factor
    cell = np.array(atoms.cell.array, dtype=float) * length
    try:
        labels = read_labels(atoms, where, settings, cell)
    except ValueError:
        if strict:
            raise
        labels = UNLABELLED
    structure = Structure(
        symbols=tuple(atoms.get_chemical_symbols()),
        positions=np.array(atoms.positions, dtype=float) * length,
        cell=cell,
        periodic=np.array(atoms.pbc, dtype=bool),
        energy=labels.energy,
        forces=labels.forces,
        stress=labels.stress,
        source=where,
        weights=labels.weights,
        called_isolated=labels.isolated,
        **read_charges(atoms, where, settings)._asdict(),
    )
    check_structure(structure, where)
    return structure, labels


def _missing_energy(
    structure: Structure, atoms: "ase.Atoms", settings: LabelSettings
) -> str:
    """Message about an energy that is not there, or an empty string."""
    if structure.energy is not None:
        return ""
    have = "forces without one" if structure.forces is not None else "none"
    if structure.forces is None and len(structure) > 1:
        have += f", and no forces; columns are {sorted(atoms.arrays)}"
    key = settings.energy_key or "energy"
    return (
        f"{structure.source}: expected an energy (`{key}=` in the comment line, or "
        f"energy_key), found {have}; keys are {sorted(map(str, atoms.info))}"
    )


def _report_unused_key(settings: LabelSettings, surveys: list[LabelSurvey]) -> None:
    """Log a key of stresses or virials that no frame has."""
    if any(s.lost or {"stress", "virial"} & s.names.keys() for s in surveys):
        return
    for option in ("stress_key", "virial_key"):
        key = getattr(settings, option)
        if key is not None and surveys:
            files = ", ".join(survey.where for survey in surveys)
            log.warning("%s = %r is in no frame of %s", option, key, files)


def _report(path: Path, structures: list[Structure], survey: LabelSurvey) -> None:
    """Log what the labels are, and warn of those that cannot be in eV and Å."""
    remarks = survey.remarks()
    if remarks:
        log.warning("%s: %s", path, "; ".join(remarks))
    labelled = (
        Labelled(s.symbols, s.energy, s.forces, s.stress)
        for s in structures
        if s.energy is not None
    )
    settings = survey.settings
    reasons = doubts(labelled)
    if reasons:
        warnings.warn(
            f"{path}: expected labels in eV and Å (with energy_unit = "
            f"{settings.energy_unit!r} and length_unit = {settings.length_unit!r}), "
            f"found that {'; '.join(reasons)}; set "
            "energy_unit, length_unit, forces_unit or stress_unit (--energy-unit, …)",
            stacklevel=4,
        )
