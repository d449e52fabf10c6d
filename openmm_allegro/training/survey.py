# SPDX-License-Identifier: MIT
"""Numbers of a data set, of which a recipe and a page about it are made.

Nothing here needs a network, and pairs alone need torch (``find_pairs``).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..structure import Structure, has_volume
from ..topology.names import SYMBOLS
from ..utils.files import short_names
from ..utils.words import counted
from .frames import formula, place_of
from .oddities import Duplicate, Outlier, Succession, find_duplicates, find_outliers
from .oddities import succession as compare_successive
from .pairs import Pairs, find_pairs

# Frames that a recipe needs: one to validate on and some to learn from.
FEWEST_FRAMES = 4


@dataclass(frozen=True)
class Survey:
    """Numbers of a data set; F frames, without isolated atoms.

    Parameters
    ----------
    files : dict of str to int
        Frames of each file, isolated atoms among them, by its short name.
    places : list of str [F]
        File, without the folders that all share, and number of each frame.
    isolated : dict of str to float
        Energies of isolated atoms, eV.
    elements : dict of str to int
        Atoms of each element, in the order of atomic numbers.
    compositions : dict of str to int
        Frames of each formula, the most frequent first.
    sizes : ndarray [F]
        Atoms.
    periodic : str
        "all", "some" or "none" of the frames have periodic directions.
    densities : ndarray [F]
        Atoms/Å³, NaN where there is no volume.
    labelled : dict of str to int
        Frames with an energy, forces and a stress.
    element_energies : dict of str to float
        eV, of the least squares that residuals are of.
    energies, residuals : ndarray [F]
        Energies and what elements leave of them, eV/atom; NaN where there is none.
    force_rms : dict of str to float
        Root mean square of force components by element, eV/Å; "" for all.
    force_norms : dict of str to ndarray
        Lengths of forces on atoms by element, eV/Å; a sample where there are many.
    frame_forces, largest_forces : ndarray [F]
        Root mean square of components and largest length in a frame, eV/Å.
    stress_rms : float
        Of components, eV/Å³; NaN without stresses.
    pairs : Pairs
    outliers : list of Outlier
        The worst first.
    duplicates : list of Duplicate
    successive : Succession or None
        None where no frames follow one another.
    """

    files: dict[str, int]
    places: list[str]
    isolated: dict[str, float]
    elements: dict[str, int]
    compositions: dict[str, int]
    sizes: np.ndarray
    periodic: str
    densities: np.ndarray
    labelled: dict[str, int]
    element_energies: dict[str, float]
    energies: np.ndarray
    residuals: np.ndarray
    force_rms: dict[str, float]
    force_norms: dict[str, np.ndarray]
    frame_forces: np.ndarray
    largest_forces: np.ndarray
    stress_rms: float
    pairs: Pairs
    outliers: list[Outlier]
    duplicates: list[Duplicate]
    successive: Succession | None

    @property
    def frames(self) -> int:
        """Number of frames without isolated atoms."""
        return len(self.sizes)

    @property
    def all_elements(self) -> tuple[str, ...]:
        """Elements of the frames and of isolated atoms."""
        return tuple(e for e in SYMBOLS if e in self.elements or e in self.isolated)

    @property
    def mean_atoms(self) -> float:
        """Mean number of atoms."""
        return float(self.sizes.mean())

    @property
    def force_spread(self) -> float:
        """Ratio of large to small forces of frames: the ninth to the first decile."""
        known = self.frame_forces[self.frame_forces > 0]
        if not len(known):
            return 1.0
        low, high = np.quantile(known, [0.1, 0.9])
        return float(high / low)


def survey(structures: Sequence[Structure]) -> Survey:
    """Survey labelled structures.

    Parameters
    ----------
    structures : sequence of Structure
        As ``read_structures`` gives them, in the order of their files.

    Raises
    ------
    ValueError
        If there are fewer than ``FEWEST_FRAMES`` beside isolated atoms, or none has an
        energy or forces.
    """
    files = Counter(place_of(s, 0)[0] for s in structures)
    names = short_names(files)
    atoms = [s for s in structures if s.is_isolated]
    frames = [s for s in structures if not s.is_isolated]
    _check_frames(frames, len(atoms))
    symbols = Counter(element for s in frames for element in s.symbols)
    elements = {e: symbols[e] for e in SYMBOLS if e in symbols}
    compositions = Counter(formula(s.symbols) for s in frames)
    isolated = {s.symbols[0]: s.energy for s in atoms if s.energy is not None}
    energies, residuals, fitted = _energies(frames, list(elements), isolated)
    norms, rms, largest, frame_forces = _forces(frames, list(elements))
    periodic = [bool(s.periodic.any()) for s in frames]
    stresses = [s.known_stress() for s in frames]
    known = [x[np.isfinite(x)] for x in stresses if x is not None]
    return Survey(
        files={names[file]: count for file, count in files.items()},
        places=[_short_place(s, index, names) for index, s in enumerate(frames)],
        isolated=isolated,
        elements=elements,
        compositions=dict(compositions.most_common()),
        sizes=np.array([len(s) for s in frames]),
        periodic="all" if all(periodic) else "some" if any(periodic) else "none",
        densities=np.array([_density(s) for s in frames]),
        labelled={
            "energy": sum(s.energy is not None for s in frames),
            "forces": sum(s.forces is not None for s in frames),
            "stress": sum(s.known_stress() is not None for s in frames),
        },
        element_energies=fitted,
        energies=energies,
        residuals=residuals,
        force_rms=rms,
        force_norms=norms,
        frame_forces=frame_forces,
        largest_forces=largest,
        stress_rms=_rms(np.concatenate(known)) if known else float("nan"),
        pairs=find_pairs(frames, list(elements)),
        outliers=find_outliers(frames, residuals, largest),
        duplicates=find_duplicates(frames),
        successive=compare_successive(frames),
    )


def _check_frames(frames: Sequence[Structure], alone: int) -> None:
    if len(frames) < FEWEST_FRAMES:
        beside = f" beside {counted(alone, 'isolated atom')}" if alone else ""
        raise ValueError(
            f"expected at least {FEWEST_FRAMES} frames to train and to validate on, "
            f"found {len(frames)}{beside}"
        )
    if all(s.energy is None for s in frames):
        raise ValueError(
            f"expected frames with an energy, found none among {len(frames)}; "
            "--energy-key names it"
        )


def _density(structure: Structure) -> float:
    whole = structure.periodic.all() and has_volume(structure.cell)
    return len(structure) / structure.volume if whole else float("nan")


def _energies(
    frames: Sequence[Structure], elements: Sequence[str], isolated: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Energies per atom, what is left after least squares, and those of elements."""
    counts = np.array([[s.symbols.count(e) for e in elements] for s in frames], float)
    total = np.array([np.nan if s.energy is None else s.energy for s in frames])
    known, sizes = np.isfinite(total), counts.sum(1)
    # about the mean composition, so that rank deficiency leaves sensible energies
    mean = float((total[known] / sizes[known]).mean())
    rows = counts[known] / sizes[known, None]
    fitted = np.linalg.lstsq(rows, total[known] / sizes[known] - mean, rcond=1e-8)[0]
    fitted = mean + fitted
    per_atom = total / sizes
    residuals = per_atom - counts @ fitted / sizes
    return per_atom, residuals, dict(zip(elements, fitted.tolist(), strict=True))


def _forces(
    frames: Sequence[Structure], elements: Sequence[str], most: int = 200_000
) -> tuple[dict[str, np.ndarray], dict[str, float], np.ndarray, np.ndarray]:
    """Lengths of forces and root mean squares by element; largest and rms by frame."""
    nan = float("nan")
    known = [s for s in frames if s.forces is not None]
    largest = np.array([nan if s.forces is None else _longest(s) for s in frames])
    by_frame = np.array([nan if s.forces is None else _rms(s.forces) for s in frames])
    if not known:
        return {}, {}, largest, by_frame
    symbols = np.concatenate([np.array(s.symbols) for s in known])
    forces = np.concatenate([s.forces for s in known if s.forces is not None])
    lengths = np.linalg.norm(forces, axis=1)
    rms = {"": _rms(forces)} | {e: _rms(forces[symbols == e]) for e in elements}
    step = max(1, len(lengths) // most)
    norms = {e: lengths[symbols == e][::step] for e in elements}
    return norms, rms, largest, by_frame


def _longest(structure: Structure) -> float:
    return float(np.linalg.norm(structure.forces, axis=1).max())


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else 0.0


def _short_place(structure: Structure, index: int, names: Mapping[str, str]) -> str:
    """Short name of the file, and the number of the frame."""
    file, number = place_of(structure, index)
    return f"{names[file]}:{number}"
