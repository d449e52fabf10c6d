# SPDX-License-Identifier: MIT
"""Models of nequip-allegro, written as nequip writes them, and nequip's results."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import ase
import lightning
import numpy as np
import torch
from lightning.pytorch.utilities import model_helpers

from openmm_allegro.interop.nequip.load import load, nequip_state
from openmm_allegro.structure import Structure
from openmm_allegro.training.predict import predict
from openmm_allegro.training.samples import collate, make_samples


def files_of_stack() -> Iterator[SimpleNamespace]:
    """Yield the file of each frame, as ``inspect.stack`` has it."""
    frame = sys._getframe(1)
    while frame is not None:
        yield SimpleNamespace(filename=frame.f_code.co_filename)
        frame = frame.f_back


# To load a checkpoint, Lightning asks for the files of the stack, and with them the
# text of each line is looked for, which takes half of the time of a test.
model_helpers.inspect = SimpleNamespace(stack=files_of_stack)

ELEMENTS = ("H", "O", "Na")
CELL = np.array([[5.0, 0, 0], [1.1, 4.9, 0], [-0.7, 0.8, 5.1]])
BESSEL = {
    "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
    "num_bessels": 6,
    "polynomial_cutoff_p": 5,
}
SPLINE = {
    "_target_": "allegro.nn.TwoBodySplineScalarEmbed",
    "num_splines": 10,
    "spline_span": 6,
}
ZBL = {
    "_target_": "nequip.nn.pair_potential.ZBL",
    "chemical_species": list(ELEMENTS),
    "units": "metal",
}
CUTOFFS = {"H": 2.2, "O": {"H": 3.0, "O": 3.3}}
SMALL = {
    "_target_": "allegro.model.allegro_models.AllegroModel",
    "seed": 1,
    "model_dtype": "float64",
    "r_max": 3.5,
    "type_names": list(ELEMENTS),
    "l_max": 2,
    "parity": True,
    "radial_chemical_embed": BESSEL,
    "scalar_embed_mlp_hidden_layers_width": 6,
    "num_layers": 2,
    "num_scalar_features": 8,
    "num_tensor_features": 3,
    "allegro_mlp_hidden_layers_width": 7,
    "readout_mlp_hidden_layers_width": 5,
    "avg_num_neighbors": 9.0,
    "per_type_energy_scales": 3.0,
    "per_type_energy_shifts": {"H": -13.0, "O": -400.0, "Na": -1300.0},
}


def write_checkpoint(path, **changes):
    """A checkpoint of an untrained model; None removes an argument of ``SMALL``."""
    from nequip.train import NequIPLightningModule
    from nequip.utils import get_current_code_versions

    arguments = {k: v for k, v in (SMALL | changes).items() if v is not None}
    with nequip_state():
        info = {
            "versions": get_current_code_versions(verbose=False),
            "training_module": {"_target_": "nequip.train.NequIPLightningModule"},
        }
        module = NequIPLightningModule(
            model=arguments,
            num_datasets={"train": 1, "val": 0, "test": 0, "predict": 0},
            info_dict=info,
            # versions before 0.15 cannot be without
            loss={"_target_": "nequip.train.EnergyForceLoss"},
            val_metrics={"_target_": "nequip.train.EnergyForceMetrics"},
        )
        content = {
            "state_dict": module.state_dict(),
            "hyper_parameters": dict(module.hparams),
            "pytorch-lightning_version": lightning.__version__,
        }
        torch.save(content, path)
    return path


def full(environment, allowed):
    """Changes that make it a ``FullAllegroModel`` of given irreps."""
    return {
        "_target_": "allegro.model.allegro_models.FullAllegroModel",
        "irreps_edge_sh": environment,
        "tensor_track_allowed_irreps": allowed,
        "l_max": None,
        "parity": None,
    }


def crystal(periodic, seed=0):
    """Twenty disordered atoms of all elements, 1.2 Å or more apart."""
    random = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[:20] * 1.6
    positions = sites + random.uniform(-0.2, 0.2, sites.shape)
    symbols = random.choice(ELEMENTS, len(sites), p=(0.5, 0.3, 0.2)).tolist()
    return ase.Atoms(symbols, positions, cell=CELL if periodic else None, pbc=periodic)


def nequip_result(model, atoms):
    """Energy (eV), forces (eV/Å) and stress (eV/Å³) as nequip has them.

    ``model`` is a file, or what ``load`` made of one.
    """
    from nequip.data import compute_neighborlist_
    from nequip.data.ase import from_ase

    theirs = model if isinstance(model, torch.nn.Module) else load(model, None)
    with nequip_state():
        cutoff = float(theirs.metadata["r_max"])
        data = compute_neighborlist_(from_ase(atoms), r_max=cutoff)
        types = [theirs.type_names.index(s) for s in atoms.symbols]
        data["atom_types"] = torch.tensor(types)
        result = theirs(dict(data))
    stress = result["stress"][0].detach().numpy() if atoms.pbc.all() else None
    forces = result["forces"].detach().double().numpy()
    return result["total_energy"].item(), forces, stress


def our_result(model, atoms):
    """The same of one of our models, in precision "mixed" or "double"."""
    structure = Structure(
        tuple(atoms.symbols), atoms.positions, atoms.cell.array, atoms.pbc
    )
    samples = make_samples([structure], model.config, torch.float64)
    batch = collate(samples, model.config)
    result = predict(model.energy, batch)
    return result.energies.item(), result.forces.numpy(), result.stresses[0].numpy()
