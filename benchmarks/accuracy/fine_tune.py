# SPDX-License-Identifier: MIT
"""Fine-tune on a few frames, beside trainings anew, and measure what is forgotten.

    python benchmarks/accuracy/fine_tune.py            # trainings, a table, a figure
    python benchmarks/accuracy/fine_tune.py --table    # of what is there

The table goes to docs/fine-tune.md, too.

Two models learn something new: that of NaCl(aq) (revPBE0-D3, H O Na Cl) capped amino
acids in droplets of water (another level of theory, C N S new), and that of ethanol
(revMD17) malonaldehyde. Each training takes the same number of steps, with the same
settings but for the rate, and leaves its errors on new and old test frames in
``fine_tune.json`` and its log in ``logs/fine_tune.csv``. One that is there is not run
again.

Reads ``data/``: ``nacl_aq_train.extxyz``, ``nacl_aq_test.extxyz``,
``amino_acids_train.extxyz``, ``amino_acids_test.extxyz`` (the data of
``systems/nacl_aq`` and ``systems/alanine_water``), and the files of prepare.py.
"""

import argparse
import csv
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import molecules
import numpy as np
import torch
from molecules import HERE

from openmm_allegro.modelfile import load_model
from openmm_allegro.structure import Structure, read_structures
from openmm_allegro.training.config import TrainConfig
from openmm_allegro.training.data import split
from openmm_allegro.training.evaluate import evaluate
from openmm_allegro.training.fine_tune import fine_tuned_config
from openmm_allegro.training.train import train

RUNS = Path("runs/fine_tune")
RESULTS, LOG = HERE / "fine_tune.json", HERE / "logs" / "fine_tune.csv"
FIGURE = HERE / "fine_tune.png"
PAGE = HERE.parents[1] / "docs" / "fine-tune.md"
MARKS = "<!-- fine_tune.py -->", "<!-- end of fine_tune.py -->"
SEED = 0
ERRORS = ("forces_mae", "forces_rmse", "energy_mae", "energy_rmse")


class Case(NamedTuple):
    """A model, its data, and new data."""

    title: str
    source: Path
    old: str  # of data/, before _train.extxyz and _test.extxyz
    new: str
    counts: tuple[int, ...]  # new frames
    sizes: dict[str, int]  # of other sets: validation, test, old_test, replay
    settings: dict[str, Any]


COMMON = {
    "seed": SEED,
    "optimizer": "muon",
    "momentum": 0.95,
    "warmup_steps": 20,
    "final_rate": 0.005,
    "weight_decay": 0.01,
    "fix_linear_chains": True,
    "energy_weight": 100.0,
    "forces_loss": "l2mae",
    "ema_decay": 0.995,
}
CASES = {
    "solution": Case(
        "NaCl(aq) → amino acids in water",
        HERE.parents[1] / "systems" / "nacl_aq" / "nacl_aq.safetensors",
        "nacl_aq",
        "amino_acids",
        (5, 10, 20),
        {"validation": 4, "test": 20, "old_test": 5, "replay": 40},
        {"batch_size": 2, "epoch_size": 40, "max_epochs": 5, "learning_rate": 0.005},
    ),
    "molecule": Case(
        "ethanol → malonaldehyde",
        HERE / "models" / "ethanol.safetensors",
        "ethanol",
        "malonaldehyde",
        (20, 50, 100),
        {"validation": 10, "test": 60, "old_test": 40, "replay": 100},
        {"batch_size": 5, "epoch_size": 100, "max_epochs": 5, "learning_rate": 0.0035},
    ),
}
FRACTION = 1.0  # of the rate of a training anew
OTHER_FRACTIONS = (0.3,)


class Run(NamedTuple):
    """A training: of which case, kind (anew, tuned, replay) and number of frames."""

    case: str
    kind: str
    count: int
    fraction: float = FRACTION

    @property
    def name(self) -> str:
        rate = (
            ""
            if self.fraction == FRACTION or self.kind == "anew"
            else f"_{self.fraction:g}"
        )
        return f"{self.case}_{self.kind}_{self.count}{rate}"


class Frames(NamedTuple):
    """Frames of a case."""

    training: list[Structure]
    validation: list[Structure]
    test: list[Structure]
    old_test: list[Structure]
    replay: list[Structure]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.table:
        for run in _runs(options.cases):
            if run.name not in _results():
                _train(run)
    table = _table(_results())
    print(table)
    _draw(_results(), FIGURE)
    before, mark, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    PAGE.write_text(f"{before}{mark}\n{table}\n\n{end}{after}", encoding="utf-8")


def _runs(names: list[str]) -> Iterator[Run]:
    """All trainings; those that say most come first."""
    for name in names:
        largest = CASES[name].counts[-1]
        yield from (Run(name, kind, largest) for kind in ("tuned", "anew", "replay"))
    for name in names:
        middle = CASES[name].counts[1]
        yield from (Run(name, "tuned", middle, f) for f in (FRACTION, *OTHER_FRACTIONS))
    for name in names:
        for kind in ("anew", "tuned", "replay"):
            yield from (Run(name, kind, count) for count in CASES[name].counts)


def _read(case: Case, count: int) -> Frames:
    files = [
        HERE / "data" / f"{name}_{part}.extxyz"
        for name in (case.new, case.old)
        for part in ("train", "test")
    ]
    missing = [str(path) for path in files if not path.exists()]
    if missing:
        raise SystemExit(f"expected {', '.join(missing)}, found nothing")
    new, new_test, old, old_test = map(read_structures, files)
    validation, largest = split(new, [case.sizes["validation"], case.counts[-1]], SEED)
    (test,) = split(new_test, [case.sizes["test"]], SEED)
    (old_test,) = split(old_test, [case.sizes["old_test"]], SEED)
    (replay,) = split(old, [case.sizes["replay"]], SEED)
    return Frames(largest[:count], validation, test, old_test, replay)


def _train(run: Run) -> None:
    """Train, and add the errors to the results."""
    case = CASES[run.case]
    frames = _read(case, run.count)
    source = load_model(case.source)
    output = RUNS / run.name
    settings = COMMON | case.settings
    if run.kind == "anew":
        everything = [*frames.training, *frames.validation, *frames.test]
        elements = sorted({e for s in everything for e in s.symbols})
        # the same network, with the cutoffs that the fine-tuned one has
        table = {"elements": elements}
        config = fine_tuned_config(source.config, everything, table)
        chosen: dict[str, Any] = {}
    else:
        settings["learning_rate"] *= run.fraction
        config = fine_tuned_config(source.config, [*frames.training, *frames.test])
        chosen = {"start_from": source}
        if run.kind == "replay":
            chosen["replay"] = frames.replay
            settings["replay_level"] = "other" if run.case == "solution" else "same"
    started = time.monotonic()
    model = train(
        config,
        TrainConfig(**settings),
        frames.training,
        frames.validation,
        output,
        resume=bool(list((output / "checkpoints").glob("*.ckpt"))),
        progress=False,
        **chosen,
    )
    seconds = time.monotonic() - started
    results = {
        "new": _errors(model, frames.test),
        "best_epoch": model.provenance["epoch"],
        "seconds": round(seconds, 1),
        "learning_rate": settings["learning_rate"],
        "hardware": molecules.hardware(1),
    }
    if run.kind != "anew":
        results["old"] = _errors(model, frames.old_test)
    added = {run.name: run._asdict() | results}
    before = f"{run.case}_before"
    if before not in _results():
        added[before] = {"old": _errors(source, frames.old_test)}
    RESULTS.write_text(json.dumps(_results() | added, indent=1) + "\n")
    _keep_log(run.name, output / "log.csv")
    shutil.rmtree(output)


def _errors(model: Any, structures: list[Structure]) -> dict[str, Any]:
    """Errors in meV/Å and meV/atom, and that of energies less their mean error."""
    result = evaluate(model, structures)
    arrays = result["arrays"]
    error = 1000 * (arrays["energy_prediction"] - arrays["energy_reference"])
    errors = {name: round(result["metrics"][name], 3) for name in ERRORS}
    return errors | {
        "frames": len(structures),
        "energy_mae_less_mean": round(float(np.abs(error - error.mean()).mean()), 3),
    }


def _results() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _keep_log(name: str, path: Path) -> None:
    """Add the rows of a training's log to those of the others."""
    with open(path, newline="") as file:
        rows = [{"run": name, **row} for row in csv.DictReader(file)]
    is_new = not LOG.exists()
    with open(LOG, "a", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def _table(results: dict[str, Any]) -> str:
    """Markdown of the trainings that are there: errors on new and on old frames."""
    lines: list[str] = []
    for name, case in CASES.items():
        if f"{name}_before" not in results:
            continue
        before = results[f"{name}_before"]["old"]["forces_mae"]
        lines += [
            f"\n{case.title} (old frames before: {before:.1f}):\n",
            "| new frames | trained anew | fine-tuned | with replay | old frames, "
            "fine-tuned | old frames, with replay |",
            "|---|---|---|---|---|---|",
        ]
        for count in case.counts:
            anew, tuned, replay = (
                results.get(Run(name, kind, count).name, {})
                for kind in ("anew", "tuned", "replay")
            )
            if not anew and not tuned:
                continue
            cells = [_cell(run.get("new")) for run in (anew, tuned, replay)]
            cells += [_cell(run.get("old"), energy=False) for run in (tuned, replay)]
            lines.append(f"| {count} | " + " | ".join(cells) + " |")
        rates = {
            fraction: results.get(Run(name, "tuned", case.counts[1], fraction).name)
            for fraction in sorted((FRACTION, *OTHER_FRACTIONS))
        }
        rates = {fraction: run for fraction, run in rates.items() if run}
        if len(rates) > 1:
            text = ", ".join(f"{f:g}: {_cell(run['new'])}" for f, run in rates.items())
            lines.append(
                f"\nBy the fraction of the rate, {case.counts[1]} frames: {text}."
            )
    return "\n".join(lines)


def _cell(errors: dict[str, Any] | None, *, energy: bool = True) -> str:
    if not errors:
        return "–"
    text = f"{errors['forces_mae']:.1f}"
    return f"{text} ({errors['energy_mae']:.2f})" if energy else text


def _draw(results: dict[str, Any], path: Path) -> None:
    """Draw force errors on new frames (full) and old ones (dashed) by their number."""
    from openmm_allegro.analysis.figures.figure import COLORS, new_figure

    labels = {"anew": "trained anew", "tuned": "fine-tuned", "replay": "with replay"}
    cases = {n: case for n, case in CASES.items() if f"{n}_before" in results}
    with new_figure(path) as axes:
        figure = axes.figure
        figure.set_size_inches(8.0, 3.4)
        axes.remove()
        panels = figure.subplots(1, len(cases), squeeze=False)[0]
        for (name, case), axes in zip(cases.items(), panels, strict=True):
            for color, (kind, label) in zip(COLORS, labels.items(), strict=False):
                for part, style in (("new", "o-"), ("old", "s:")):
                    points = [
                        (run.count, results[run.name][part]["forces_mae"])
                        for run in (Run(name, kind, count) for count in case.counts)
                        if part in results.get(run.name, {})
                    ]
                    if points:
                        axes.plot(
                            *zip(*points, strict=True),
                            style,
                            color=color,
                            label=f"{label}, {part} frames",
                        )
            axes.axhline(
                results[f"{name}_before"]["old"]["forces_mae"],
                color="0.5",
                linewidth=0.8,
                label="before, old frames",
            )
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks(case.counts, [str(count) for count in case.counts])
            axes.minorticks_off()
            axes.set_xlabel("new frames")
            axes.set_ylabel("force MAE / meV/Å")
            axes.set_title(case.title, fontsize=9)
        axes.legend(fontsize=6, loc=(0.01, 0.07))  # above the line of "before"


if __name__ == "__main__":
    main()
