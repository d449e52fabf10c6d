# SPDX-License-Identifier: MIT
"""Measure what a model misses in polarised cells, and draw it: docs/long-range.png.

    python benchmarks/accuracy/polarised_frame.py …/train.extxyz --frames 698 704 --draw
    python benchmarks/accuracy/polarised_frame.py …/train.extxyz --model FILE

The rows have λ, the factor with which the longest wave of the electric field of SPC/E's
charges fits the errors of the forces. Atoms with errors above 0.8 eV/Å are left out of
it, since they have other reasons. The figure has the errors on each atom of the first
two frames over its place along the cell, and the wave times the first frame's λ.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from openmm_allegro import load_model, read_structures
from openmm_allegro.analysis.figures.figure import COLORS, new_figure
from openmm_allegro.model.ewald import half_waves
from openmm_allegro.model.model import Model
from openmm_allegro.structure import Structure
from openmm_allegro.training.evaluate import evaluate

ROOT = Path(__file__).parents[2]
# H. J. C. Berendsen et al., doi:10.1021/j100308a038, with whole charges of ions.
SPCE = {"H": 0.4238, "O": -0.8476, "Na": 1.0, "Cl": -1.0}  # e
NAMES = {"H": "H", "O": "O", "Na": "Na⁺", "Cl": "Cl⁻"}
LARGE = 0.8  # eV/Å


class Wave(NamedTuple):
    """What a model leaves of the longest wave of a frame with N atoms."""

    vector: np.ndarray  # [3] 1/Å
    forces: np.ndarray  # [N, 3] those of the wave, eV/Å
    errors: np.ndarray  # [N, 3] reference less prediction, eV/Å
    factor: float  # λ
    energy: float  # error of the energy, meV/atom

    def rmse(self) -> float:
        """Root mean square error of the components, meV/Å."""
        return _rms(self.errors)

    def rmse_without(self) -> float:
        """The same of what the wave leaves."""
        return _rms(self.errors - self.factor * self.forces)


def wave_left(model: Model, structure: Structure) -> Wave:
    """Evaluate a model on a frame of a cell with one longest vector."""
    arrays = evaluate(model, [structure])["arrays"]
    errors = arrays["forces_reference"] - arrays["forces_prediction"]
    vector, forces = longest_wave(structure, 2.0 / model.config.cutoff)
    small = np.linalg.norm(errors, axis=1) < LARGE
    factor = (forces * errors)[small].sum() / (forces**2)[small].sum()
    energy = (arrays["energy_prediction"] - arrays["energy_reference"])[0]
    return Wave(vector, forces, errors, float(factor), float(1e3 * energy))


def longest_wave(structure: Structure, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Wave vector [3] (1/Å) of the longest wave of a cell, and the forces [N, 3] of it.

    Parameters
    ----------
    structure : Structure
        Of a cell with one longest vector.
    alpha : float
        Of the Gaussian charges, 1/Å.
    """
    waves, weights = (
        x.numpy() for x in half_waves(torch.tensor(structure.cell), alpha, 1e-8)
    )
    row = np.linalg.norm(waves, axis=1).argmin()
    k, weight = waves[row], weights[row]
    charges = np.array([SPCE[symbol] for symbol in structure.symbols])
    phases = structure.positions @ k
    real, imaginary = charges @ np.cos(phases), charges @ np.sin(phases)
    field = weight * (np.sin(phases) * real - np.cos(phases) * imaginary)  # V
    return k, (charges * field)[:, None] * k


def draw(path: Path, structures: Sequence[Structure], waves: Sequence[Wave]) -> None:
    """Draw errors over the place along the cell, and the first frame's wave."""
    with new_figure(path) as axes:
        figure = axes.figure
        figure.set_size_inches(6.4, 2.7)
        axes.remove()
        panels = figure.subplots(1, len(structures), sharey=True)
        for axes, structure, wave in zip(panels, structures, waves, strict=True):
            unit = wave.vector / np.linalg.norm(wave.vector)
            length = 2 * np.pi / np.linalg.norm(wave.vector)
            place = structure.positions @ unit % length
            order = np.argsort(place)
            charges = np.array([SPCE[s] for s in structure.symbols])
            field = waves[0].factor * wave.forces @ unit / charges
            for element, color in zip(SPCE, COLORS, strict=False):
                own = np.array([s == element for s in structure.symbols])
                ion = element in ("Na", "Cl")
                size = {"markersize": 5.0 if ion else 2.5, "zorder": 3 if ion else 2}
                style = {"color": color, "label": NAMES[element], **size}
                axes.plot(place[own], 1e3 * wave.errors[own] @ unit, "o", **style)
                # the same wave at all places, for a charge of this element
                curve = 1e3 * SPCE[element] * field[order]
                axes.plot(place[order], curve, color=color, linewidth=1.2)
            axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
            axes.set(xlabel="place along the cell (Å)", xlim=(0, length))
            axes.set_xticks(np.arange(0, length, 5.0))
            axes.set_title(f"force RMSE {wave.rmse():.0f} meV/Å")
        panels[0].set(ylabel="force that the model misses (meV/Å)")
        panels[0].legend(ncols=4, columnspacing=1.0, handletextpad=0.2)


def main() -> None:
    """Evaluate a model on frames, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="with the frames")
    parser.add_argument("--frames", type=int, nargs="+", help="counted from 0; all")
    local = ROOT / "systems" / "nacl_aq" / "nacl_aq.safetensors"
    parser.add_argument("--model", type=Path, default=local)
    parser.add_argument("--draw", action="store_true", help="docs/long-range.png")
    options = parser.parse_args()
    model = load_model(options.model)
    every = read_structures(options.file)
    numbers = options.frames or range(len(every))
    chosen = [every[number] for number in numbers]
    waves = [wave_left(model, structure) for structure in chosen]
    print(
        "| frame | wave, Å | λ | forces, meV/Å | without the wave | energy, meV/atom |"
    )
    print("|---|---|---|---|---|---|")
    for number, wave in zip(numbers, waves, strict=True):
        length = 2 * np.pi / np.linalg.norm(wave.vector)
        print(
            f"| {number} | {length:.1f} | {wave.factor:+.3f} | {wave.rmse():.1f} | "
            f"{wave.rmse_without():.1f} | {wave.energy:+.2f} |"
        )
    if options.draw:
        draw(ROOT / "docs" / "long-range.png", chosen[:2], waves[:2])


def _rms(errors: np.ndarray) -> float:
    return float(1e3 * np.sqrt((errors**2).mean()))


if __name__ == "__main__":
    main()
