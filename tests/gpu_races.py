# SPDX-License-Identifier: MIT
"""Run a program's kernels under a sanitizer, once for each barrier that is left out.

``sanitize`` starts this file as a process of its own, for a sanitizer's runtime has to
be there before Python is. Each run is a fork, which ends where the sanitizer finds an
error.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gpu_helpers import host_card
from gpu_network import Emitted, Pairs, emit, run_network, star_pairs

from openmm_allegro.kernels.inference.program import Program

RUNTIMES = {"thread": "libtsan.so", "address,undefined": "libasan.so"}
_OPTIONS = {
    "TSAN_OPTIONS": "halt_on_error=1 exitcode=66 report_bugs=1",
    "ASAN_OPTIONS": "detect_leaks=0 exitcode=66",
    "UBSAN_OPTIONS": "halt_on_error=1 exitcode=66",
    "PYTHONMALLOC": "malloc",
}
_FLAGS = ("-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all")
# Two centres or groups for each of two work-groups, so that memory is used again.
_DEGREES = (1, 16, 5, 17, 0, 12, 14, 18, 3, 2, 19, 17, 13)
_ERROR = 66


def sanitize(
    program: Program,
    sanitizer: str,
    folder: Path,
    *,
    rows: int = 16,
    products: int = 0,
    memory: int = 227 * 1024,
    drops: Sequence[int] | str = (),
) -> list[dict]:
    """Outcomes of the kernels as they are, and without each of some barriers.

    Parameters
    ----------
    program : Program
        Arrays of numpy.
    sanitizer : str
        A key of ``RUNTIMES``.
    folder : Path
        Where files may be written.
    rows, products, memory : int
        As in ``emit``, with one space of addresses.
    drops : sequence of int, or "all"
        Lines of the source whose barriers are left out, one a run.

    Returns
    -------
    list of dict
        The ``line`` that was left out, or None; whether an ``error`` was found; the
        ``report``.

    Raises
    ------
    RuntimeError
        If the process did not end well.
    """
    path = folder / "program.npz"
    np.savez(path, **program._asdict())
    library = (
        ["g++", f"-print-file-name={RUNTIMES[sanitizer]}"],
        [
            "g++",
            "-print-file-name=libstdc++.so",
        ],
    )
    preload = " ".join(
        subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()
        for command in library
    )
    # its memory has to be where ThreadSanitizer expects it
    command = ["setarch", "-R"] if shutil.which("setarch") else []
    choices = {"rows": rows, "products": int(products), "memory": memory}
    asked = json.dumps({"drops": drops, "choices": choices})
    command += [sys.executable, __file__, str(path), sanitizer, asked]
    environment = {**os.environ, **_OPTIONS, "LD_PRELOAD": preload}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-4000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def _path(library: str) -> str:
    """Path of a library of the compiler."""
    command = ["g++", f"-print-file-name={library}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Compile, fork for each run, and print its outcome."""
    path, sanitizer, asked = sys.argv[1:]
    os.environ.pop("LD_PRELOAD")  # not for compilers
    asked = json.loads(asked)
    with np.load(path) as file:
        program = Program(**file)
    kernels = emit(program, **asked["choices"], one_space=True)
    pairs = star_pairs(kernels.cutoffs, _DEGREES)
    barriers = [
        number
        for number, line in enumerate(kernels.source.splitlines(), 1)
        if "SYNC_THREADS" in line and "#define" not in line
    ]
    flags = f"-fsanitize={sanitizer}", *_FLAGS
    with host_card(flags=flags) as card:
        card.device.compile(kernels.source)
    for line in [None, *(barriers if asked["drops"] == "all" else asked["drops"])]:
        error, report = _run(kernels, pairs, flags, line or 0)
        found = {"line": line, "error": error, "report": report[-4000:]}
        print(json.dumps(found), flush=True)


def _run(
    kernels: Emitted, pairs: Pairs, flags: Sequence[str], line: int
) -> tuple[bool, str]:
    """Whether the sanitizer, or the device, finds an error, and its report."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 2)
        os.close(reader)
        outcome = 1
        try:
            options = {"memory": 227 * 1024, "flags": flags, "left_out": line}
            with host_card(**options) as card:
                run_network(card, kernels, pairs)
            outcome = 0
        except RuntimeError as error:  # lanes that do not meet
            print(error, file=sys.stderr)
            outcome = _ERROR
        finally:
            sys.stderr.flush()
            os._exit(outcome)
    os.close(writer)
    with os.fdopen(reader, errors="replace") as stream:
        report = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, _ERROR):
        raise RuntimeError(f"expected a run that ends well, found {code}: {report}")
    return code == _ERROR, report


if __name__ == "__main__":
    main()
