# SPDX-License-Identifier: MIT
"""Make the models and reference numbers beside this file with nequip-allegro itself.

Each model gets random weights there, is imported, and nequip's own energy, forces and
stress of two structures are written to reference.json. The cases named "old" were made
with nequip 0.13.0 and nequip-allegro 0.7.1, which normalise with a scatter factor and
give the ZBL core the envelope of the embedding; the others with 0.19.1 and 0.8.3.

PYTHONPATH=tests python tests/data/nequip_allegro/make.py [CASE ...]
"""

import json
import sys
import tempfile
from pathlib import Path

from nequip_helpers import (
    BESSEL,
    CUTOFFS,
    SPLINE,
    ZBL,
    crystal,
    full,
    nequip_result,
    write_checkpoint,
)

from openmm_allegro import save_model
from openmm_allegro.interop.nequip import import_model

FOLDER = Path(__file__).parent
CASES = {
    "l2": {},
    "l3_parity": {"l_max": 3, "num_layers": 3},
    "l2_no_parity": {"num_layers": 3, "parity": False},
    "l1_uncoupled": {"l_max": 1, "num_layers": 4, "tp_path_channel_coupling": False},
    "l0": {"l_max": 0, "num_layers": 1, "readout_mlp_hidden_layers_depth": 0},
    "l4_mish": {
        "l_max": 4,
        "allegro_mlp_hidden_layers_depth": 2,
        "allegro_mlp_nonlinearity": "mish",
    },
    "zbl_cutoffs": {
        "pair_potential": ZBL,
        "scalar_embed_mlp_nonlinearity": "gelu",
        "per_edge_type_cutoff": CUTOFFS,
    },
    "spline": {"radial_chemical_embed": SPLINE, "num_layers": 3},
    "types": {
        "avg_num_neighbors": {"H": 3.3, "O": 7.7, "Na": 12.0},
        "per_type_energy_scales": {"H": 3.0, "O": 2.0, "Na": 1.3},
        "radial_chemical_embed": {**BESSEL, "bessel_trainable": True},
        "radial_chemical_embed_dim": 10,
    },
    "irreps": {**full("0e+1o+2e", "0e+1o+1e+2e"), "num_layers": 3},
    "old_scatter_factor": {"pair_potential": ZBL, "forward_normalize": False},
}


def main(names: list[str]) -> None:
    file = FOLDER / "reference.json"
    reference = json.loads(file.read_text()) if file.exists() else {}
    chosen = names or [name for name in CASES if not name.startswith("old")]
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            path = write_checkpoint(Path(folder) / "model.ckpt", **CASES[name])
            model = import_model(path)
            del model.provenance[
                "difference_from_nequip"
            ]  # rounding, not the same twice
            save_model(model, FOLDER / f"{name}.safetensors")
            reference[name] = {}
            for kind in ("isolated", "triclinic"):
                atoms = crystal(kind == "triclinic")
                energy, forces, stress = nequip_result(path, atoms)
                reference[name][kind] = {
                    "symbols": list(atoms.symbols),
                    "positions": atoms.positions.tolist(),
                    "cell": atoms.cell.array.tolist(),
                    "periodic": atoms.pbc.tolist(),
                    "energy": energy,
                    "forces": forces.tolist(),
                }
                if stress is not None:
                    reference[name][kind]["stress"] = stress.tolist()
    reference = {name: reference[name] for name in CASES if name in reference}
    file.write_text(json.dumps(reference) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
