# SPDX-License-Identifier: MIT
"""Do one task of native.py in a process of its own, and answer in JSON.

The System is systems/nacl_aq on OpenMM's CPU platform. Nothing is imported before the
task begins, so that the time and memory of imports count.
"""

import sys


def main() -> None:
    task, backend, two_body, threads = sys.argv[1:5]
    tasks = {
        "first": first,
        "steps": steps,
        "contexts": contexts,
        "energies": energies,
        "restart": restart,
    }
    tasks[task](*_made(backend, two_body), threads, *map(int, sys.argv[5:]))


def first(system, positions, threads) -> None:
    """Answer with what this process took to its first energy."""
    import os

    context = _context(system, positions, threads)
    context.getState(energy=True)
    seconds = sum(os.times()[:4])  # of this process and of those that it started

    from worker import answer, memory_mb

    answer(
        {"processor_seconds": seconds, "imports_torch": "torch" in sys.modules}
        | memory_mb()
    )


def steps(system, positions, threads) -> None:
    """Take as many Langevin steps as asked for; ms a step, of processor and clock."""
    import time

    from worker import answer

    context = _context(system, positions, threads)
    context.getIntegrator().step(100)
    answer({"ready": True})
    for line in sys.stdin:
        if line.strip() == "end":
            break
        count = int(line)
        start = time.process_time(), time.perf_counter()
        context.getIntegrator().step(count)
        end = time.process_time(), time.perf_counter()
        spent = [1000 * (b - a) / count for a, b in zip(start, end, strict=True)]
        answer(dict(zip(("processor_ms", "wall_ms"), spent, strict=True)))
    answer({})


def contexts(system, positions, threads, count) -> None:
    """Make and delete Contexts; growth of the memory, MB, after twenty."""
    from worker import answer, memory_mb

    def make(number: int) -> None:
        for _ in range(number):
            _context(system, positions, threads).getState(energy=True)

    make(20)
    before = memory_mb()
    make(count)
    after = memory_mb()
    growth = {key: after[key] - before[key] for key in ("resident", "unique")}
    answer({"contexts": count, "growth_mb": growth})


def energies(system, positions, threads, count) -> None:
    """Compute energies with forces, without them, and volume moves; ms of processor.

    The time of a volume move is that of a step with one, less that of a step.
    """
    import time

    import numpy as np
    import openmm
    from worker import answer

    context = _context(system, positions, threads)
    random = np.random.default_rng(0)
    plan = {
        "energy_ms": {"energy": True},
        "forces_ms": {"energy": True, "forces": True},
    }
    times = {name: [] for name in (*plan, "step_ms", "step_and_move_ms")}
    for number in range(count):
        for name, wanted in plan.items():
            context.setPositions(positions + random.normal(0, 1e-3, positions.shape))
            start = time.process_time()
            context.getState(**wanted)
            if number:
                times[name].append(time.process_time() - start)
    moving = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    system.addForce(moving)
    moved = _context(system, positions, threads)
    for number in range(count):
        for name, one in (("step_ms", context), ("step_and_move_ms", moved)):
            start = time.process_time()
            one.getIntegrator().step(5)
            if number:
                times[name].append((time.process_time() - start) / 5)
    result = {name: 1000 * float(np.median(values)) for name, values in times.items()}
    result["volume_move_ms"] = result["step_and_move_ms"] - result["step_ms"]
    result["energy_over_forces"] = result["energy_ms"] / result["forces_ms"]
    answer(result)


def restart(system, positions, threads, count) -> None:
    """Step on after a checkpoint, and from it in a new Context; their distance, nm."""
    from worker import answer

    first = _context(system, positions, threads)
    first.getIntegrator().step(37)
    checkpoint = first.createCheckpoint()
    second = _context(system, positions, threads)
    second.loadCheckpoint(checkpoint)  # with the state of the random numbers
    ends = []
    for context in (first, second):
        context.getIntegrator().step(count)
        state = context.getState(positions=True)
        ends.append(state.getPositions(asNumpy=True)._value)
    answer({"steps": count, "largest_distance_nm": float(abs(ends[0] - ends[1]).max())})


def _made(backend: str, two_body: str):
    """Make the System; also its positions, nm."""
    from pathlib import Path

    from openmm import app, unit

    from openmm_allegro import AllegroPotential

    folder = Path(__file__).parents[1] / "systems" / "nacl_aq"
    pdb = app.PDBFile(str(folder / "nacl_aq.pdb"))
    potential = AllegroPotential(folder / "nacl_aq.safetensors")
    system = potential.create_system(pdb.topology, backend=backend, two_body=two_body)
    return system, pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer)


def _context(system, positions, threads: str):
    import openmm

    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator, platform, {"Threads": threads})
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300.0, 1)
    return context


if __name__ == "__main__":
    main()
