# SPDX-License-Identifier: MIT
"""Fill the tables of speed from peers.json and scaling.json, and draw both.

    python benchmarks/report.py

rewrites what stands between two comments in docs/speed.md and in the README, and
results/speed.png.
"""

import json
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(
    r"(<!-- (speed|peers): by benchmarks/report.py -->\n).*?(<!-- end of \2 -->)",
    re.DOTALL,
)
PAGES = ROOT / "docs" / "speed.md", ROOT / "README.md"
SHORT = {"l1_1layer": "1 × 1", "l2_2layers": "2 × 2", "l3_3layers": "3 × 3"}
NAMES = {"water": "water", "li3po4": "Li3PO4"}
PEER = "OpenMM-ML nequip"
# variant: heading of its column
COLUMNS = {
    PEER: "OpenMM-ML `nequip`",
    "ours, plain": "plain torch",
    "ours, fused": "TorchForce",
    "ours, table": "TorchForce, table",
    "ours, native": "native",
    "ours, native table": "native, table",
}
# Of these the memory is shown, and the others have about that of one of them.
WITH_MEMORY = (PEER, "ours, fused", "ours, native")
COMPARED = ("ours, fused", "ours, table", "ours, native", "ours, native table")
MODES = ("eager", "TorchScript", "AOTInductor")


def main() -> None:
    peers, scaling = read_results()
    print(speed(peers, scaling))
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8"), peers, scaling), "utf-8")
    _plot(peers["results"], scaling["results"])


def read_results() -> tuple[dict, dict]:
    """Read peers.json and scaling.json."""
    names = "peers.json", "scaling.json"
    peers, scaling = (json.loads((RESULTS / name).read_text()) for name in names)
    return peers, scaling


def filled(text: str, peers: dict, scaling: dict) -> str:
    """Put the numbers into the text of a page."""
    blocks = {"speed": speed(peers, scaling), "peers": compared(peers)}
    return BLOCK.sub(
        lambda match: f"{match[1]}\n{blocks[match[2]]}\n\n{match[3]}", text
    )


def speed(peers: dict, scaling: dict) -> str:
    """Table of the peers, and sentences on nequip's own modes and many atoms."""
    parts = ["\n".join(_table(peers["results"])), _modes(peers["results"])]
    parts += [_many_atoms(scaling), _machine(peers["hardware"])]
    text = " ".join(part for part in parts[1:] if part)
    return parts[0] + "\n\n" + textwrap.fill(text, 100, break_on_hyphens=False)


def compared(peers: dict) -> str:
    """Table of the native force beside OpenMM-ML, where both were measured."""
    heads = ["system, atoms", "l_max × layers", COLUMNS[PEER], "native", "with a table"]
    lines = [f"| {' | '.join([*heads, 'times as fast'])} |", "|---" * 6 + "|"]
    for key, row in sorted(peers["results"].items(), key=_order):
        system, atoms, model = key.split(", ")
        names = PEER, "ours, native", "ours, native table"
        if "ms_per_step" in row.get(PEER, {}):
            cells = [f"{NAMES[system]}, {int(atoms.split()[0]):,}", SHORT[model]]
            cells += [_cell(name, row[name]) for name in names]
            lines.append(f"| {' | '.join([*cells, _ratios(row, names[1:])])} |")
    hardware = textwrap.fill(_hardware(peers["hardware"]) + ".", 100)
    return "\n".join(lines) + f"\n\n{hardware}"


def _table(results: dict) -> list[str]:
    heads = ["system, atoms", "l_max × layers", *COLUMNS.values()]
    heads.append("times as fast as OpenMM-ML: the last four")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for key, row in sorted(results.items(), key=_order):
        system, atoms, model = key.split(", ")
        cells = [f"{NAMES[system]}, {int(atoms.split()[0]):,}", SHORT[model]]
        cells += [_cell(name, row.get(name, {})) for name in COLUMNS]
        lines.append(f"| {' | '.join([*cells, _ratios(row)])} |")
    return lines


def _order(item: tuple[str, dict]) -> tuple[bool, str, int]:
    system, atoms, model = item[0].split(", ")
    return system != "water", model, int(atoms.split()[0])


def _cell(name: str, numbers: dict) -> str:
    if "ms_per_step" in numbers:
        time = f"{_digits(numbers['ms_per_step'])} ms"
        memory = f", {numbers['peak_gb']:.2g} GB" if name in WITH_MEMORY else ""
        return time + memory
    reason = numbers.get("failed", "–")
    return reason.partition(":")[2].strip() or reason


def _ratios(row: dict, names: tuple[str, ...] = COMPARED) -> str:
    key = f"times_faster_than_{PEER}"
    ratios = [row.get(name, {}).get(key) for name in names]
    if not any(ratios):
        return "–"
    return ", ".join(
        f"{ratio:.{int(ratio < 10)}f}" if ratio else "–" for ratio in ratios
    )


def _digits(value: float) -> str:
    """Write a number with three digits, and never as a power of ten."""
    return (
        f"{value:#.3g}" if value < 100 else f"{round(value, -1 * (value >= 1e3)):.0f}"
    )


def _modes(results: dict) -> str:
    """Describe nequip's own modes, of the one case in which they were measured."""
    for key, row in results.items():
        times = [row.get(f"nequip {mode}", {}).get("ms_per_step") for mode in MODES]
        if all(times):
            system, atoms, model = key.split(", ")
            names, values = (
                f"{', '.join(words[:-1])} and {words[-1]}"
                for words in (MODES, [_digits(time) for time in times])
            )
            return (
                f"nequip's own modes ({names}) took {values} ms for {atoms} of "
                f"{NAMES[system]}, {SHORT[model]}, without the pair list."
            )
    return ""


def _many_atoms(scaling: dict) -> str:
    """Describe energies and forces of many atoms in one call."""
    rows, force = scaling["results"], scaling.get("backend", "torchforce")
    force = {"native": "the native force", "torchforce": "TorchForce's module"}[force]
    most = rows[-1]
    large = [row["us_per_atom"] for row in rows if row["atoms"] > 1000]
    return (
        f"One call of {force} for energy and forces of {most['atoms']:,} atoms of "
        f"water, 2 × 2, takes {most['seconds']:.0f} s and {most['peak_gb']:.1f} GB; an "
        f"atom costs "
        f"{min(large):.0f} to {max(large):.0f} µs from {rows[1]['atoms']:,} atoms on."
    )


def _hardware(hardware: dict) -> str:
    versions = hardware["versions"]
    return (
        f"All with {hardware['threads_used']} threads on {hardware['cores']} cores of "
        f"{hardware['processor']}, OpenMM {versions['openmm']}, torch "
        f"{versions['torch']}"
    )


def _machine(hardware: dict) -> str:
    return (
        f"{_hardware(hardware)}; `benchmarks/peers.py`, `benchmarks/scaling.py` and "
        "`benchmarks/report.py` measure, fill in and draw this."
    )


def _plot(peers: dict, scaling: list[dict]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [name for name in SHORT if f"water, 192 atoms, {name}" in peers]
    variants = ("nequip eager", "nequip AOTInductor", *COLUMNS)
    colors = ("0.75", "0.6", "0.45", "C4", "C0", "C9", "C1", "C2")
    shown: set[str] = set()
    for index, (variant, color) in enumerate(zip(variants, colors, strict=True)):
        for place, name in enumerate(names):
            numbers = peers[f"water, 192 atoms, {name}"].get(variant, {})
            if "ms_per_step" not in numbers:
                continue
            low, high = numbers["spread_ms"]
            value = numbers["ms_per_step"]
            left.bar(
                place + 0.11 * (index - 3.5),
                value,
                0.1,
                color=color,
                yerr=[[value - low], [high - value]],
                error_kw={"lw": 0.8},
                label=None if variant in shown else variant,
            )
            shown.add(variant)
    left.set(yscale="log", ylabel="ms per step", title="192 atoms of water")
    left.set_xticks(range(len(names)), [SHORT[n] for n in names])
    left.set_xlabel("l_max × layers\n(no bar: not timed, or out of memory)")
    left.legend(fontsize=7, ncols=2, loc="upper left")
    left.set_ylim(top=left.get_ylim()[1] * 10)
    atoms = [row["atoms"] for row in scaling]
    right.plot(atoms, [row["us_per_atom"] for row in scaling], "o-", color="C0")
    right.set(xscale="log", xlabel="atoms", ylabel="µs per atom")
    right.set_ylim(0, 1.2 * max(row["us_per_atom"] for row in scaling))
    right.set_title("one call, l_max × layers 2 × 2")
    memory = right.twinx()
    memory.plot(atoms, [row["peak_gb"] for row in scaling], "s--", color="0.5")
    memory.set(ylim=(0, 10), ylabel="peak memory, GB (dashed)")
    figure.savefig(RESULTS / "speed.png", dpi=200)


if __name__ == "__main__":
    main()
