# SPDX-License-Identifier: MIT
"""Print the README's table of speed, and draw it, from peers.json and scaling.json.

python benchmarks/report.py

prints the table and writes benchmarks/results/speed.png.
"""

import json
from pathlib import Path

from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
SHORT = {"l1_1layer": "1 × 1", "l2_2layers": "2 × 2", "l3_3layers": "3 × 3"}
OURS = ("ours, plain", "ours, fused", "ours, table")
COLUMNS = ("OpenMM-ML nequip", "nequip AOTInductor", *OURS)


def main() -> None:
    peers = json.loads((RESULTS / "peers.json").read_text())
    scaling = json.loads((RESULTS / "scaling.json").read_text())
    print(
        "| system, atoms | l_max × layers |",
        " | ".join(COLUMNS),
        "| fused : OpenMM-ML |",
    )
    print("|---" * (len(COLUMNS) + 3) + "|")
    for key, row in sorted(peers["results"].items(), key=_order):
        system, atoms, model = key.split(", ")
        cells = [_cell(row.get(column, {})) for column in COLUMNS]
        ratio = row["ours, fused"].get("times_faster_than_OpenMM-ML nequip")
        last = f"{ratio:.0f} ×" if ratio else "–"
        atoms = int(atoms.split()[0])
        print(
            f"| {system}, {atoms:,} | {SHORT[model]} |",
            " | ".join(cells),
            f"| {last} |",
        )
    print()
    print("| atoms | s per call | µs/atom | finding the pairs, s | peak memory, GB |")
    print("|---|---|---|---|---|")
    for row in scaling["results"]:
        print(
            f"| {row['atoms']:,} | {row['seconds']:.3g} | {row['us_per_atom']:.1f} | "
            f"{row['seconds_list']:.2g} | {row['peak_gb']:.2f} |"
        )
    _plot(peers["results"], scaling["results"])


def _order(item: tuple[str, dict]) -> tuple[bool, str, int]:
    system, atoms, model = item[0].split(", ")
    return system != "water", model, int(atoms.split()[0])


def _cell(numbers: dict) -> str:
    if "ms_per_step" in numbers:
        return f"{numbers['ms_per_step']:.3g} ms, {numbers['peak_gb']:.2g} GB"
    reason = numbers.get("failed", "–")
    return reason.partition(":")[2].strip() or reason


def _plot(peers: dict, scaling: list[dict]) -> None:
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [name for name in SHORT if f"water, 192 atoms, {name}" in peers]
    variants = ("nequip eager", *COLUMNS)
    colors = ("0.75", "0.6", "0.45", "C0", "C1", "C2")
    shown: set[str] = set()
    for index, (variant, color) in enumerate(zip(variants, colors, strict=True)):
        for place, name in enumerate(names):
            numbers = peers[f"water, 192 atoms, {name}"].get(variant, {})
            if "ms_per_step" not in numbers:
                continue
            low, high = numbers["spread_ms"]
            value = numbers["ms_per_step"]
            left.bar(
                place + 0.14 * (index - 2.5),
                value,
                0.13,
                color=color,
                yerr=[[value - low], [high - value]],
                error_kw={"lw": 0.8},
                label=None if variant in shown else variant,
            )
            shown.add(variant)
    left.set(yscale="log", ylabel="ms per step", title="192 atoms of water")
    left.set_xticks(range(len(names)), [SHORT[n] for n in names])
    left.set_xlabel("l_max × layers\n(no bar: not timed or out of memory, see README)")
    left.legend(fontsize=7, ncols=2, loc="upper left")
    left.set_ylim(top=left.get_ylim()[1] * 6)
    atoms = [row["atoms"] for row in scaling]
    right.plot(atoms, [row["us_per_atom"] for row in scaling], "o-", color="C1")
    right.set(xscale="log", xlabel="atoms", ylabel="µs per atom", ylim=(0, 80))
    right.set_title("fused, l_max × layers 2 × 2")
    memory = right.twinx()
    memory.plot(atoms, [row["peak_gb"] for row in scaling], "s--", color="0.5")
    memory.set(ylim=(0, 10), ylabel="peak memory, GB (dashed)")
    figure.savefig(RESULTS / "speed.png", dpi=200)


if __name__ == "__main__":
    main()
