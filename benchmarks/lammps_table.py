# SPDX-License-Identifier: MIT
"""Lines of the tables that lammps.py prints of its results."""

from collections.abc import Iterator

DAY = 86400.0  # s
CORES = 10_000
# Allegro in LAMMPS on A100 cards, with models of one layer and one feature: Musaelian
# and others, Nat Commun 14, 579 (2023), doi:10.1038/s41467-023-36329-y, table 4.
# Atoms, cards, ns/day; the time step of Li3PO4 was 2 fs. For 421,824 atoms the table's
# own times of an atom and step, 0.552 and 0.018 µs, are 0.7 of what its ns/day make.
PAPER = (
    ("Li3PO4", 421_824, 1, 0.518),
    ("Li3PO4", 421_824, 64, 15.5),
    ("Li3PO4", 50_331_648, 128, 0.274),
    ("Ag", 100_640_512, 128, 1.539),
)
PAPER_FS = 2.0


def lines(content: dict) -> Iterator[str]:
    """Make lines of Markdown of the parts that were measured."""
    yield "| | LAMMPS | beside | aim |"
    yield "|---|---|---|---|"
    for part, rows in _PARTS.items():
        if part in content:
            for cells in rows(content[part]):
                yield f"| {' | '.join(cells)} |"
    if "cost" in content:
        yield ""
        yield from _paper(content["cost"]["rows"])


def _cost(part: dict) -> Iterator[list[str]]:
    for name, row in part["rows"].items():
        ratio = row["lammps_over_kernel_quartiles"][1]
        yield [
            f"{name}: µs an atom and core, {row['atoms']:,} atoms",
            f"{row['lammps_us_per_atom']:.2f}",
            f"{row['kernel_us_per_atom']:.2f} by the kernel alone",
            f"≤ 1.1 ×: {ratio:.3f}",
        ]


def _memory(part: dict) -> Iterator[list[str]]:
    for row in part["rows"]:
        yield [
            f"one rank, {row['atoms']:,} atoms: peak of the memory",
            f"{row['peak_mb']:.0f} MB",
            f"{row['us_per_atom']:.1f} µs an atom, a new list at each step",
            "≤ 700 MB" if row["atoms"] > 1e6 else "",
        ]
    yield [
        "of it, by the slope",
        f"{part['bytes_per_atom']:.0f} B an atom",
        f"{part['mb_per_rank']:.0f} MB a rank",
        "",
    ]


def _ranks(part: dict) -> Iterator[list[str]]:
    for row in part["rows"]:
        yield [
            f"{row['two_body']}, {part['atoms']:,} atoms, ranks: {row['ranks']}",
            f"{row['proportional_mb']:.0f} MB together",
            f"largest rank {max(row['peaks_mb']):.0f} MB, of which the model's file is "
            f"{row['file_mb']:.0f} MB",
            "one copy of the table" if row["two_body"] == "table" else "",
        ]


def _scaling(part: dict) -> Iterator[list[str]]:
    seconds = {name: min(t) for name, t in part["seconds_per_step"].items()}
    yield [
        f"{part['atoms']:,} atoms, one rank to two",
        f"{part['speedup']:.2f} ×",
        f"{seconds['one']:.2f} and {seconds['two']:.2f} s a step at best",
        "≥ 1.9",
    ]
    yield [
        f"{part['atoms'] // 2:,} atoms a rank, one rank to two",
        f"{part['weak_efficiency']:.2f} of the speed",
        f"{seconds['half on one']:.2f} and {seconds['two']:.2f} s a step at best",
        "",
    ]


def _big(part: dict) -> Iterator[list[str]]:
    peaks = ", ".join(f"{peak / 1000:.2f}" for peak in part["peaks_mb"])
    yield [
        f"{part['atoms']:,} atoms, {part['steps']} steps, ranks: {part['ranks']}",
        f"{part['proportional_mb'] / 1000:.2f} GB together",
        f"peaks of the ranks: {peaks} GB; {part['seconds']:.0f} s on a busy machine",
        "≤ 6 GB",
    ]


def _extrapolation(part: dict) -> Iterator[list[str]]:
    for name, seconds in part["core_seconds_per_step"].items():
        yield [
            f"{name}: a step of 10⁸ atoms, extrapolated",
            f"{seconds:.0f} s of one core",
            f"{1000 * seconds / CORES:.0f} ms on {CORES:,} that scale without loss",
            "",
        ]
    for ranks, gigabytes in part["gb"].items():
        what = f"memory of 10⁸ atoms, ranks: {ranks}, extrapolated"
        yield [what, f"{gigabytes:.0f} GB", "", ""]


def _paper(rows: dict) -> Iterator[str]:
    """The paper's speeds, and the cores that our small model would need for them."""
    yield (
        "| Musaelian et al. 2023, table 4, on A100 | ns/day | µs an atom and card | "
        "cores for it, by the small model, if they scale without loss |"
    )
    yield "|---|---|---|---|"
    ours = rows["li3po4, small"]["lammps_us_per_atom"]
    for system, atoms, cards, speed in PAPER:
        cells = [f"{system}, {atoms:,} atoms, {cards}", f"{speed}", "", ""]
        if system == "Li3PO4":
            seconds = PAPER_FS * 1e-6 * DAY / speed  # a step
            cells[2] = f"{1e6 * seconds * cards / atoms:.2f}"
            cells[3] = f"{atoms * ours * 1e-6 / seconds:,.0f}"
        yield f"| {' | '.join(cells)} |"


_PARTS = {
    "cost": _cost,
    "memory": _memory,
    "ranks": _ranks,
    "scaling": _scaling,
    "big": _big,
    "extrapolation": _extrapolation,
}
