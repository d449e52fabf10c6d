# SPDX-License-Identifier: MIT
"""Run the kernels of the pair list and of charges under a sanitizer, also without a
barrier.

``step_outcomes`` starts this file as a process of its own, as in ``gpu_races``.
"""

import json
import os
import subprocess
import sys

import numpy as np
from gpu_step import ListDevice, steps

from openmm_allegro.kernels.inference.program import Program
from openmm_allegro.model.long_range import LongRangeSettings

_ERROR = 66
_OPTIONS = {
    "TSAN_OPTIONS": f"halt_on_error=1 exitcode={_ERROR}",
    "ASAN_OPTIONS": f"detect_leaks=0 exitcode={_ERROR}",
    "PYTHONMALLOC": "malloc",
}
_RUNTIMES = {"thread": "libtsan.so", "address": "libasan.so"}
# Where the texts of kernels with barriers begin.
LIST, FIELD = "// The pair list,", "// Charges of the atoms of a model, and their sum"
# Charges far from neutral, of a mesh of some points along each vector.
_CHARGES = LongRangeSettings((0.3, -0.7, 0.9), 0.5, 1.0, True)


class RaceDevice(ListDevice):
    """A ``ListDevice`` that leaves out a barrier of the pair list or of charges."""

    drop: int | None = None
    text = LIST

    def compile(self, source: str) -> int:
        if self.drop is not None and self.text in source:
            place = source.index(self.text)
            before, parts = source[:place], source[place:].split("SYNC_THREADS")
            first, last = parts[: self.drop + 1], parts[self.drop + 1 :]
            source = f"{before}{'SYNC_THREADS'.join(first)};{'SYNC_THREADS'.join(last)}"
        return super().compile(source)


def step_outcomes(
    program: Program, sanitizer: str, folder, drops: int, text: str = LIST
) -> list[bool]:
    """Whether an error was found: in the kernels, and without each first barrier.

    Parameters
    ----------
    program : Program
        Arrays of numpy; with learned charges for those.
    sanitizer : str
    folder : path
    drops : int
        Barriers that are left out, one a run.
    text : str
        ``LIST`` or ``FIELD``.
    """
    path = folder / "program.npz"
    np.savez(path, **program._asdict())
    command = ["g++", f"-print-file-name={_RUNTIMES[sanitizer]}"]
    runtime = subprocess.run(command, capture_output=True, text=True, check=True)
    environment = {**os.environ, **_OPTIONS, "LD_PRELOAD": runtime.stdout.strip()}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, __file__, str(path), sanitizer, str(drops), text],
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
    path, sanitizer, drops, text = sys.argv[1:]
    os.environ.pop("LD_PRELOAD")  # not for compilers
    with np.load(path) as file:
        program = Program(**file)
    outcomes = []
    for drop in [None, *range(int(drops))]:
        child = os.fork()
        if not child:
            run = _run if text == LIST else _run_charged
            os._exit(run(program, sanitizer, drop))
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


def _run_charged(program: Program, sanitizer: str, drop: int | None) -> int:
    random = np.random.default_rng(0)
    count = 60
    cell = np.array([[8.0, 0.0, 0.0], [2.0, 9.0, 0.0], [-3.0, 1.0, 11.0]])
    flags = f"-fsanitize={sanitizer}", "-g1"
    try:
        for periodic in (True, False):
            device = RaceDevice(flags=flags, memory=227 * 1024, poison=False, groups=1)
            device.drop, device.text = drop, FIELD
            positions = random.uniform(0, 1, (count, 3)) @ cell
            with steps(
                [program],
                random.integers(3, size=count),
                [periodic] * 3,
                device=device,
                charges=[_CHARGES],
            ) as made:
                for scale in (1.0, 1.2):
                    made.step(scale * positions, scale * cell)
    except RuntimeError as error:  # lanes that do not meet
        print(error, file=sys.stderr)
        return _ERROR
    return 0


if __name__ == "__main__":
    main()
