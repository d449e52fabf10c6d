# SPDX-License-Identifier: MIT
"""Fill the tables of docs/gpu.md from roofline.json and gpu_checks.json.

    python benchmarks/gpu/page.py

rewrites what stands between lines such as

    <!-- gpu: roofline -->
    <!-- end of gpu -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "gpu.md"
BLOCK = re.compile(r"(<!-- gpu: (\w+) -->\n).*?(<!-- end of gpu -->)", re.DOTALL)
WAYS = ("FMA", "3xTF32")
SHOWN = ("nacl_aq", "l1_1layer", "l2_2layers", "l3_3layers")


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")


def filled(text: str) -> str:
    """The page with its tables as the results are now."""

    def fill(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        lines = "\n".join(TABLES[name]())
        return f"{begin}\n{lines}\n\n{end}"

    return BLOCK.sub(fill, text)


def _read(name: str) -> dict:
    return json.loads((RESULTS / name).read_text("utf-8"))


def roofline() -> Iterable[str]:
    """Bounds of the models of the speed table and of aqueous NaCl."""
    heads = ["model, pairs an atom, kFLOP a pair", "card", "rows", *WAYS]
    yield from _head([*heads, "ms a step of 12,288 atoms"])
    for name, numbers in _read("roofline.json").items():
        if name not in SHOWN:
            continue
        about = f"{numbers['pairs_per_atom']:.0f}, {numbers['kflop_per_pair']:.0f}"
        first = f"{name}, {about}"
        for card, one in numbers["cards"].items():
            ways = one["ways"]
            wide = one["pairs_by_wide"]
            rows = f"{one['rows']}" + (f", {100 * wide:.0f} % wide" if wide else "")
            cells = [first, card, rows, *(_bound(ways.get(way)) for way in WAYS)]
            best = [way["expected_ms_per_step"] for way in ways.values()]
            yield _row([*cells, f"{min(best):.2g}" if best else "–"])
            first = ""


def _bound(one: dict | None) -> str:
    if one is None:
        return "–"
    ideal, expected = one["ideal_us_per_atom"], one["expected_us_per_atom"]
    return f"{ideal:.2g} → {expected:.2g}, {one['bound_by']}"


def numbers() -> Iterable[str]:
    """Errors and sanitizers of each model."""
    heads = ["model", *(f"force error, {way}" for way in WAYS), "in double, eV/Å"]
    yield from _head([*heads, "order", "races", "memory"])
    for name, checks in _read("gpu_checks.json").items():
        rows = checks.get("numbers", {})
        cells = [name]
        for way in WAYS:
            ratios = [
                row["force_error_of_float32"]
                for key, row in rows.items()
                if key.startswith(f"{way},")
            ]
            cells.append(f"{max(ratios):.1f}" if ratios else "–")
        double = [
            row["force_error_ev_per_angstrom"]
            for key, row in rows.items()
            if key.startswith("double")
        ]
        cells.append(f"{max(double):.0e}" if double else "–")
        same = [row["same_in_any_order"] for row in rows.values()]
        cells.append({True: "same", False: "differs"}[all(same)] if same else "–")
        for check in ("races", "memory"):
            found = [row["error"] for row in checks.get(check, {}).values()]
            cells.append(("found" if any(found) else "none") if found else "–")
        yield _row(cells)


def compiled() -> Iterable[str]:
    """Registers, memory, size and time of compilation by architecture."""
    yield from _head(["model", "architecture", *WAYS])
    for name, checks in _read("gpu_checks.json").items():
        rows = checks.get("compiled", {})
        for architecture in dict.fromkeys(key.partition(",")[0] for key in rows):
            kernels = [rows.get(f"{architecture}, {way}", {}) for way in WAYS]
            yield _row([name, architecture, *map(_kernel, kernels)])
            name = ""


def _kernel(row: dict) -> str:
    if "registers" not in row:
        return row.get("left_out", "–")
    return (
        f"{row['rows'] or 'any'}, {row['registers']}, {row['spills']} B, "
        f"{row['shared_kb']:.0f} kB, {row['cubin_kb']} kB, {row['seconds']:.0f} s"
    )


def _head(names: list[str]) -> list[str]:
    return [_row(names), "|---" * len(names) + "|"]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


TABLES = {"roofline": roofline, "numbers": numbers, "compiled": compiled}


if __name__ == "__main__":
    main()
