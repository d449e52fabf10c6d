# SPDX-License-Identifier: MIT
"""``openmm-allegro free-energy``: from a force field to a model, along λ."""

import argparse
from pathlib import Path
from typing import Any

from ..simulate.settings import Execution
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options
from ..utils.trust import Trust
from .outcome import Outcome
from .output import add_overwrite_option, print_next, quoted


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " The file has the tables [system] and [mixing], as a protocol (or [system] "
        "alone, with the XML of a System with the global parameter "
        "lambda_interpolate), and [exchange] (replicas that exchange values of it), "
        "[switching] (works of switching it), or both. docs/mm-to-ml.md has the keys."
    )
    parser.add_argument("file", type=Path, help="*.toml")
    parser.add_argument("--output", required=True, help="folder of the files to write")
    add_settings(parser, Execution, ("platform", "threads", "seed", "resume"))
    add_settings(parser, Trust)
    add_overwrite_option(parser)


def free_energy(options: argparse.Namespace) -> Outcome:
    """Compute the free energy, and print it with what makes it doubtful."""
    from ..alchemical import free_energy as compute
    from ..alchemical import read_free_energy
    from ..simulate.backend import planned_run

    execution = Execution(**given_options(options, Execution), overwrite=options.force)
    trust = Trust(**given_options(options, Trust)).trust
    run = planned_run(execution, options.output)
    given = read_free_energy(options.file, trust=trust, run=run)
    results = compute(
        given.prepared.topology,
        given.prepared.positions,
        given.prepared.system,
        options.output,
        exchange=given.exchange,
        switching=given.switching,
        platform=execution.platform,
        threads=execution.threads,
        seed=execution.seed,
        resume=execution.resume,
        overwrite=execution.overwrite,
        notes=given.prepared.notes,
    )
    if "exchange" in results:
        _print_exchange(results["exchange"])
    if "switching" in results:
        _print_switching(results["switching"])
    words = [w for result in results.values() for w in result["warnings"]]
    for text in dict.fromkeys(words):
        print(f"warning: {text}")
    print(f"files: {options.output}/free_energy.json, *.png")
    folder, more = Path(options.output), []
    if "exchange" in results:
        more = print_next(f"report {quoted(folder / 'exchange')}")
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return Outcome(results, files=files, next=more, warnings=words)


def _print_exchange(result: dict[str, Any]) -> None:
    print(f"{'λ':>8} {'ΔG (kJ/mol)':>20} {'overlap':>9} {'exchanged':>10}")
    states = zip(
        result["lambdas"],
        result["free_energies_kj_mol"],
        result["errors_kj_mol"],
        strict=True,
    )
    for k, (value, free, error) in enumerate(states):
        line = f"{value:8.4g} {_number(free):>11} ± {_number(error):>6}"
        if k + 1 < len(result["lambdas"]):
            line += f" {result['overlap'][k][k + 1]:9.3f}"
            line += f" {result['acceptance'][k]:10.0%}"
        print(line)
    print(_total("exchange", result))


def _print_switching(result: dict[str, Any]) -> None:
    print(f"{'direction':>9} {'works':>6} {'mean work':>11} {'Jarzynski (kJ/mol)':>21}")
    for name, one in result["directions"].items():
        print(
            f"{name:>9} {one['switches']:6d} {one['mean_work_kj_mol']:11.2f} "
            f"{_number(one['jarzynski_kj_mol']):>12} ± "
            f"{_number(one['jarzynski_error_kj_mol']):>6}"
        )
    print(_total(f"switching ({result['estimator'].upper()})", result))


def _total(name: str, result: dict[str, Any]) -> str:
    return (
        f"{name}: ΔG = {_number(result['free_energy_kj_mol'])} ± "
        f"{_number(result['error_kj_mol'])} kJ/mol = "
        f"{_number(result['free_energy_kcal_mol'])} ± "
        f"{_number(result['error_kcal_mol'])} kcal/mol at "
        f"{result['temperature_k']:g} K"
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
