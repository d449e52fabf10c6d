# SPDX-License-Identifier: MIT
"""Models with charges by the native force: beside the processor, and what they cost."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np
from cases import Case, nacl
from on_openmm import context_of, errors, insist, system_of

if TYPE_CHECKING:
    from part import Rows, Settings

ROUNDS = 5


def charges(settings: Settings) -> Rows:
    """Compare forces with float64, and time steps in turns with the local model.

    All models have the network of systems/nacl_aq; that of charges has further weights,
    which are random.
    """
    from long_range import KINDS, model_of

    from openmm_allegro import save_model

    insist(settings)
    models = {
        kind: save_model(model_of(kind), settings.folder / f"nacl_{kind}")
        for kind in KINDS
    }
    for kind in KINDS[1:]:
        case = nacl(1)._replace(model=models[kind])
        exact, single = (_on_processor(case, kind) for kind in ("double", "mixed"))
        yield f"{case.name}, {kind}", errors(case, "native", exact, single, settings)
    for copies in (1,) if settings.dry else (1, 4, 8):
        case = nacl(copies)
        for kind, ms in _times(case, models, settings).items():
            yield f"{case.name}, {kind}, steps", ms


def _on_processor(case: Case, precision: str) -> tuple[np.ndarray, ...]:
    """Energies, forces and strain derivative by the native force's engine."""
    from openmm_allegro.plugin.engine import Engine

    system = system_of(case, "native", precision=precision)
    threads = min(len(os.sched_getaffinity(0)), 8)
    return Engine(system.getForce(0), threads).run(case.positions / 10, case.cell / 10)


def _times(case: Case, models: dict, settings: Settings) -> dict[str, dict]:
    """Milliseconds of a step by model, and over those of the local one."""
    import openmm

    contexts = {}
    for kind, model in models.items():
        own = case._replace(model=model)
        integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
        contexts[kind] = context_of(own, system_of(own, "native"), integrator, settings)
        contexts[kind].getIntegrator().step(1 if settings.dry else 30)
    count = 1 if settings.dry else max(10, 200_000 // len(case.symbols))
    times: dict[str, list[float]] = {kind: [] for kind in models}
    for _ in range(1 if settings.dry else ROUNDS):
        for kind, context in contexts.items():
            context.getState(energy=True)  # what was queued has ended
            start = time.monotonic()
            context.getIntegrator().step(count)
            context.getState(energy=True)
            times[kind].append(1000 * (time.monotonic() - start) / count)
    medians = {kind: float(np.median(each)) for kind, each in times.items()}
    return {
        kind: {"ms": ms, "times_of_one": ms / medians["none"]}
        for kind, ms in medians.items()
    }
