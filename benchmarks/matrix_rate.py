# SPDX-License-Identifier: MIT
"""Measure the fused kernel against a product of matrices, and where its time goes.

Water, 192 atoms, energy and forces by `allegro_run` in one thread: float32, 64 scalar
and 32 tensor features. Each instruction set has a process of its own, in which the
kernel and a float32 product of 1,024 x 1,024 matrices run in turns. Times are processor
times.

The product is numpy's, by OpenBLAS made to use the same instruction set
(OPENBLAS_CORETYPE): what it chooses by itself takes twice the time on some processors.
Counted are multiplications and additions of the operations LINEAR and TENSOR, forward
and backward, without padding: neither activations nor radial functions, harmonics, and
forces. So a kernel that spent no time on these would reach 100 %.

The parts of the time come from the same sources, compiled with a clock between the
operations: the time on the wall, of each block of centres the median of the rounds. The
time that a thread needs to start is that of `allegro_run_threads` for no atoms in two
threads, less that in one.

    python benchmarks/matrix_rate.py [--rounds 41]

writes benchmarks/results/matrix_rate.json.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from workloads import MODELS

ROOT = Path(__file__).parent.parent
FILE = ROOT / "benchmarks" / "results" / "matrix_rate.json"
# The kind of processor whose code OpenBLAS takes, by our build.
CORES = {"_avx512": "Cooperlake", "_avx2": "Haswell", "_generic": "Prescott"}
SIZE = 1024
PARTS = (
    *("linear forward", "activation forward", "types forward", "spline forward"),
    *("tensor forward", "energy forward", "linear backward", "activation backward"),
    *("types backward", "spline backward", "tensor backward", "energy backward"),
    *("pairs", "harmonics", "radial functions", "zeros", "forces", "memory"),
)
WRAPPER = """
#include <chrono>
#include "allegro_cpu.cpp"
// Seconds [blocks, PARTS]: first those of the operations by code.
extern "C" void parts(const allegro_model *opened, const allegro_atoms *atoms,
                      const allegro_results *results, double *seconds) {
  typedef std::chrono::steady_clock Clock;
  const Model &m = *reinterpret_cast<const Model *>(opened);
  auto last = Clock::now();
  const auto note = [&](int part) {
    const auto now = Clock::now();
    seconds[part] += std::chrono::duration<double>(now - last).count();
    last = now;
  };
  Workspace<float> w = workspace<float>(m);
  note(17);
  for (long center = 0; center < atoms->count; seconds += 18) {
    center = gather(m, w, *atoms, center, atoms->count, *results);
    note(12);
    fill_harmonics(m, w);
    note(13);
    const long rows = w.neighbors.size();
    radial(m, &w.scaled[2], 4, rows, &w.x[m.basis], &w.x[m.slope], m.stride);
    note(14);
    for (long n = 0; n < m.operations; ++n) {
      forward_operation(m, w, n, 0, rows);
      note(m.operation[n].code);
    }
    clear_derivatives(m, w);
    note(15);
    for (long n = m.operations - 1; n >= 0; --n) {
      backward_operation(m, w, n, 0, rows);
      note(6 + m.operation[n].code);
    }
    add_rows(m, w, results->energies, row_energy<float>);
    finish(m, w, *results);
    note(16);
  }
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--build", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        print(json.dumps(_measure(options.build, options.rounds)))
        return
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    results = {}
    for build, core in CORES.items():
        command = [sys.executable, __file__, "--rounds", str(options.rounds)]
        output = subprocess.run(
            [*command, "--build", build],
            env=environment | {"OPENBLAS_CORETYPE": core},
            check=True,
            capture_output=True,
            text=True,
        )
        results[build] = json.loads(output.stdout.splitlines()[-1]) | {"openblas": core}
        for name in MODELS:
            numbers = results[build][name]
            print(
                f"{build} {name}: {numbers['milliseconds']:.2f} ms, "
                f"{numbers['gflop_per_second']:.0f} GFLOP/s, "
                f"{100 * numbers['fraction']:.0f} % of "
                f"{numbers['matrix_gflop_per_second']:.0f}",
                flush=True,
            )
    from hardware import hardware  # loads torch, which sets variables of OpenBLAS

    content = {"hardware": hardware(1), "rounds": options.rounds, "results": results}
    FILE.write_text(json.dumps(content, indent=1) + "\n")


def _measure(build: str, rounds: int) -> dict:
    from openmm_allegro.kernels.library import is_current, load

    library = load(build)
    if library is None or not is_current(library):
        raise SystemExit(f"expected the build {build}, found none that runs here")
    timed = _compile(build)
    return {name: _compare(name, library, timed, rounds) for name in MODELS}


def _compare(name: str, library, timed: ctypes.CDLL, rounds: int) -> dict:
    case = _Case(name, library)
    left, right = np.random.default_rng(0).random((2, SIZE, SIZE), dtype=np.float32)
    for _ in range(3):
        case.run(), left @ right
    times = np.array(
        [(_seconds(case.run), _seconds(lambda: left @ right)) for _ in range(rounds)]
    )
    kernel, product = np.median(times, 0)
    flops = case.flops()
    total = sum(flops.values())
    fractions = total / times[:, 0] / (2 * SIZE**3 / times[:, 1])
    # Of these there is no processor time: on a busy machine single blocks take longer.
    parts = np.median([case.parts(timed) for _ in range(rounds)], axis=0).sum(axis=0)
    return {
        "milliseconds": 1e3 * kernel,
        "flops": flops,
        "gflop_per_second": total / kernel / 1e9,
        "matrix_gflop_per_second": 2 * SIZE**3 / product / 1e9,
        "fraction": float(np.median(fractions)),
        "fraction_quartiles": np.quantile(fractions, [0.25, 0.75]).tolist(),
        "milliseconds_of_parts": {
            part: 1e3 * seconds
            for part, seconds in zip(PARTS, parts, strict=True)
            if seconds > 0.0
        },
        "microseconds_to_start_a_thread": case.start_of_a_thread(rounds),
    }


def _seconds(function) -> float:
    start = time.thread_time()
    function()
    return time.thread_time() - start


class _Case:
    """A model opened by a library, with atoms and room for results."""

    def __init__(self, name: str, library) -> None:
        import torch
        from workloads import model, structure

        from openmm_allegro.kernels.header import filled
        from openmm_allegro.kernels.inference.folded import folded
        from openmm_allegro.neighbors import VerletList

        self.library, self.filled = library, filled
        self.model, atoms = model("water", name), structure("water", 192)
        integers, constants, weights = folded(self.model, "single")
        box = torch.tensor(atoms.cell.array), torch.ones(3, dtype=torch.bool)
        positions = torch.tensor(atoms.positions)
        within, pairs = (
            VerletList(self.model.config.cutoff, skin) for skin in (0.0, 0.5)
        )
        for pair_list in (within, pairs):
            pair_list(positions, *box)
        self.within = len(within.neighbors)
        elements = self.model.config.elements
        self.arrays = {
            "positions": positions,
            "cell": box[0],
            "types": torch.tensor([elements.index(one) for one in atoms.symbols]),
            "offsets": pairs.offsets,
            "neighbors": pairs.neighbors,
            "shifts": pairs.shifts,
            "seeds": None,
        }
        self.atoms = filled("allegro_atoms", count=len(atoms), **self.arrays)
        self.program = filled(
            "allegro_program",
            integers=integers,
            constants=constants,
            weights=weights,
            is_double=0,
        )
        self.opened = library.allegro_open(self.program)
        self.results = filled(
            "allegro_results",
            energies=np.zeros(len(atoms)),
            forces=np.zeros((2, len(atoms), 3)),
            strain=np.zeros((2, 3, 3)),
            virials=None,
            charges=None,
        )

    def run(self) -> None:
        count = self.atoms.count
        self.library.allegro_run(self.opened, self.atoms, 0, count, self.results)

    def parts(self, timed: ctypes.CDLL) -> np.ndarray:
        seconds = np.zeros((self.atoms.count, len(PARTS)))  # blocks are fewer
        arguments = self.atoms, self.results
        timed.parts(
            ctypes.c_void_p(self.opened),
            *map(ctypes.byref, arguments),
            ctypes.c_void_p(seconds.ctypes.data),
        )
        return seconds

    def start_of_a_thread(self, rounds: int) -> float:
        """Microseconds that a second thread adds to a call for no atoms."""
        none = self.filled("allegro_atoms", count=0, **self.arrays)
        run, times = self.library.allegro_run_threads, []
        for _ in range(rounds):
            for threads in (1, 2):
                start = time.perf_counter()
                run(self.opened, none, threads, self.results)
                times.append(time.perf_counter() - start)
        return 1e6 * float(np.median(times[1::2]) - np.median(times[::2]))

    def flops(self) -> dict:
        """Multiplications and additions of both ways, by operation."""
        from flops import count

        from openmm_allegro.kernels.inference.program import Program, unpack

        arrays = (
            self.program.kept[key] for key in ("integers", "constants", "weights")
        )
        counts = count(unpack(Program(*arrays)), self.model.config.num_tensor_features)
        return {
            "linear": self.within * counts.linear,
            "tensor, pairs": self.within * counts.tensor,
            "tensor, centres": self.atoms.count * counts.operators,
        }


def _compile(build: str) -> ctypes.CDLL:
    """Build the wrapper like the extension."""
    from openmm_allegro.kernels.builds import BUILDS, FLAGS, SOURCE

    command = [os.environ.get("CXX", "g++"), *FLAGS, *BUILDS[build].flags]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "parts.cpp"), Path(folder, "parts.so")
        source.write_text(WRAPPER)
        options = ["-w", "-fPIC", "-shared", f"-I{SOURCE.parent}"]
        subprocess.run([*command, *options, source, "-o", target], check=True)
        return ctypes.CDLL(str(target))


if __name__ == "__main__":
    main()
