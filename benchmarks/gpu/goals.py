# SPDX-License-Identifier: MIT
"""Goals of the kernels on a card of Hopper's generation, and what was reached."""

from typing import NamedTuple


class Goal(NamedTuple):
    """A number of a part's row, and the most or the least that it should be."""

    part: str
    row: str
    number: str
    limit: float
    at_least: bool = False


WATER = "water l2_2layers, 12288 atoms"
NACL = "nacl_aq, 11776 atoms"
GOALS = (
    Goal("kernels", f"{WATER}, FMA, 64 rows", "us_per_atom", 0.40),
    Goal("kernels", f"{WATER}, 3xTF32, 64 rows", "us_per_atom", 0.20),
    Goal("kernels", f"{NACL}, FMA, 64 rows", "us_per_atom", 0.18),
    Goal("kernels", f"{NACL}, 3xTF32, 64 rows", "us_per_atom", 0.10),
    Goal("kernels", "water l2_2layers, 192 atoms, FMA, 64 rows", "ms", 0.15),
    Goal("steps", "192 atoms, ours, native", "ms", 0.25),
    Goal("steps", "192 atoms, ours, PythonForce", "ms", 1.2),
    Goal("correct", "nacl_aq, FMA, 64 rows", "launches", 6),
    Goal("correct", "nacl_aq, FMA, 64 rows", "waits", 0),
    Goal("correct", "nacl_aq, FMA, 64 rows", "force_error_of_float32", 3.0),
    Goal("correct", "nacl_aq, 3xTF32, 64 rows", "force_error_of_float32", 3.0),
    Goal("charges", f"{NACL}, learned, steps", "times_of_one", 1.65),
    Goal("charges", f"{NACL}, constant, steps", "times_of_one", 1.15),
    Goal("nequip", "192 atoms", "times_as_fast", 5.0, at_least=True),
    Goal("nequip", "12288 atoms", "times_as_fast", 2.0, at_least=True),
)


def judged(parts: dict[str, dict]) -> list[dict]:
    """Say of each goal whether it was met, or how far it is.

    Parameters
    ----------
    parts : dict
        Of each part its ``rows``, as the file of ``run.py`` has them.
    """
    lines = []
    for goal in GOALS:
        value = parts.get(goal.part, {}).get("rows", {}).get(goal.row, {})
        value = value.get(goal.number)
        word = "at least" if goal.at_least else "at most"
        name = f"{goal.part}, {goal.row}: {goal.number} {word} {goal.limit:g}"
        lines.append({"goal": name, "value": value, "verdict": _verdict(goal, value)})
    return lines


def _verdict(goal: Goal, value: float | None) -> str:
    if value is None:
        return "not measured"
    if (value >= goal.limit) if goal.at_least else (value <= goal.limit):
        return f"met, {value:.3g}"
    if not goal.limit:
        return f"missed, {value:.3g}"
    ratio = goal.limit / value if goal.at_least else value / goal.limit
    return f"missed by a factor of {ratio:.3g}, {value:.3g}"
