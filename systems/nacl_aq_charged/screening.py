# SPDX-License-Identifier: MIT
"""Draw how two models screen waves of charge.

    python systems/nacl_aq_charged/screening.py charged.json local.json

Each file is what ``openmm-allegro analyze charge-structure --json`` wrote of a run with
the model. README.md has the commands. Writes screening.png and screening.json, the
numbers that are drawn, beside this file.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
NAMES = ("with charges", "without charges")
COLORS = ("#0072b2", "#d55e00")


def main() -> None:
    """Read the two files, draw them, and write what is drawn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("charged", type=Path)
    parser.add_argument("local", type=Path)
    options = parser.parse_args()
    kept = {}
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    for name, color, path in zip(
        NAMES, COLORS, (options.charged, options.local), strict=True
    ):
        kept[name] = content = _what_is_drawn(json.loads(path.read_text()))
        axes.errorbar(
            content["q_per_nm"],
            content["screening"],
            content["error"],
            fmt="o",
            capsize=3,
            color=color,
            label=f"{name}, {content['time_ps']:.0f} ps",
        )
    axes.axhline(1.0, color="0.4", linestyle="--", label="of a conductor, q → 0")
    axes.set(
        xlabel="wave vector q, 1/nm",
        ylabel=r"e² N S$_{zz}$ / (ε$_0$ V k$_B$T q²)",
        xlim=(0.0, None),
        yscale="log",
    )
    axes.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(HERE / "screening.png", dpi=150)
    (HERE / "screening.json").write_text(json.dumps(kept, indent=1) + "\n")


def _what_is_drawn(content: dict) -> dict:
    result = content["results"]["all"]
    frames = content["frames"][0]
    return {
        "charges": content["options"]["charges"],
        "time_ps": round(frames["last_time_ps"] - frames["first_time_ps"], 3),
        "q_per_nm": result["q"],
        "screening": result["screening"]["value"],
        "error": result["screening"]["error"],
        "at_zero": result["limit"],
        "independent": result["independent"],
    }


if __name__ == "__main__":
    main()
