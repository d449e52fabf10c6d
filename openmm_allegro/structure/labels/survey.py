# SPDX-License-Identifier: MIT
"""Say once what a user should know about the labels of a file."""

from collections import Counter

import numpy as np

from ...utils.words import counted
from .names import KINDS
from .read import Labels
from .settings import LabelSettings

# Names that go without saying.
_PLAIN = ("energy", "forces", "stress")
# eV for each atom, above which a free energy differs from the energy.
_EXCESS = 1e-6


class LabelSurvey:
    """Names, weights and numbers of labels of a file's frames.

    Parameters
    ----------
    where : str
        Name of the file.
    settings : LabelSettings
    """

    def __init__(self, where: str, settings: LabelSettings) -> None:
        self.where, self.settings = where, settings
        self.frames = 0
        self.counts: Counter[str] = Counter()  # of energy, forces, stress
        self.zeros: Counter[str] = Counter()  # of those that are exactly 0
        self.names: dict[str, str] = {}
        self.origins: dict[str, str] = {}  # the frame that a name is from
        self.weights: dict[str, list[float]] = {}
        self.energies = self.free_energies = 0
        self.excess = 0.0  # eV for each atom
        self.lost = 0
        self.columns: list[str] = []  # of the first frame without forces

    def add(self, labels: Labels, atoms: int, where: str, columns: list[str]) -> None:
        """Count a frame with the names of its columns.

        Raises
        ------
        ValueError
            If a label has another name than in the frames before.
        """
        if atoms > 1 or labels.forces is not None:  # one atom needs no forces
            self.frames += 1
            for kind in _PLAIN:
                value = getattr(labels, kind)
                self.counts[kind] += value is not None
                # the force on the one atom of a crystal's cell is 0
                zero = value is not None and not np.asarray(value).any()
                self.zeros[kind] += zero and (atoms > 1 or kind != "forces")
        if atoms > 1 and labels.forces is None:
            self.columns = self.columns or columns
        for kind, name in labels.names.items():
            before = self.names.setdefault(kind, name)
            if name != before:
                raise ValueError(
                    f"{where}: expected one name of {kind} in all frames of a file, "
                    f"found {name}, and {before} in {self.origins[kind]}; choose one "
                    f"with {kind}_key (--{kind}-key) or split the file"
                )
            self.origins.setdefault(kind, where)
        for name in labels.weight_names:
            self.weights.setdefault(name, []).extend(labels.weights)
        if labels.free_energy_excess is not None:
            self.free_energies += 1
            self.excess = max(self.excess, abs(labels.free_energy_excess) / atoms)
        elif labels.energy is not None:
            self.energies += 1
        self.lost += labels.virial_without_volume

    def check_energies(self) -> None:
        """Refuse a file of which some energies are free energies.

        Raises
        ------
        ValueError
        """
        if self.free_energies and self.energies and self.excess > _EXCESS:
            raise ValueError(
                f"{self.where}: expected a free energy (free_energy) in all frames or "
                f"in none, found one in {self.free_energies} of "
                f"{self.free_energies + self.energies}, which differs from the energy "
                f"by up to {1000 * self.excess:.3g} meV/atom; energy_key = 'energy' "
                "(--energy-key) takes the energies of all frames"
            )

    def check_forces(self) -> None:
        """Refuse a file without forces whose name the user gave.

        Raises
        ------
        ValueError
        """
        key = self.settings.forces_key
        if key and self._without_forces:
            raise ValueError(
                f"{self.where}: expected forces (a `{key}` column in extxyz) because "
                f"forces_key = {key!r}, found none in {counted(self.frames, 'frame')}; "
                f"columns are {self.columns}"
            )

    @property
    def _without_forces(self) -> bool:
        return self.frames > 0 and not self.counts["forces"]

    @property
    def numbers(self) -> str:
        """How many frames have what."""
        energies, forces, stresses = (self.counts[kind] for kind in _PLAIN)
        return (
            f"of {counted(self.frames, 'frame')} {energies} have an energy, {forces} "
            f"forces and {stresses} a stress"
        )

    @property
    def is_partial(self) -> bool:
        """True if a label is there in some frames only."""
        return any(0 < self.counts[kind] < self.frames for kind in _PLAIN)

    def remarks(self) -> list[str]:
        """Sentences without a full stop, for a user who does not expect it."""
        lines = []
        guessed = {
            kind: name
            for kind, name in self.names.items()
            if name not in _PLAIN and getattr(self.settings, f"{kind}_key") is None
        }
        if self.free_energies and self.excess > _EXCESS:
            lines.append(
                "energies are the free energies (free_energy), whose derivatives the "
                f"forces are; they differ from energy by up to {1000 * self.excess:.3g}"
                " meV/atom (energy_key = 'energy' takes that)"
            )
        if guessed:
            words = [f"{k} from {guessed[k]}" for k in KINDS if k in guessed]
            sign = " (stress = −virial / volume)" if "virial" in guessed else ""
            lines.append(f"labels are read under these names: {', '.join(words)}{sign}")
        if self.lost:
            lines.append(
                f"virials of {counted(self.lost, 'frame')} are left out, because "
                "without a volume they give no stress"
            )
        if self.weights:
            values = [value for weights in self.weights.values() for value in weights]
            lines.append(
                f"the loss weights frames by {', '.join(self.weights)}, from "
                f"{min(values):g} to {max(values):g} (use_weights = false turns this "
                "off)"
            )
        zeros = self._zeros()
        if zeros:
            lines.append(
                f"of {counted(self.frames, 'frame')} {zeros} of exactly 0, as where a "
                "code has computed none"
            )
        if self._without_forces:
            lines.append(
                "no frame has forces (a `forces` column in extxyz, or forces_key); "
                f"columns are {self.columns}"
            )
        if self.is_partial:
            lines.append(self.numbers)
        return lines

    def _zeros(self) -> str:
        """Numbers of labels that are exactly 0, of kinds that hardly can be."""
        counts = {kind: self.zeros[kind] for kind in ("energy", "stress")}
        # forces of a perfect crystal are 0, but not those of a whole set with motion
        if self.zeros["forces"] == self.frames > 1:
            counts["forces"] = self.frames
        words = {"energy": "an energy", "stress": "a stress", "forces": "forces"}
        parts = [
            f"{counts[kind]} have {words[kind]}" for kind in counts if counts[kind]
        ]
        return " and ".join(parts)
