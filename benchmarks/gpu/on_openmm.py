# SPDX-License-Identifier: MIT
"""Parts that step in OpenMM, each variant in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from cases import Case, nacl, on_processor, water

if TYPE_CHECKING:
    from part import Rows, Settings

HERE = Path(__file__).parent
OURS = ["ours, native", "ours, PythonForce"]
COMPILED = ["nequip AOTInductor", "nequip AOTInductor, Triton"]
MEMBERS = 4


def right(settings: Settings) -> Rows:
    """Compare forces on OpenMM's platforms with float64, and two Contexts."""
    insist(settings)
    for case in (nacl(1), water(1, settings.folder)):
        exact = on_processor(case, "double")
        single = on_processor(case, "single")
        for backend in ("native", "pythonforce")[: 1 if settings.dry else None]:
            key = f"{case.name}, {backend}"
            yield key, errors(case, backend, exact, single, settings)


def errors(
    case: Case, backend: str, exact: tuple, single: tuple, settings: Settings
) -> dict:
    """Compare two Contexts with each other, and with what float64 and float32 have."""
    from openmm_allegro.units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL

    states = [_state(case, backend, settings) for _ in range(2)]
    energies = [state.getPotentialEnergy()._value for state in states]
    first, second = (state.getForces(asNumpy=True)._value for state in states)
    error = abs(first / EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM - exact[1])
    reference = abs(single[1] - exact[1]).max()
    energy = energies[0] / EV_TO_KJ_PER_MOL - exact[0].sum()
    return {
        "same_twice": bool(np.array_equal(first, second))
        and energies[0] == energies[1],
        "force_error_rms_mev": 1000 * float(np.sqrt((error**2).mean())),
        "force_error_max_mev": 1000 * float(error.max()),
        "force_error_of_float32": float(error.max() / reference),
        "energy_error_mev_per_atom": 1000 * float(energy) / len(case.symbols),
    }


def _state(case: Case, backend: str, settings: Settings):
    """Energy and forces of a Context of its own."""
    import openmm

    integrator = openmm.VerletIntegrator(0.001)
    context = context_of(case, system_of(case, backend), integrator, settings)
    return context.getState(energy=True, forces=True)


def system_of(case: Case, backend: str, **options: str):
    """The System of a case's atoms and model."""
    from openmm import app

    from openmm_allegro import AllegroPotential

    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for symbol in case.symbols:
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    topology.setPeriodicBoxVectors(case.cell / 10)
    return AllegroPotential(case.model).create_system(
        topology, backend=backend, **options
    )


def context_of(case: Case, system, integrator, settings: Settings):
    """A Context on the card, with the positions of a case."""
    import openmm

    name = "CPU" if settings.dry else "CUDA"
    properties = {} if settings.dry else {"Precision": "mixed"}
    platform = openmm.Platform.getPlatformByName(name)
    context = openmm.Context(system, integrator, platform, properties)
    context.setPositions(case.positions / 10)
    return context


def steps(settings: Settings) -> Rows:
    """Time steps of water, 2 × 2, in turns."""
    sizes = (192,) if settings.dry else (192, 1536, 12288, 98304)
    chosen = OURS[:1] if settings.dry else OURS
    for size, rows in _compared(settings, chosen, sizes):
        for variant, numbers in rows.items():
            yield f"{size} atoms, {variant}", _named(numbers, size)


def nequip(settings: Settings) -> Rows:
    """Time steps beside nequip's fastest modes, in turns."""
    if settings.dry:
        yield "nequip", {"left_out": "it takes a minute to compile"}
        return
    from importlib.util import find_spec

    missing = [name for name in ("nequip", "allegro") if find_spec(name) is None]
    if missing:
        yield "nequip", {"left_out": f"{' and '.join(missing)} not installed"}
        return
    for size, rows in _compared(settings, [*COMPILED, *OURS[:1]], (192, 1536, 12288)):
        for variant, numbers in rows.items():
            yield f"{size} atoms, {variant}", _named(numbers, size)
        times = {k: v["ms_per_step"] for k, v in rows.items() if "ms_per_step" in v}
        fastest = min((times[name] for name in COMPILED if name in times), default=None)
        if fastest is not None and OURS[0] in times:
            yield f"{size} atoms", {"times_as_fast": fastest / times[OURS[0]]}


def committee(settings: Settings) -> Rows:
    """Time steps of one model and of a committee, in turns."""
    from peers import Worker, write_atoms
    from workloads import model

    from openmm_allegro import save_model

    insist(settings)
    files = [
        str(
            save_model(
                model("water", "l2_2layers", seed=n), settings.folder / f"member{n}"
            )
        )
        for n in range(1, MEMBERS + 1)
    ]
    for size in (192,) if settings.dry else (192, 12288):
        atoms = write_atoms("water", size, settings.folder)
        given = {"device": _device(settings), "atoms": atoms}
        workers = {
            count: Worker(
                "peers_worker.py",
                [OURS[0], json.dumps(given | {"ours": files[:count]}), "1"],
                {"OMP_NUM_THREADS": "1", "OPENMM_CPU_THREADS": "1"},
            )
            for count in (1, MEMBERS)
        }
        times: dict[int, list[float]] = {count: [] for count in workers}
        failed = {}
        for _ in range(1 if settings.dry else 5):
            for count, worker in workers.items():
                answer = worker.ask("step") if worker.ready else worker.answer
                if "ms" in answer:
                    times[count].append(answer["ms"])
                else:
                    failed = {"failed": answer["failed"]}
        for worker in workers.values():
            worker.close()
        medians = {n: float(np.median(values)) for n, values in times.items() if values}
        for count, ms in medians.items():
            extra = {"times_of_one": ms / medians[1]} if 1 in medians else {}
            yield f"{size} atoms, {count} models", {"ms": ms} | extra
        if failed:
            yield f"{size} atoms", failed


def drift(settings: Settings) -> Rows:
    """Take 10 ps of NVE of aqueous NaCl at 0.5 fs."""
    insist(settings)
    file = settings.folder / "nve_drift.json"
    command = [
        sys.executable,
        str(HERE.parent / "nve_drift.py"),
        "--results",
        str(file),
    ]
    command += ["--backend", "native", "--platform", "CPU" if settings.dry else "CUDA"]
    command += ["--steps", "20" if settings.dry else "20000"]
    for path in ("native", "pythonforce")[: 1 if settings.dry else None]:
        limit = max(settings.left() - 1, 1)
        try:
            result = subprocess.run(
                [*command, "--paths", path],
                capture_output=True,
                text=True,
                timeout=None if settings.dry else limit,
            )
        except subprocess.TimeoutExpired:
            yield path, {"stopped": f"after {limit:.0f} s"}
            return
        if result.returncode:
            yield path, {"failed": result.stderr.strip().splitlines()[-1]}
            continue
        numbers = json.loads(file.read_text())["paths"][path]
        kept = ("drift_mev_per_atom_per_ps", "fluctuation_mev_per_atom", "length_ps")
        yield path, {name: numbers[name] for name in kept}


def insist(settings: Settings) -> None:
    """Let the native force be on the card, or an error: not on the processor."""
    os.environ["OPENMM_ALLEGRO_CARD"] = "never" if settings.dry else "always"


def _compared(settings: Settings, variants: list[str], sizes: tuple[int, ...]):
    """Yield the rows of ``peers.compare`` for each size."""
    insist(settings)
    from peers import compare, write_atoms, write_models

    device = _device(settings)
    files, _ = write_models("water", "l2_2layers", settings.folder, variants, device)
    for size in sizes:
        if settings.left() < 15 and not settings.dry:
            yield size, {"": {"left_out": "no time left"}}
            continue
        files["atoms"] = write_atoms("water", size, settings.folder)
        yield size, compare(files, variants, 1 if settings.dry else 5, 1)


def _device(settings: Settings) -> str:
    return "cpu" if settings.dry else "cuda"


def _named(numbers: dict, size: int) -> dict:
    """Numbers of a variant as this file names them."""
    if "ms_per_step" not in numbers:
        return numbers
    ms = numbers["ms_per_step"]
    return {
        "ms": ms,
        "spread_ms": numbers["spread_ms"],
        "us_per_atom": 1000 * ms / size,
        "ns_per_day": 0.5e-6 * 86400e3 / ms,
        "host_memory_gb": numbers["peak_gb"],
    }
