# SPDX-License-Identifier: MIT
"""Bound the time of a step on graphics cards by what it must compute and move.

On paper: nothing is measured, and no card is needed. Operations are counted from each
model's program (benchmarks/flops.py), rates are published ones (cards.py).

    python benchmarks/gpu/roofline.py

prints a table and writes benchmarks/results/roofline.json.

The ideal time is the longest of: multiplications and additions in float32, those of the
dense layers by tensor cores for 3xTF32, at a third of their TF32 rate; geometry in
double precision; exponentials; loads from work-group memory and L1 for the register
tiles, each address of a warp once; weights from L2, once a group, and what a group has
no room for; and pair list, positions and forces from the card's memory. The expected
time supposes that arithmetic reaches half of its peak (0.4 with tensor cores), that
geometry and network follow each other, that the rows of a group that hold no pair cost
as much as others, that groups of the last wave leave processors idle, and six launches.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from cards import CARDS, Card  # noqa: E402
from cases import Case, nacl  # noqa: E402
from cases import pairs as find_pairs  # noqa: E402
from flops import Counts, count  # noqa: E402
from stepper import Refused, plan  # noqa: E402

if TYPE_CHECKING:
    from openmm_allegro import Model
    from openmm_allegro.kernels.inference.program import Program

FILE = ROOT / "benchmarks" / "results" / "roofline.json"
ATOMS = 12_288
WAYS = {"FMA": 0.5, "3xTF32": 0.4}  # share of the peak that is expected
DOUBLE = 0.5  # share of the peak of double precision
LAUNCHES = 6 * 3e-6  # seconds
CHUNK = 64  # centres that are packed to groups together
# Numbers that a warp loads for each multiplication and addition of its tile of 16 rows
# and 32 columns (32 and 16 with tensor cores), each once.
LOADS = (16 + 32) / (16 * 32)
BYTES_OF_PAIR = 3 * 4 + 3 * 4 + 2 * 24  # list, rows twice, forces read and written
BYTES_OF_ATOM = 3 * 2 * 24  # positions and results


class Groups(NamedTuple):
    """Kernels of groups of so many rows, as the library plans them."""

    rows: int
    slots: int  # centres that a group may have
    memory: int  # bytes of work-group memory
    weights: int  # bytes that a group reads
    spilled: int  # bytes that it writes and reads for lack of work-group memory


class Workload(NamedTuple):
    """A model and the pairs of the atoms that it is run on."""

    counts: Counts
    degrees: np.ndarray  # [atoms], pairs of each
    program: Program


class Bound(NamedTuple):
    """Times of an atom, µs, by what takes them."""

    rows: int
    fill: float  # share of the rows that hold a pair
    parts: dict[str, float]
    ideal: float
    expected: float


def main() -> None:
    results = {name: row(*workload) for name, workload in workloads().items()}
    FILE.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(table(results)))


def workloads() -> dict[str, tuple[Workload, str]]:
    """Make those of the benchmarks and of the models below systems/, by name."""
    from workloads import MODELS, model, structure

    from openmm_allegro import load_model

    made = {"nacl_aq": (work_of(nacl(1)), "its own box")}
    water = structure("water", 192)
    arrays = list(water.symbols), water.positions, water.cell.array
    for name in MODELS:
        one = model("water", name)
        made[name] = workload(one, degrees(one, *arrays)), "water, 5 Å"
    for path in sorted((ROOT / "systems").glob("*/*.safetensors")):
        if path.stem != "nacl_aq":
            one = load_model(path)
            mean = float(np.mean(one.statistics.mean_neighbors))
            made[path.stem] = (
                workload(one, np.array([round(mean)])),
                "its training data",
            )
    return made


def workload(model: Model, pairs: np.ndarray) -> Workload:
    """Count the operations of a model, for atoms with so many pairs each."""
    from openmm_allegro.kernels.inference.folded import folded
    from openmm_allegro.kernels.inference.program import unpack

    program = folded(model, "single")
    counts = count(unpack(program), model.config.num_tensor_features)
    repeated = np.tile(pairs, -(-ATOMS // len(pairs)))[:ATOMS]
    return Workload(counts, repeated, program)


def groups_of(program: Program, memory: int) -> Groups | None:
    """The largest groups for so many bytes of work-group memory."""
    alone = plan(program, 0).weights  # those of the kernel for any number of rows
    for rows in (64, 32, 16):
        try:
            sizes = plan(program, rows, memory=memory)
        except Refused:
            continue
        weights = 4 * (sizes.weights - alone)
        return Groups(rows, sizes.slots, sizes.memory, weights, sizes.spilled_traffic)
    return None


def work_of(case: Case) -> Workload:
    """Count what a case of few atoms computes."""
    from openmm_allegro import load_model

    model = load_model(case.model)
    return workload(model, degrees(model, case.symbols, case.positions, case.cell))


def rates(work: Workload, card: str, way: str, measured: dict) -> dict[str, float]:
    """Rate of what was measured, and its share of the ideal one.

    Parameters
    ----------
    work : Workload
    card : str
        As NVIDIA's tool names it.
    way : str
    measured : dict
        With ``us_per_atom``.
    """
    pairs = float(work.degrees.mean())
    flops = pairs * work.counts.pair() + work.counts.entries
    numbers = {"tflop_per_second": 1e-6 * flops / measured["us_per_atom"]}
    names = [name for name in CARDS if name in card]
    ideal = bound(work, CARDS[names[0]], way) if names else None
    if ideal is not None:
        numbers["percent_of_ideal"] = 100 * ideal.ideal / measured["us_per_atom"]
    return numbers


def degrees(
    model: Model, symbols: Sequence[str], positions: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """Count the neighbours of each atom within the cutoffs of a model, [N]."""
    kinds = [model.config.elements.index(symbol) for symbol in symbols]
    limits = model.config.cutoff_table()[np.ix_(kinds, kinds)]
    centers, _, _ = find_pairs(positions, cell, limits)
    return np.bincount(centers, minlength=len(kinds))


def packed(pairs: np.ndarray, rows: int, slots: int) -> int:
    """Count the groups that whole centres fill, largest first."""
    groups = 0
    for start in range(0, len(pairs), CHUNK):
        room: list[list[int]] = []  # rows and slots that are left
        for degree in sorted(pairs[start : start + CHUNK].tolist(), reverse=True):
            if not 0 < degree <= rows:
                continue
            for left in room:
                if degree <= left[0] and left[1]:
                    left[0] -= degree
                    left[1] -= 1
                    break
            else:
                room.append([rows - degree, slots - 1])
        groups += len(room)
    return groups


def bound(work: Workload, card: Card, way: str) -> Bound | None:
    """Bound the time of an atom; None if a centre has more pairs than a group."""
    plan_of_card = groups_of(work.program, 1024 * card.group)
    if plan_of_card is None or work.degrees.max() > plan_of_card.rows:
        return None
    rows, slots, memory, weights, spilled = plan_of_card
    c, pairs = work.counts, float(work.degrees.mean())
    groups = packed(work.degrees, rows, slots)
    fill = work.degrees.sum() / (rows * groups)
    dense = card.tf32 * card.mma / 3 if way == "3xTF32" else card.fp32
    other = (c.tensor + c.rest) * pairs + c.entries
    fp32 = other + (c.linear * pairs if way == "FMA" else 0)
    cycles = 128 * card.multiprocessors * card.clock * 1e-3  # TB/s of L1
    parts = {  # 1e6 FLOP over TFLOP/s, or MB over TB/s, are µs
        "FMA": fp32 / card.fp32 / 1e6,
        "tensor cores": c.linear * pairs / dense / 1e6 if way == "3xTF32" else 0.0,
        "double": c.geometry * pairs / card.fp64 / 1e6,
        "exponentials": 2 * c.exponentials * pairs / (card.fp32 / 16) / 1e6,
        "L1": 4 * LOADS * c.linear * pairs / 2 / cycles / 1e6,
        "L2": (weights + spilled) * groups / len(work.degrees) / card.l2 / 1e6,
        "memory": (BYTES_OF_PAIR * pairs + BYTES_OF_ATOM) / card.memory / 1e6,
    }
    at_a_time = card.multiprocessors * max(
        1, int(1024 * card.shared // (memory + 1024))
    )
    waves = math.ceil(groups / at_a_time) * at_a_time / groups
    network = max((parts["FMA"] + parts["tensor cores"]) / WAYS[way], parts["L2"])
    busy = (network + parts["double"] / DOUBLE) / fill * waves
    return Bound(
        rows,
        fill,
        parts,
        max(parts.values()),
        busy + 1e6 * LAUNCHES / len(work.degrees),
    )


def row(work: Workload, pairs_of: str) -> dict:
    """Numbers of a model for all cards."""
    cards: dict[str, dict] = {}
    for name, card in CARDS.items():
        groups = groups_of(work.program, 1024 * card.group)
        rows = groups.rows if groups else 0
        is_wide = work.degrees > rows
        cards[name] = {
            "rows": rows,
            "pairs_by_wide": float(work.degrees[is_wide].sum() / work.degrees.sum()),
            "ways": {},
        }
        for way in WAYS:
            one = bound(work, card, way)
            if one is None:
                continue
            cards[name]["ways"][way] = {
                "rows_used": round(one.fill, 3),
                "bound_by": max(one.parts, key=one.parts.get),
                "us_per_atom": {k: float(f"{v:.3g}") for k, v in one.parts.items()},
                "ideal_us_per_atom": float(f"{one.ideal:.3g}"),
                "expected_us_per_atom": float(f"{one.expected:.3g}"),
                "expected_ms_per_step": float(f"{one.expected * ATOMS / 1000:.3g}"),
            }
    return {
        "pairs_per_atom": round(float(work.degrees.mean()), 1),
        "pairs_of": pairs_of,
        "kflop_per_pair": round(work.counts.pair() / 1000, 1),
        "kflop_per_centre": round(work.counts.entries / 1000, 1),
        "double_flop_per_pair": work.counts.geometry,
        "atoms": ATOMS,
        "cards": cards,
    }


def table(results: dict[str, dict]) -> list[str]:
    """Lines of the table, in Markdown."""
    heads = ["model", "pairs/atom", "kFLOP/pair", "card", "rows"]
    for way in WAYS:
        heads.append(f"{way}: ideal, expected µs/atom; bound by")
    heads.append(f"expected ms a step, {ATOMS:,} atoms")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, numbers in results.items():
        first = [name, f"{numbers['pairs_per_atom']}", f"{numbers['kflop_per_pair']}"]
        for card, one in numbers["cards"].items():
            cells = [*first, card, rows_of(one)]
            for way in one["ways"].values():
                ideal, expected = way["ideal_us_per_atom"], way["expected_us_per_atom"]
                cells.append(f"{ideal:.3g}, {expected:.3g}; {way['bound_by']}")
            cells += ["–"] * (len(heads) - 1 - len(cells))
            best = [way["expected_ms_per_step"] for way in one["ways"].values()]
            cells.append(f"{min(best):.3g}" if best else "–")
            lines.append(f"| {' | '.join(cells)} |")
            first = ["", "", ""]
    return lines


def rows_of(card: dict) -> str:
    """Rows of a group, and how many of the pairs are those of larger centres."""
    if not card["pairs_by_wide"]:
        return str(card["rows"])
    return f"{card['rows']}; {100 * card['pairs_by_wide']:.0f} % of pairs by `wide`"


if __name__ == "__main__":
    main()
