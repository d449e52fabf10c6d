# SPDX-License-Identifier: MIT
"""Run one part of run.py in this process, and write each row as soon as it is measured.

python part.py NAME FILE SECONDS dry|card
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

Rows = Iterator[tuple[str, dict[str, Any]]]
# Numbers that say nothing of a card where a processor plays it: times, rates, memory of
# the host, drifts of a run that is too short.
MEASURED = {
    *("ms", "spread_ms", "us_per_atom", "tflop_per_second", "percent_of_ideal"),
    *("copy_tb_per_second", "float32_tflop_per_second", "tf32_tflop_per_second"),
    *("kernels_us", "seconds_to_open", "ns_per_day", "times_as_fast", "times_of_one"),
    *("samples_per_second", "ms_per_sample", "processor_ms_per_sample"),
    *("times_slower_than", "host_memory_gb", "card_gb"),
    *("drift_mev_per_atom_per_ps", "fluctuation_mev_per_atom"),
}


class Settings(NamedTuple):
    """How a part runs."""

    dry: bool
    end: float  # of time.monotonic
    folder: Path  # for files that parts share

    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.monotonic()


def main() -> None:
    name, file, seconds, device = sys.argv[1:]
    path = Path(file)
    settings = Settings(device == "dry", time.monotonic() + float(seconds), path.parent)
    rows: dict[str, dict] = {}
    for key, numbers in parts()[name](settings):
        if settings.dry:
            numbers = {k: v for k, v in numbers.items() if k not in MEASURED}
        rows[key] = numbers
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(rows))
        partial.replace(path)


def parts() -> dict[str, Callable[[Settings], Rows]]:
    """Functions of the parts, by name."""
    import on_card
    import on_charges
    import on_openmm
    import on_training

    return {
        "machine": on_card.machine,
        "correct": on_card.correct,
        "races": on_card.races,
        "kernels": on_card.kernels,
        "memory": on_card.memory,
        "openmm": on_openmm.right,
        "steps": on_openmm.steps,
        "nequip": on_openmm.nequip,
        "committee": on_openmm.committee,
        "drift": on_openmm.drift,
        "charges": on_charges.charges,
        "training": on_training.training,
        "tests": on_training.tests,
    }


if __name__ == "__main__":
    main()
