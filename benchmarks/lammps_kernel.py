# SPDX-License-Identifier: MIT
"""Run the compiled kernel on the atoms of lammps.py, in a process of its own.

python lammps_kernel.py MODEL.allegro DUMP SKIN

Answers each number with the processor seconds that one run takes, the mean of so many
runs. The program is that of the file, the atoms are those of a dump of LAMMPS. The
pairs are those within the skin beyond the larger cutoff of their two elements, either
of them as centre, as LAMMPS finds them.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from worker import answer


def main() -> None:
    from openmm_allegro.kernels.header import filled
    from openmm_allegro.kernels.inference.compiled import opened
    from openmm_allegro.kernels.inference.program import unpack
    from openmm_allegro.kernels.library import check_outcome, library

    model, dump, skin = sys.argv[1:]
    header, program = read(Path(model))
    kinds = len(header["elements"])
    cutoffs = unpack(program).arrays["cutoffs"].reshape(kinds, kinds)
    reach = np.maximum(cutoffs, cutoffs.T) + float(skin)
    arrays = atoms_and_pairs(Path(dump), reach)
    count = len(arrays["positions"])
    atoms = filled("allegro_atoms", count=count, seeds=None, **arrays)
    energies, forces, strain = np.zeros(count), np.zeros((count, 3)), np.zeros(9)
    results = filled(
        "allegro_results",
        energies=energies,
        forces=forces,
        strain=strain,
        virials=None,
        charges=None,
    )
    kernels = library()
    with opened(kernels, program) as opened_model:
        kernels.allegro_run(opened_model, atoms, 0, count, results)
        answer({"atoms": count, "pairs": len(arrays["neighbors"])})
        for line in sys.stdin:
            if line.strip() == "end":
                break
            number = int(line)
            start = time.process_time()
            for _ in range(number):
                outcome = kernels.allegro_run(opened_model, atoms, 0, count, results)
                check_outcome("allegro_run", outcome)
            seconds = (time.process_time() - start) / number
            answer({"seconds": seconds, "energy": float(energies.sum())})
    answer({})


def read(path: Path):
    """Header and program of a file of the pair style."""
    from openmm_allegro.kernels.inference.program import Program

    content = path.read_bytes()
    size = int.from_bytes(content[8:16], "little")
    header = json.loads(content[16 : 16 + size])
    real = {"single": np.float32, "double": np.float64}[header["precision"]]
    kinds = {"integers": np.int64, "constants": np.float64, "weights": real}
    program = Program(
        **{
            name: np.frombuffer(content, kind, place["count"], place["offset"])
            for name, kind in kinds.items()
            for place in [header["arrays"][name]]
        }
    )
    return header, program


def atoms_and_pairs(dump: Path, reach: np.ndarray) -> dict[str, np.ndarray]:
    """Fields of ``allegro_atoms`` of a dump of LAMMPS, in its order of the atoms.

    ``reach`` [elements, elements] is how far neighbours of a centre are, Å.
    """
    import torch

    from openmm_allegro.neighbors import PairList

    ends = np.loadtxt(dump, skiprows=5, max_rows=3)
    rows = np.loadtxt(dump, skiprows=9)
    positions, cell = rows[:, 1:] - ends[:, 0], np.diag(ends[:, 1] - ends[:, 0])
    types = rows[:, 0].astype(np.int64) - 1
    centers, neighbors, vectors = (
        tensor.numpy()
        for tensor in PairList(reach.max())(
            torch.tensor(positions), torch.tensor(cell), torch.tensor([True] * 3)
        )
    )
    near = np.linalg.norm(vectors, axis=1) < reach[types[centers], types[neighbors]]
    centers, neighbors, vectors = centers[near], neighbors[near], vectors[near]
    images = vectors - positions[neighbors] + positions[centers]
    counts = np.bincount(centers, minlength=len(types))
    return {
        "positions": positions,
        "cell": cell,
        "types": types,
        "offsets": np.concatenate([[0], counts.cumsum()]),
        "neighbors": neighbors.astype(np.int32),
        "shifts": np.rint(images @ np.linalg.inv(cell)).astype(np.int8),
    }


if __name__ == "__main__":
    main()
