# SPDX-License-Identifier: MIT
"""Check and time the kernels for graphics cards on one card, in twelve minutes.

    python benchmarks/gpu/run.py [--minutes 12] [--parts kernels steps ...]
        [--output FOLDER]
    python benchmarks/gpu/run.py --dry-run

Each part runs in a process of its own, with a limit of time, so that one that fails or
hangs costs no other. FOLDER/gpu_CARD.json is written after each part, and has what a
part measured before it was stopped. A part that would not end in the time that is left
is left out, and the file says so. The first parts are those that the others need to be
believed: whether the numbers are right.

With --dry-run all parts run on the processor, tiny, with the kernels compiled for the
host. It shows that the parts work, and its file has no times.

benchmarks/gpu/README.md says how to prepare a machine without a network.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]

from goals import judged  # noqa: E402

FILES = HERE.parent / "results"


class Part(NamedTuple):
    """A part of the whole: name, seconds that it may take, and least that it needs."""

    name: str
    seconds: float
    least: float
    about: str


PARTS = (
    Part("machine", 40, 10, "card, driver, clocks, versions, ceilings"),
    Part("correct", 60, 20, "against float64 of the processor, results poisoned"),
    Part("races", 50, 20, "compute-sanitizer on 184 atoms, where it is installed"),
    Part("kernels", 110, 30, "each kernel by events: sizes, rows, FMA and 3xTF32"),
    Part("openmm", 120, 30, "energies and forces in OpenMM against float64"),
    Part("steps", 120, 40, "steps in OpenMM, native force and PythonForce"),
    Part("nequip", 140, 60, "the same beside nequip, compiled by AOTInductor"),
    Part("memory", 50, 15, "memory of the card for 98,304 and 1,119,744 atoms"),
    Part("drift", 60, 20, "energy in 10 ps of NVE"),
    Part("committee", 30, 15, "steps of one model and of four"),
    Part("charges", 40, 20, "models with charges in OpenMM, beside the local one"),
    Part("training", 80, 40, "training with and without CUDA graphs, beside nequip"),
    Part("tests", 60, 30, "pytest -m gpu"),
)


def main() -> None:
    options = _options()
    chosen = [part for part in PARTS if part.name in options.parts]
    content = run(chosen, 60 * options.minutes, options.output, dry=options.dry_run)
    failed = [
        name
        for name, part in content["parts"].items()
        if part["status"] not in ("done", "left out")
    ]
    sys.exit(f"these parts have not ended well: {', '.join(failed)}" if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [part.name for part in PARTS]
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    parser.add_argument("--output", type=Path, default=FILES, metavar="FOLDER")
    parser.add_argument("--dry-run", action="store_true")
    return parser.parse_args()


def run(parts: list[Part], seconds: float, folder: Path, *, dry: bool) -> dict:
    """Run parts one after the other.

    Parameters
    ----------
    parts : list of Part
    seconds : float
        For all of them.
    folder : path
        Where the file goes.
    dry : bool
        Run on the processor, and leave times out.

    Returns
    -------
    dict
        What the file holds.
    """
    end = time.monotonic() + seconds
    content: dict = {"dry_run": dry, "parts": {}}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for part in parts:
            left = end - time.monotonic()
            if left < part.least and not dry:
                row = {
                    "status": "left out",
                    "reason": f"expected {part.least:.0f} s, found {left:.0f} s left",
                }
            else:
                row = _run(part, min(part.seconds, left), Path(scratch), dry=dry)
            content["parts"][part.name] = row
            if not dry:
                content["goals"] = judged(content["parts"])
            (folder / file_name(content)).write_text(
                json.dumps(content, indent=1) + "\n"
            )
            print("\n".join(_lines(part, row)), flush=True)
    for line in content.get("goals", []):
        print(f"{line['goal']}: {line['verdict']}", flush=True)
    return content


def file_name(content: dict) -> str:
    """Name of the file: the card's, once it is known."""
    if content["dry_run"]:
        return "gpu_dry_run.json"
    rows = content["parts"].get("machine", {}).get("rows", {})
    card = rows.get("card", {}).get("name", "unknown")
    return f"gpu_{re.sub('[^a-z0-9]+', '_', card.lower()).strip('_')}.json"


def _run(part: Part, seconds: float, scratch: Path, *, dry: bool) -> dict:
    """Run a part in a process, and stop it at its limit with all that it began."""
    file = scratch / f"{part.name}.json"
    command = [sys.executable, str(HERE / "part.py"), part.name, str(file)]
    command += [str(seconds), "dry" if dry else "card"]
    log = scratch / f"{part.name}.log"
    start = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        try:
            status = "failed" if process.wait(seconds) else "done"
        except subprocess.TimeoutExpired:
            status = "stopped at its limit"
        finally:
            _end(process)
    row = {"status": status}
    if not dry:
        row["seconds"] = round(time.monotonic() - start, 1)
    row["rows"] = json.loads(file.read_text()) if file.exists() else {}
    if status != "done":
        row["log"] = log.read_text(errors="replace").strip().splitlines()[-15:]
    return row


def _end(process: subprocess.Popen) -> None:
    """End what is left of a process's session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _lines(part: Part, row: dict) -> list[str]:
    seconds = f", {row['seconds']} s" if "seconds" in row else ""
    lines = [f"{part.name} ({part.about}): {row['status']}{seconds}"]
    lines += [f"  {row['reason']}"] if "reason" in row else []
    for key, numbers in row.get("rows", {}).items():
        text = ", ".join(f"{name} {_short(value)}" for name, value in numbers.items())
        lines.append(f"  {key}: {text}"[:200])
    return lines + [f"  | {line}"[:200] for line in row.get("log", [])[-5:]]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
