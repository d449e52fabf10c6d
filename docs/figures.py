# SPDX-License-Identifier: MIT
"""Draw the figures of the manual by the commands that its pages print.

    openmm-allegro simulate docs/figures.toml --output runs/figures --seed 1
    openmm-allegro simulate systems/li6ps5cl/jumps.toml --output runs/li6ps5cl_jumps \\
        --threads 1 --seed 27
    python docs/figures.py [NAME ...]

runs every ``openmm-allegro analyze`` of the pages that writes into docs/figures, from
the top of the checkout. The first run takes some minutes, the second, of a solid at
five temperatures, hours. A figure of a run that is not there stays as it is.
"""

import re
import shlex
import sys
from pathlib import Path

from openmm_allegro.cli.main import main

ROOT = Path(__file__).parents[1]
FOLDER = "docs/figures"
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands(page: Path) -> dict[str, list[str]]:
    """Arguments of the commands of a page that draw, by the figure's file."""
    text = "".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    found = {}
    for line in text.replace("\\\n", "").splitlines():
        words = shlex.split(line, comments=True)
        for word in words:
            if word.startswith(f"{FOLDER}/"):
                found[word] = words[1:]
    return found


def draw(names: list[str]) -> int:
    """Draw all figures, or those of some names; the number that were not drawn."""
    left_out = 0
    for page in sorted((ROOT / "docs").glob("**/*.md")):
        for figure, words in commands(page).items():
            if names and Path(figure).stem not in names:
                continue
            source = next((x for x in words if x.startswith("runs/")), "")
            # The name of a run is a prefix.
            there = list((ROOT / source).parent.glob(f"{Path(source).name}*"))
            if source and not there:
                print(f"left as it is, for there is no {source}: {figure}")
                left_out += 1
            else:
                print(f"openmm-allegro {shlex.join(words)}")
                left_out += main([*words, "--force"]) != 0
    return left_out


if __name__ == "__main__":
    # tables.py beside this script is not the library of that name, which reads HDF5.
    sys.path = [x for x in sys.path if Path(x).resolve() != Path(__file__).parent]
    sys.exit(min(draw(sys.argv[1:]), 1))
