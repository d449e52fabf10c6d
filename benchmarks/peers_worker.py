# SPDX-License-Identifier: MIT
"""Run one variant of peers.py: read "step" or "end" from the input, answer in JSON."""

import json
import resource
import sys
import time
import warnings

import numpy as np
from worker import answer, memory_mb

warnings.simplefilter("ignore")
# Options of our force. A native one must load no torch, whose memory would be counted.
OURS = {
    "ours, plain": {"backend": "torchforce", "kernel": "plain"},
    "ours, fused": {"backend": "torchforce", "kernel": "fused"},
    "ours, table": {"backend": "torchforce", "kernel": "fused", "two_body": "table"},
    "ours, native": {"backend": "native"},
    "ours, native table": {"backend": "native", "two_body": "table"},
    "ours, PythonForce": {"backend": "pythonforce"},
}


def main() -> None:
    variant, files, threads = sys.argv[1:]
    files = json.loads(files)
    # A failed allocation is better than a machine that runs out of memory.
    resource.setrlimit(resource.RLIMIT_DATA, (21 << 30, 21 << 30))
    try:
        step = _prepare(variant, np.load(files["atoms"]), files, threads)
        step(2)  # compilation and first allocations
        start = time.perf_counter()
        step(1)
        one = time.perf_counter() - start
        most = 100 if files["device"] == "cpu" else 1000
        count = max(1, min(most, int(1.0 / one)))
        answer({"ready": True})
        for line in sys.stdin:
            if line.strip() == "end":
                answer({"peak_gb": memory_mb()["largest_resident"] / 1000})
                return
            start = time.perf_counter()
            step(count)
            answer({"ms": 1000 * (time.perf_counter() - start) / count})
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error) else "no reason given"
        if "alloc" in reason.lower() or isinstance(error, MemoryError):
            reason = "out of memory"
        answer({"failed": f"{type(error).__name__}: {reason}"[:200]})


def _prepare(variant, atoms, files, threads):
    if OURS.get(variant, {}).get("backend") != "native":
        import torch

        torch.set_num_threads(int(threads))
    device = files["device"]
    if variant == "nequip eager":
        return _nequip(atoms, files["eager"], device, is_compiled=False)
    if variant.startswith("nequip"):
        return _nequip(atoms, files[variant], device, is_compiled=True)
    if variant == "OpenMM-ML nequip":
        return _openmm(_peer_system(atoms, files["eager"]), atoms, threads, device)
    from openmm_allegro import AllegroPotential

    potential = AllegroPotential(files["ours"])
    system = potential.create_system(_topology(atoms), **OURS[variant])
    return _openmm(system, atoms, threads, device)


def _nequip(atoms, file, device, *, is_compiled):
    """Make a step of nequip's own model: energy and forces, with a ready pair list."""
    import ase
    import torch
    from nequip.data import compute_neighborlist_
    from nequip.data.ase import from_ase
    from nequip.utils.global_state import set_global_state

    set_global_state()
    if is_compiled:
        from nequip.model.inference_models import load_compiled_model

        model, metadata = load_compiled_model(file, device)
        names = metadata["type_names"]
    else:
        from nequip.model.saved_models.load_utils import load_saved_model

        model = load_saved_model(file).eval().to(device)
        names = model.type_names
    structure = ase.Atoms(
        atoms["symbols"], atoms["positions"], cell=atoms["cell"], pbc=True
    )
    data = compute_neighborlist_(from_ase(structure), r_max=5.0)
    data["atom_types"] = torch.tensor([names.index(s) for s in structure.symbols])
    data = {key: value.to(device) for key, value in data.items()}

    def step(count):
        for _ in range(count):
            model(dict(data))["forces"].sum().item()

    return step


def _topology(atoms):
    from openmm import app, unit

    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for symbol in atoms["symbols"].tolist():
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    topology.setPeriodicBoxVectors(atoms["cell"] / 10 * unit.nanometer)
    return topology


def _peer_system(atoms, file):
    from openmmml import MLPotential

    from openmm_allegro.units import EV_TO_KJ_PER_MOL

    scales = dict(lengthScale=0.1, energyScale=EV_TO_KJ_PER_MOL)
    potential = MLPotential("nequip", modelPath=file, **scales)
    return potential.createSystem(_topology(atoms))


def _openmm(system, atoms, threads, device):
    import openmm
    from openmm import unit

    integrator = openmm.LangevinMiddleIntegrator(
        300 * unit.kelvin, 1 / unit.picosecond, 0.5 * unit.femtosecond
    )
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName(device.upper())
    on_card = {"Precision": "mixed"}
    properties = {"Threads": threads} if device == "cpu" else on_card
    context = openmm.Context(system, integrator, platform, properties)
    context.setPositions(atoms["positions"] / 10)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 1)

    def step(count):
        context.getIntegrator().step(count)  # the closure keeps the context alive
        if device != "cpu":
            context.getState(positions=True)  # waits for the card

    return step


if __name__ == "__main__":
    main()
