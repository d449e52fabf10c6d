# SPDX-License-Identifier: MIT
"""Fill the table of docs/install.md from results/installs.json.

python benchmarks/installs_table.py
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "installs.json"
PAGE = ROOT / "docs" / "install.md"
BLOCK = re.compile(
    r"(<!-- installs: by benchmarks/installs_table.py -->\n).*?"
    r"(<!-- end of installs -->)",
    re.DOTALL,
)
# way: its cell
NAMES = {
    "base": "from source, with the compiler's part",
    "wheel": "a wheel, without a compiler",
    "sdist, no compiler": "the sdist, without a compiler",
    "models": "`./systems` beside it",
    "analysis": "`[analysis]`",
    "train beside a CPU torch": "`[train]`, a CPU build of torch being there",
    "train": "`[train]`",
    "torchforce": "`[torchforce]`",
    "all": "`[all]`",
}
HEADS = ("install", "size", "time", "processors", "packages", "does")
DONE = ("simulate", "simulate by name", "analyze", "train", "torchforce")


def fill() -> None:
    """Write the table into the page."""
    content = json.loads(RESULTS.read_text())
    PAGE.write_text(filled(PAGE.read_text("utf-8"), content), "utf-8")


def filled(text: str, content: dict) -> str:
    """A page with its table as measured."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{table(content)}\n\n{match[2]}", text)


def table(content: dict) -> str:
    """Rows in the order of ``NAMES``."""
    lines = [f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|"]
    rows = content["installs"]
    for way in filter(rows.__contains__, NAMES):
        row = rows[way]
        cells = [
            NAMES[way],
            _size(row["megabytes"]),
            f"{row['seconds']:.0f} s",
            f"{row['processor_seconds']:.0f} s",
            str(row["packages"]),
            _done(row.get("can")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _done(checks: dict | None) -> str:
    """What an environment could do; an early measurement did not ask."""
    if checks is None:
        return "not tried"
    return ", ".join(name for name in DONE if checks[name]["done"]) or "–"


def _size(megabytes: int) -> str:
    return f"{megabytes} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


if __name__ == "__main__":
    fill()
