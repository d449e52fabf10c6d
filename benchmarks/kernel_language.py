# SPDX-License-Identifier: MIT
"""Compare two inner loops of the fused kernel in C++ and in Numba, on one thread.

product: [104, 64] by packed [64, 64] in rows of 960 floats, as in a linear layer of a
block of two centres. scalars: the backward pass of the tensor product's scalars, l_max
2, 32 channels, 52 rows of one centre. C++ is the package's own source, compiled here
with the kernels' flags; it learns the sizes at run time only. Numba has the same
loops with sizes as literals, the fastest of the forms tried. Both get the same float32
data, in alternating runs. Times are processor times, which a busy machine changes
little.

    pip install numba
    python benchmarks/kernel_language.py [--rounds 101]

writes benchmarks/results/kernel_language.json.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sysconfig
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from hardware import hardware

from openmm_allegro.kernels.builds import BUILDS, FLAGS
from openmm_allegro.kernels.library import library

try:
    import numba
except ImportError as error:
    raise SystemExit("expected numba, found none: pip install numba") from error

ROOT = Path(__file__).parent.parent
FILE = ROOT / "benchmarks" / "results" / "kernel_language.json"
ROWS, STRIDE, REPEATS = {"product": 104, "scalars": 52}, 960, 1000
# Columns: product from 0 to 64; weights 128, scalars 256, harmonics 320 of a pair.
FLOP = {"product": 2 * 104 * 64 * 64, "scalars": 52 * 32 * (9 * 6 + 3 * 3)}
WRAPPER = """
#include "allegro_cpu.cpp"
extern "C" void product(float *x, float *, const float *b, float *, long stride,
                        long rows, long width, long n) {
  while (n--) product<float>(x, b, x + 64, stride, rows, width, width, false);
}
extern "C" void scalars(float *x, float *g, const float *v, float *dv, long stride,
                        long rows, long channels, long n) {
  Model m = {};
  m.stride = stride, m.channels = channels, m.harmonic = 320;
  m.degrees = 3, m.components = 9;
  m.first_component = {0, 1, 4, 9};
  const Rows<float> rows_ = {x + 320, g + 320, x + 128, g + 128,
                             x + 256, g + 256, stride,  rows};
  std::vector<float> products(rows * 3 * channels), sums(9 * channels);
  while (n--) {
    rows_backward<float, true>(m, rows_, v, false, products.data());
    sum_rows(m, rows_, products.data(), 3 * channels, 1.0f, sums.data());
    for (long i = 0; i < 9 * channels; ++i) dv[i] += sums[i];
  }
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--results", type=Path, default=FILE)
    options = parser.parse_args()
    rounds = options.rounds
    loops, build = _compile_cpp()
    results = {name: _compare(name, loops, rounds) for name in ROWS}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    parts = [f for p in ("numba", "llvmlite") for f in metadata.files(p) or ()]
    content = {
        "hardware": hardware(1),
        "build": build,
        "numba": {p: metadata.version(p) for p in ("numba", "llvmlite")},
        "cpu_seconds_build": used.ru_utime + used.ru_stime,
        "megabytes_kernel": Path(library()._name).stat().st_size / 1e6,
        "megabytes_numba_llvmlite": sum(f.size or 0 for f in parts) / 1e6,
        "rounds": rounds,
        "results": results,
    }
    options.results.write_text(json.dumps(content, indent=1) + "\n")


def _compare(name: str, library: ctypes.CDLL, rounds: int) -> dict:
    random = np.random.default_rng(0)
    rows = (ROWS[name], STRIDE)  # of x and g
    last = {"product": (2, 64, 32), "scalars": (9, 32)}[name]  # panels; v and dv
    data = [random.normal(size=n).astype(np.float32) for n in (rows, rows, last, last)]
    data[3][:] = 0.0  # C++ writes the sums, and Numba adds to them
    compiled, seconds_jit = _compile_numba(name, data)
    runs = {"cpp": _cpp(library, name), "numba": compiled}
    results = [_timed(run, data, 1)[0] for run in runs.values()]
    difference = max(
        float(np.abs(a - b).max() / np.abs(a).max())
        for before, a, b in zip(data, *results, strict=True)
        if (before != a).any()
    )
    if not difference < 1e-4:
        raise RuntimeError(
            f"expected equal results, found a difference of {difference}"
        )
    turns = range(rounds)
    times = [[_timed(r, data, REPEATS)[1] for r in runs.values()] for _ in turns]
    median = dict(zip(runs, np.median(times, 0), strict=True))
    ratio = np.quantile([b / a for a, b in times], [0.25, 0.5, 0.75]).tolist()
    rates = {key: FLOP[name] / t / 1e9 for key, t in median.items()}
    print(
        f"{name}: C++ {rates['cpp']:.0f}, Numba {rates['numba']:.0f} GFLOP/s, "
        f"time Numba : C++ {ratio[1]:.2f}, JIT {seconds_jit:.1f} s"
    )
    return {
        "microseconds": {key: t * 1e6 for key, t in median.items()},
        "gflop_per_second": rates,
        "time_numba_over_cpp_quartiles": ratio,
        "largest_relative_difference": difference,
        "cpu_seconds_jit": seconds_jit,
    }


def _timed(run, data, repeats: int) -> tuple[list[np.ndarray], float]:
    """Run some repeats; return the arrays, and processor seconds of each repeat."""
    copies = [array.copy() for array in data]
    start = time.thread_time()
    run(*copies, repeats)
    return copies, (time.thread_time() - start) / repeats


def _compile_cpp() -> tuple[ctypes.CDLL, str]:
    """Build the wrapper like the extension that this processor loads."""
    name = Path(library()._name).name
    build = next(flags for key, flags in BUILDS.items() if key in name)
    compiler = os.environ.get("CXX", sysconfig.get_config_var("CXX").split()[0])
    command = [compiler, *FLAGS, *build.flags, "-fPIC", "-shared"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "loops.cpp"), Path(folder, "loops.so")
        source.write_text(WRAPPER)
        include = f"-I{ROOT / 'openmm_allegro' / 'kernels' / 'cpu'}"
        subprocess.run([*command, include, source, "-o", target], check=True)
        return ctypes.CDLL(str(target)), " ".join(command)


def _cpp(library: ctypes.CDLL, name: str):
    function = getattr(library, name)
    function.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_long] * 4

    width = {"product": 64, "scalars": 32}[name]
    return lambda *arguments: function(
        *(a.ctypes.data for a in arguments[:4]),
        *(STRIDE, ROWS[name], width, arguments[4]),
    )


def _compile_numba(name: str, data):
    # The sums of a tile stay in registers only if its columns, not k, become vectors.
    lines, slp = (_product(), 1) if name == "product" else (_scalars(), 0)
    numba.config.SLP_VECTORIZE, numba.config.LOOP_VECTORIZE = slp, 1 - slp
    namespace = {"np": np, "zero": np.float32(0)}
    exec("\n ".join(["def loop(x, g, b, db):", *lines]), namespace)
    loop = numba.njit(fastmath=True)(namespace["loop"])

    @numba.njit
    def repeat(x, g, b, db, repeats):
        for _ in range(repeats):
            loop(x, g, b, db)

    return repeat, _timed(repeat, data, 1)[1]


# The forms below are unrolled by text: each sum is a variable of its own.
def _product() -> list[str]:
    """Write the product in tiles of 8 rows and 32 columns."""
    tile = [(i, j) for i in range(8) for j in range(32)]
    lines = ["for p in range(2):", " panel = b[p]", " for r in range(0, 104, 8):"]
    for i in range(8):
        lines += [f"  a{i}, at = x[r + {i}, 0:64], 64 + 32 * p"]
        lines += [f"  c{i} = x[r + {i}, at:at + 32]"]
    lines += [f"  s{i}_{j} = np.float32(0)" for i, j in tile]
    lines += ["  for k in range(64):", *(f"   b{j} = panel[k, {j}]" for j in range(32))]
    lines += [f"   s{i}_{j} += a{i}[k] * b{j}" for i, j in tile]
    return lines + [f"  c{i}[{j}] = s{i}_{j}" for i, j in tile]


def _scalars() -> list[str]:
    """Write a loop for each component: LLVM vectorises no loops over more arrays."""
    lines = ["for r in range(52):", " ds, dy, y = g[r, 256:], g[r, 320:], x[r, 320:]"]
    for degree in range(3):
        columns, terms = f"{128 + 32 * degree}:{160 + 32 * degree}", []
        lines += [f" w, dw = x[r, {columns}], g[r, {columns}]"]
        for a in range(degree**2, (degree + 1) ** 2):
            terms += [f"y{a} * v{a}[u]"]
            lines += [f" v{a}, dv{a}, y{a}, sum{a} = b[{a}], db[{a}], y[{a}], zero"]
            lines += [" for u in range(32):", "  scaled = ds[u] * w[u]"]
            lines += [f"  sum{a} += scaled * v{a}[u]", f"  dv{a}[u] += y{a} * scaled"]
            lines += [f" dy[{a}] += sum{a}"]
        lines += [" for u in range(32):", f"  dw[u] += ds[u] * ({' + '.join(terms)})"]
    return lines


if __name__ == "__main__":
    main()
