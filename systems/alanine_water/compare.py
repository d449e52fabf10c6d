# SPDX-License-Identifier: MIT
"""Compare forces on the solutes of the test clusters with the teacher's.

python systems/alanine_water/compare.py [--cluster-model runs/cluster/model.safetensors]
"""

import argparse
import json
from pathlib import Path

import ase
import ase.io
import numpy as np
from matplotlib.figure import Figure
from prepare import SKIP, components, find_bonds, solute_of

from openmm_allegro.interop.ase import AllegroCalculator
from openmm_allegro.units import EV_TO_KJ_PER_MOL

FOLDER = Path(__file__).parent
CLASSICAL, MIXED = "Amber14 and TIP3P-FB", "solute model, TIP3P-FB"


def solute_forces(frames, model, cluster_model=None):
    """Compute forces on the solutes of clusters by several methods.

    Returns
    -------
    forces : dict of str to ndarray [atoms, 3]
        The teacher's and those of each method, eV/Å.
    symbols, residues : ndarray of str [atoms]
    torques : dict of str to ndarray [solutes, 2]
        About the bonds of φ and ψ, kJ/mol/rad; none of proline.
    """
    calculator = AllegroCalculator(model)
    cluster_calculator = AllegroCalculator(cluster_model) if cluster_model else None
    parts, symbols, residues, torques, cache = {}, [], [], {}, {}
    for frame in frames:
        order, water, classical = solute_of(frame, cache)
        solute = ase.Atoms(frame[order].symbols, frame.positions[order])
        methods = {
            "teacher": frame.get_forces()[order],
            CLASSICAL: classical,
            MIXED: _forces(solute, calculator) + water,
        }
        if cluster_calculator:
            alone = _forces(solute, cluster_calculator)
            methods["cluster model of the solute alone, TIP3P-FB"] = alone + water
            whole = _forces(frame, cluster_calculator)[order]
            methods["cluster model of the cluster"] = whole
        turns = backbone_turns(solute)
        for method, forces in methods.items():
            parts.setdefault(method, []).append(forces)
            if turns:
                torques.setdefault(method, []).append(
                    [torque(solute.positions, forces, *turn) for turn in turns]
                )
        symbols += solute.get_chemical_symbols()
        residues += [frame.info["residue"]] * len(order)
    forces = {method: np.concatenate(values) for method, values in parts.items()}
    torques = {method: np.array(values) for method, values in torques.items()}
    return forces, np.array(symbols), np.array(residues), torques


def _forces(atoms, calculator):
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_forces()


def backbone_turns(solute):
    """Find the bonds (i, j) of φ and ψ, and the atoms on the side of j."""
    bonds, symbols = find_bonds(solute), solute.get_chemical_symbols()
    neighbors = [set() for _ in symbols]
    for i, j in bonds:
        neighbors[i].add(j)
        neighbors[j].add(i)
    residue = set(range(6, len(solute) - 6))  # ACE and NME have six atoms each
    ends = [
        next(j for i in cap for j in neighbors[i] & residue)
        for cap in (range(6), range(len(solute) - 6, len(solute)))
    ]
    nitrogen, carbon = ends
    (alpha,) = (i for i in neighbors[carbon] if symbols[i] == "C")
    turns = []
    for i, j in ((nitrogen, alpha), (alpha, carbon)):
        rest = [bond for bond in bonds if set(bond) != {i, j}]
        side = next(part for part in components(len(symbols), rest) if j in part)
        if i in side:  # in a ring: proline
            return []
        turns.append((i, j, side))
    return turns


def torque(positions, forces, i, j, side):
    """Compute the torque (kJ/mol/rad) of forces (eV/Å) on a side about i to j."""
    axis = positions[j] - positions[i]
    arms = positions[side] - positions[j]
    total = np.cross(arms, forces[side]).sum(0) @ axis / np.linalg.norm(axis)
    return total * EV_TO_KJ_PER_MOL


def errors(forces, reference):
    """Compute MAE and RMSE of the components, meV/Å."""
    difference = 1000 * (forces - reference)
    return {
        "forces_mae": float(np.abs(difference).mean()),
        "forces_rmse": float(np.sqrt((difference**2).mean())),
    }


def metrics(forces, symbols, residues, torques):
    """Summarise errors: mixed forces by element, and each method in all and in alanine.

    Forces in meV/Å, torques in kJ/mol/rad.
    """
    teacher = forces["teacher"]
    result = errors(forces[MIXED], teacher)
    for kind in ("forces_mae", "forces_rmse"):
        result[f"{kind}_by_element"] = {
            str(s): errors(forces[MIXED][symbols == s], teacher[symbols == s])[kind]
            for s in sorted(set(symbols))
        }
    alanine = residues == "ALA"
    result["ways"] = {
        method: {
            "all residues": errors(values, teacher),
            "alanine": errors(values[alanine], teacher[alanine]),
            "torque_rmse": dict(
                zip(
                    ("phi", "psi"),
                    _rms(torques[method] - torques["teacher"]),
                    strict=True,
                )
            ),
        }
        for method, values in forces.items()
        if method != "teacher"
    }
    result["teacher_torque_std"] = dict(
        zip(("phi", "psi"), torques["teacher"].std(0).tolist(), strict=True)
    )
    return result


def _rms(values):
    return np.sqrt((values**2).mean(0)).tolist()


def plot(forces, symbols, path):
    """Draw the force field's and the mixed components against the teacher's."""
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    limit = 1.05 * max(np.abs(forces[name]).max() for name in ("teacher", MIXED))
    for axes, method in zip(figure.subplots(1, 2), (CLASSICAL, MIXED), strict=True):
        axes.plot([-limit, limit], [-limit, limit], color="0.6", lw=0.8, zorder=0)
        for index, element in enumerate(("H", "C", "N", "O", "S")):
            chosen = symbols == element
            axes.scatter(
                forces["teacher"][chosen],
                forces[method][chosen],
                s=2,
                color=f"C{index}",
                linewidths=0,
                alpha=0.6,
                label=element,
                rasterized=True,
            )
        rmse = errors(forces[method], forces["teacher"])["forces_rmse"]
        axes.set_title(f"{method}: RMSE {rmse:.0f} meV/Å", fontsize=9)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), box_aspect=1)
        axes.set(xlabel="teacher's force (eV/Å)", ylabel="force (eV/Å)")
    axes.legend(fontsize=8, markerscale=4, loc="upper left")
    figure.savefig(path, dpi=200)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=FOLDER / "alanine.safetensors")
    parser.add_argument("--cluster-model", type=Path)
    parser.add_argument("--data", type=Path, default=FOLDER / "data" / "test.extxyz")
    parser.add_argument("--json", type=Path, help="write the errors there")
    parser.add_argument("--plot", type=Path, help="write an image there")
    options = parser.parse_args()

    frames = ase.io.read(options.data, ":")
    frames = [frame for frame in frames if frame.info["residue"] not in SKIP]
    forces, symbols, residues, torques = solute_forces(
        frames, options.model, options.cluster_model
    )
    result = metrics(forces, symbols, residues, torques)
    print(
        f"{'RMSE of forces (meV/Å), of torques (kJ/mol/rad)':47s}  all  ALA    φ    ψ"
    )
    for method, row in result["ways"].items():
        numbers = [row[r]["forces_rmse"] for r in ("all residues", "alanine")]
        numbers += row["torque_rmse"].values()
        print(f"{method:47s}", "".join(f"{number:5.0f}" for number in numbers))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.plot:
        plot(forces, symbols, options.plot)


if __name__ == "__main__":
    main()
