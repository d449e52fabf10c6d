# SPDX-License-Identifier: MIT
"""Run one variant of peers.py: read "step" or "end" from the input, answer in JSON."""

import json
import resource
import sys
import time
import warnings

import torch
from workloads import structure

warnings.simplefilter("ignore")


def main() -> None:
    variant, system, size, files, threads = sys.argv[1:]
    files = json.loads(files)
    torch.set_num_threads(int(threads))
    # A failed allocation is better than a machine that runs out of memory.
    resource.setrlimit(resource.RLIMIT_DATA, (21 << 30, 21 << 30))
    try:
        step, extra = _prepare(variant, structure(system, int(size)), files, threads)
        step(2)  # compilation and first allocations
        start = time.perf_counter()
        step(1)
        one = time.perf_counter() - start
        count = max(1, min(100, int(2.0 / one)))
        _answer({"ready": True})
        for line in sys.stdin:
            if line.strip() == "end":
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
                _answer({"peak_gb": peak} | extra)
                return
            start = time.perf_counter()
            step(count)
            _answer({"ms": 1000 * (time.perf_counter() - start) / count})
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error) else "no reason given"
        if "alloc" in reason.lower() or isinstance(error, MemoryError):
            reason = "out of memory"
        _answer({"failed": f"{type(error).__name__}: {reason}"[:200]})


def _answer(content: dict) -> None:
    print(json.dumps(content), flush=True)


def _prepare(variant, atoms, files, threads):
    if variant.startswith("nequip"):
        mode = variant.split()[1].lower()
        return _nequip(mode, atoms, files[mode]), {}
    if variant == "OpenMM-ML nequip":
        return _openmm(_peer_system(atoms, files["eager"]), atoms, threads), {}
    system, extra = _our_system(atoms, files["ours"], variant)
    return _openmm(system, atoms, threads), extra


def _nequip(mode, atoms, file):
    """Make a step of nequip's own model: energy and forces, with a ready pair list."""
    from nequip.data import compute_neighborlist_
    from nequip.data.ase import from_ase
    from nequip.utils.global_state import set_global_state

    set_global_state()
    if mode == "eager":
        from nequip.model.saved_models.load_utils import load_saved_model

        model = load_saved_model(file).eval()
        names = model.type_names
    else:
        from nequip.model.inference_models import load_compiled_model

        model, metadata = load_compiled_model(file, "cpu")
        names = metadata["type_names"]
    data = compute_neighborlist_(from_ase(atoms), r_max=5.0)
    data["atom_types"] = torch.tensor([names.index(s) for s in atoms.symbols])

    def step(count):
        for _ in range(count):
            model(dict(data))["forces"].sum().item()

    return step


def _topology(atoms):
    from openmm import app, unit

    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for symbol in atoms.symbols:
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    topology.setPeriodicBoxVectors(atoms.cell.array / 10 * unit.nanometer)
    return topology


def _peer_system(atoms, file):
    from openmmml import MLPotential

    from openmm_allegro.units import EV_TO_KJ_PER_MOL

    scales = dict(lengthScale=0.1, energyScale=EV_TO_KJ_PER_MOL)
    potential = MLPotential("nequip", modelPath=file, **scales)
    return potential.createSystem(_topology(atoms))


def _our_system(atoms, file, variant):
    from openmm_allegro import AllegroPotential
    from openmm_allegro.kernels.inference.fold import fold
    from openmm_allegro.kernels.inference.program import Code, unpack
    from openmm_allegro.neighbors import VerletList

    potential = AllegroPotential(file)
    options = {
        "ours, plain": {"kernel": "plain"},
        "ours, fused": {"kernel": "fused"},
        "ours, table": {"kernel": "fused", "two_body": "table"},
    }
    system = potential.create_system(_topology(atoms), **options[variant])
    # multiply-adds of the dense layers, forward and backward, for the matrix rate
    program = fold(potential.model.energy, torch.float32)
    linear = [op for op in unpack(program).operations() if op.code == Code.LINEAR]
    dense = sum(2 * op.depth * op.width for op in linear)
    pairs = VerletList(potential.model.config.cutoff, 0.0)
    box = torch.tensor(atoms.cell.array), torch.ones(3, dtype=torch.bool)
    pairs(torch.tensor(atoms.positions), *box)
    pairs = len(pairs.neighbors)
    return system, {"pairs": pairs, "dense_flops_per_step": 2 * dense * pairs}


def _openmm(system, atoms, threads):
    import openmm
    from openmm import unit

    integrator = openmm.LangevinMiddleIntegrator(
        300 * unit.kelvin, 1 / unit.picosecond, 0.5 * unit.femtosecond
    )
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": threads})
    context.setPositions(atoms.positions / 10)
    context.setVelocitiesToTemperature(300 * unit.kelvin, 1)

    def step(count):
        context.getIntegrator().step(count)  # the closure keeps the context alive

    return step


if __name__ == "__main__":
    main()
