# SPDX-License-Identifier: MIT
"""Lines of the table that native.py prints of its results."""

from collections.abc import Iterator

BACKENDS = ("torchforce", "native")


def rows(content: dict) -> Iterator[str]:
    """Make lines of Markdown of the parts that were measured."""
    yield "| | TorchForce | native | aim |"
    yield "|---|---|---|---|"
    for part in _PARTS:
        if part in content:
            for cells in _PARTS[part](content[part]):
                yield f"| {' | '.join(cells)} |"


def _first(part: dict) -> Iterator[list[str]]:
    for name, label in (("native", ""), ("native, small install", ", small install")):
        if name not in part:
            continue
        values = part["torchforce"], part[name]
        if "failed" in part[name]:
            yield [f"first energy{label}", "", part[name]["failed"], ""]
            continue
        for key, what, unit, aim in (
            ("processor_seconds", "processor time to the first energy", "s", "≤ 0.5"),
            ("resident", "resident memory then", "MiB", "≤ 60"),
            ("unique", "of it, this process's alone", "MiB", ""),
            ("proportional", "with its share of shared pages", "MiB", ""),
        ):
            digits, scale = (2, 1.0) if unit == "s" else (0, 1e6 / 2**20)
            numbers = [f"{scale * v[key]:.{digits}f} {unit}" for v in values]
            yield [what + label, *numbers, aim]


def _steps(part: dict) -> Iterator[list[str]]:
    for name, numbers in part.items():
        for kind, what in (("processor_ms", "processor"), ("wall_ms", "wall")):
            times = numbers[kind]
            ratio = times["native_over_torchforce_quartiles"][1]
            yield [
                f"{what} time of a step, {name}",
                *(f"{times[backend]:.2f} ms" for backend in BACKENDS),
                f"≤ 0.9: {ratio:.2f}" if kind == "processor_ms" else f"{ratio:.2f}",
            ]


def _contexts(part: dict) -> Iterator[list[str]]:
    cells = [
        f"{part[backend]['growth_mb']['resident']:+.1f} MB in "
        f"{part[backend]['contexts']}"
        for backend in BACKENDS
    ]
    yield ["Contexts made and deleted", *cells, "< 1 MB in 400"]


def _energies(part: dict) -> Iterator[list[str]]:
    values = [part[backend] for backend in BACKENDS]
    yield [
        "energy alone : with forces",
        *(f"{value['energy_over_forces']:.2f}" for value in values),
        "",
    ]
    cells = [f"{value['volume_move_ms']:.2f} ms" for value in values]
    yield ["a volume move", *cells, ""]


def _restart(part: dict) -> Iterator[list[str]]:
    for threads in (1, 2):
        both = [part[f"{backend}, {threads} threads"] for backend in BACKENDS]
        what = f"restart, after {both[0]['steps']} steps, {threads} threads"
        cells = [
            f"off by {x:.0e} nm" if (x := one["largest_distance_nm"]) else "bit for bit"
            for one in both
        ]
        yield [what, *cells, "bit for bit"]


def _grid(part: dict) -> Iterator[list[str]]:
    largest = part["largest"]
    cell = f"{largest['energy']:.0e}, {largest['force']:.0e}"
    cases = f"dE, dF in double, {part['cases']} cases"
    yield [cases, "", cell, "≤ 1e-12"]


def _table(part: dict) -> Iterator[list[str]]:
    error, bound = part["largest_error_ev_per_angstrom"], part["bound_ev_per_angstrom"]
    what = f"error of the table's forces, {part['frames']} frames"
    yield [what, "", f"{error:.1e} eV/Å", f"≤ {bound:.1e} eV/Å"]


def _xml(part: dict) -> Iterator[list[str]]:
    equal = [
        row
        for row in part.values()
        if row == {"energy_differs_by": 0.0, "forces": "the same bytes"}
    ]
    what = "XML of one OpenMM read by another, the same forces"
    yield [what, "", f"{len(equal)} of {len(part)} pairs", "all"]


def _pairs(part: dict) -> Iterator[list[str]]:
    what = f"pair list unlike vesin's, {part['pairs']:,} pairs"
    yield [what, "", f"{part['different']} of {part['boxes']} boxes", "0 of ≥ 1,000"]


_PARTS = {
    "first": _first,
    "steps": _steps,
    "contexts": _contexts,
    "energies": _energies,
    "restart": _restart,
    "grid": _grid,
    "table": _table,
    "xml": _xml,
    "pairs": _pairs,
}
