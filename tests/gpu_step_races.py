# SPDX-License-Identifier: MIT
"""Run the kernels of the pair list under a sanitizer, also without a barrier.

``step_outcomes`` starts this file as a process of its own, as in ``gpu_races``.
"""

import json
import os
import subprocess
import sys

import numpy as np
from gpu_step import ListDevice, steps

from openmm_allegro.kernels.inference.program import Program

_ERROR = 66
_OPTIONS = {
    "TSAN_OPTIONS": f"halt_on_error=1 exitcode={_ERROR}",
    "ASAN_OPTIONS": f"detect_leaks=0 exitcode={_ERROR}",
    "PYTHONMALLOC": "malloc",
}
_RUNTIMES = {"thread": "libtsan.so", "address": "libasan.so"}
_BARRIER = "SYNC_THREADS;"


class RaceDevice(ListDevice):
    """A ``ListDevice`` that leaves out a barrier of the pair list."""

    drop: int | None = None

    def compile(self, source: str) -> int:
        if self.drop is not None and "void list(" in source:
            place = source.index("// The pair list,")
            before, parts = source[:place], source[place:].split(_BARRIER)
            first, last = parts[: self.drop + 1], parts[self.drop + 1 :]
            source = f"{before}{_BARRIER.join(first)};{_BARRIER.join(last)}"
        return super().compile(source)


def step_outcomes(program: Program, sanitizer: str, folder, drops: int) -> list[bool]:
    """Whether an error was found: in the kernels, and without each first barrier."""
    path = folder / "program.npz"
    np.savez(path, **program._asdict())
    command = ["g++", f"-print-file-name={_RUNTIMES[sanitizer]}"]
    runtime = subprocess.run(command, capture_output=True, text=True, check=True)
    environment = {**os.environ, **_OPTIONS, "LD_PRELOAD": runtime.stdout.strip()}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, __file__, str(path), sanitizer, str(drops)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Fork for each run, and print the outcomes."""
    path, sanitizer, drops = sys.argv[1:]
    os.environ.pop("LD_PRELOAD")  # not for compilers
    with np.load(path) as file:
        program = Program(**file)
    outcomes = []
    for drop in [None, *range(int(drops))]:
        child = os.fork()
        if not child:
            os._exit(_run(program, sanitizer, drop))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code not in (0, _ERROR):
            raise RuntimeError(f"expected a run that ends well, found {code}")
        outcomes.append(code == _ERROR)
    print(json.dumps(outcomes), flush=True)


def _run(program: Program, sanitizer: str, drop: int | None) -> int:
    random = np.random.default_rng(0)
    count = 150  # in five chunks of two work-groups
    types = random.integers(3, size=count)
    cell = np.array([[14.0, 0.0, 0.0], [2.0, 15.0, 0.0], [-3.0, 1.0, 16.0]])
    flags = f"-fsanitize={sanitizer}", "-g1"
    try:
        for cells in (1, 1000):
            device = RaceDevice(flags=flags, memory=227 * 1024, poison=False)
            device.drop = drop
            positions = random.uniform(0, 1, (count, 3)) @ cell
            with steps(
                [program], types, [True] * 3, device=device, cells=cells, capacity=16
            ) as made:
                for _ in range(4):
                    made.step(positions, cell)
                    positions = positions + random.uniform(-0.3, 0.3, positions.shape)
        # a list of several parts, of atoms close together
        device = RaceDevice(flags=flags, memory=227 * 1024, poison=False)
        device.drop = drop
        with steps(
            [program], [0] * 40, [False] * 3, device=device, capacity=600
        ) as made:
            made.step(random.uniform(0, 3, (40, 3)))
    except RuntimeError as error:  # lanes that do not meet
        print(error, file=sys.stderr)
        return _ERROR
    return 0


if __name__ == "__main__":
    main()
