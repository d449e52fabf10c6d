# SPDX-License-Identifier: MIT
"""Measure what charges cost, on one thread of the processor.

The model of systems/nacl_aq stands beside models of its network with charges; further
weights are random, as cost does not depend on them. Parts:

passes  a forward pass for charges, a seeded pass for forces and a sum on the mesh, each
        over one pass of the local model: functions of the compiled kernels
steps   steps of the native force with learned and with constant charges, over steps
        without charges
memory  growth with the atoms of the most memory of a process that takes steps

python benchmarks/long_range.py [--parts passes ...] [--structure frame.extxyz]
    [--repeat 2] [--rounds 15]

Without a structure the box of systems/nacl_aq is taken, 184 atoms; it is repeated along
each vector. What is compared takes turns. Writes results/long_range.json beside this
file, where parts that are not measured again stay.
"""

import argparse
import contextlib
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
from hardware import measure_parts
from turns import in_turn
from worker import answer, answer_of, memory_mb

ROOT = Path(__file__).parents[1]
SYSTEM = ROOT / "systems" / "nacl_aq"
FILE = Path(__file__).parent / "results" / "long_range.json"
CHARGES = {"H": 0.28, "O": -0.56, "Na": 0.65, "Cl": -0.65}
KINDS = ("none", "constant", "learned")
TWO_BODY = ("exact", "table")
REPEATS_FOR_MEMORY = 2, 4


def main() -> None:
    options = _options()
    if options.memory:
        return answer(_memory_of(options.memory, options))
    measure_parts(FILE, PARTS, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--structure", type=Path)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", metavar="MODEL", help=argparse.SUPPRESS)
    return parser.parse_args()


def _structure(options: argparse.Namespace, repeat: int):
    """The atoms as ase has them."""
    import ase.io

    return ase.io.read(options.structure or SYSTEM / "nacl_aq.pdb").repeat(repeat)


def model_of(kind: str):
    """The model of systems/nacl_aq, with charges of a kind."""
    import torch

    from openmm_allegro import Model, load_model
    from openmm_allegro.model import AllegroEnergy

    local = load_model(SYSTEM / "nacl_aq.safetensors")
    if kind == "none":
        return local
    config = dataclasses.replace(local.config, charges=kind, charge_start=CHARGES)
    energy = AllegroEnergy(config, local.statistics, seed=1)
    state = dict(local.energy.network.state_dict())
    last, own = "readout.layers.1.weight", energy.network.state_dict()
    further = own[last][:, state[last].shape[1] :].to(state[last])
    state[last] = torch.cat((state[last], further), 1)
    energy.network.load_state_dict(state)
    return Model(config, local.statistics, energy, local.kind, local.dtype)


def _passes(options: argparse.Namespace) -> dict:
    atoms = _structure(options, options.repeat)
    return {
        "atoms": len(atoms),
        **{two_body: _passes_of(atoms, two_body, options) for two_body in TWO_BODY},
    }


def _passes_of(atoms, two_body: str, options: argparse.Namespace) -> dict:
    """Seconds of processor of calls of the kernels, and what they are of a step."""
    import torch

    from openmm_allegro.kernels.header import filled, record
    from openmm_allegro.kernels.inference.compiled import opened
    from openmm_allegro.kernels.inference.folded import fold_arrays
    from openmm_allegro.kernels.inference.operator import register
    from openmm_allegro.kernels.inference.table import with_table
    from openmm_allegro.kernels.library import library
    from openmm_allegro.neighbors import VerletList

    models = {kind: model_of(kind) for kind in ("none", "learned")}
    programs = {kind: fold_arrays(model, "single") for kind, model in models.items()}
    if two_body == "table":
        programs = {kind: with_table(one, 1024) for kind, one in programs.items()}
    config, count, kernels = models["learned"].config, len(atoms), library()
    positions, cell = torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    pairs = VerletList(config.cutoff, 0.5)
    pairs(positions, cell, torch.ones(3, dtype=torch.bool))
    elements = [config.elements.index(symbol) for symbol in atoms.symbols]
    given = {
        "positions": positions,
        "cell": cell,
        "types": torch.tensor(elements),
        "offsets": pairs.offsets,
        "neighbors": pairs.neighbors,
        "shifts": pairs.shifts,
    }
    seeds, charges = np.zeros(count), np.array([CHARGES[s] for s in atoms.symbols])
    arrays = {
        "energies": np.zeros(count),
        "forces": np.zeros((count, 3)),
        "strain": np.zeros((3, 3)),
        "charges": np.zeros(count),
    }
    plain = filled("allegro_atoms", count=count, seeds=None, **given)
    seeded = filled("allegro_atoms", count=count, seeds=seeds, **given)
    none = dict.fromkeys(record("allegro_results")._fields)
    wanted = {name: arrays[name] for name in ("energies", "forces", "strain")}
    all_of_a_step = filled("allegro_results", **none | wanted)
    charges_alone = filled("allegro_results", **none | {"charges": arrays["charges"]})
    register()
    long_range = torch.ops.openmm_allegro.long_range
    with contextlib.ExitStack() as stack:
        of = {k: stack.enter_context(opened(kernels, p)) for k, p in programs.items()}

        def run(kind, given, results):
            return lambda: kernels.allegro_run(of[kind], given, 0, count, results)

        times = in_turn(
            {
                "local": run("none", plain, all_of_a_step),
                "forward": run("learned", plain, charges_alone),
                "seeded": run("learned", seeded, all_of_a_step),
                "mesh": lambda: long_range(
                    positions, cell, torch.from_numpy(charges), config.alpha
                ),
            },
            options.rounds,
        )
    two = times["forward"] + times["seeded"]
    sums = {"two passes": two, "learned": two + times["mesh"]}
    sums["constant"] = times["local"] + times["mesh"]
    return _summary(times, sums)


def _summary(times: dict[str, np.ndarray], sums: dict[str, np.ndarray]) -> dict:
    """Medians in ms; medians and quartiles over the local model's of the same round."""
    ratios = {name: t / times["local"] for name, t in (times | sums).items()}
    del ratios["local"]
    return {
        "ms": {name: 1e3 * float(np.median(t)) for name, t in times.items()},
        "over_local": {name: float(np.median(r)) for name, r in ratios.items()},
        "quartiles": {
            name: np.quantile(r, (0.25, 0.75)).tolist() for name, r in ratios.items()
        },
    }


def _context(model, atoms, two_body: str = "exact"):
    """A Context of the native force, which has taken its first steps."""
    import openmm

    sys.path.insert(0, str(ROOT / "tests"))
    from openmm_helpers import make_topology

    from openmm_allegro import AllegroPotential

    topology = make_topology(list(atoms.symbols), 0.1 * atoms.cell.array)
    options = {"backend": "native", "two_body": two_body}
    system = AllegroPotential(model).create_system(topology, **options)
    platform = openmm.Platform.getPlatformByName("CPU")
    # Steps so short that random weights cannot make the atoms leave their places.
    integrator = openmm.VerletIntegrator(1e-6)
    context = openmm.Context(system, integrator, platform, {"Threads": "1"})
    context.setPositions(0.1 * atoms.positions)
    integrator.step(2)
    return context


def _steps(options: argparse.Namespace) -> dict:
    atoms = _structure(options, options.repeat)
    found: dict = {"atoms": len(atoms)}
    for two_body in TWO_BODY:
        contexts = {kind: _context(model_of(kind), atoms, two_body) for kind in KINDS}
        jobs = {
            "local" if kind == "none" else kind: (
                lambda context=context: context.getIntegrator().step(2)
            )
            for kind, context in contexts.items()
        }
        times = in_turn(jobs, options.rounds)
        found[two_body] = _summary({k: t / 2 for k, t in times.items()}, {})
    return found


def _memory(options: argparse.Namespace) -> dict:
    """Growth of the most memory with the atoms, from a small box to a large one.

    Models come from files, as folding takes memory of its own.
    """
    from openmm_allegro import save_model

    structure = ["--structure", str(options.structure)] if options.structure else []
    counts, memory = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = save_model(model_of(kind), Path(folder) / f"{kind}.safetensors")
            command = [sys.executable, __file__, "--memory", str(path), *structure]
            found = [
                answer_of([*command, "--repeat", str(n)], {"OMP_NUM_THREADS": "1"})
                for n in REPEATS_FOR_MEMORY
            ]
            counts = [one["atoms"] for one in found]
            memory[kind] = [one["largest_resident"] for one in found]
    growth = {
        k: 1e3 * (b - a) / (counts[1] - counts[0]) for k, (a, b) in memory.items()
    }
    more = {kind: growth[kind] - growth["none"] for kind in KINDS[1:]}
    return {"atoms": counts, "mb": memory, "kb_an_atom": growth, "more": more}


def _memory_of(path: str, options: argparse.Namespace) -> dict:
    from openmm_allegro import load_model

    atoms = _structure(options, options.repeat)
    context = _context(load_model(path), atoms)
    context.getIntegrator().step(1)
    return {"atoms": len(atoms)} | memory_mb()


PARTS = {"passes": _passes, "steps": _steps, "memory": _memory}

if __name__ == "__main__":
    main()
