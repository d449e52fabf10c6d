# SPDX-License-Identifier: MIT
"""The ``openmm-allegro`` command: each verb calls public functions."""

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .cli_analyze import analyze
from .cli_output import check_free, write_json
from .cli_parser import make_parser

# Packages that a verb needs beyond the base installation, and the extra that has them.
_EXTRA_OF = {
    "lightning": "train",
    "matplotlib": "analysis",
    "mdtraj": "analysis",
    "kinisi": "analysis",
    "nequip": "nequip",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 after an error in what was asked."""
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        _VERBS[options.verb](options)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").split(".")[0])
        hint = f"; pip install 'openmm-allegro[{extra}]'" if extra else ""
        print(f"openmm-allegro: error: {error}{hint}", file=sys.stderr)
        return 2
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"openmm-allegro: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("openmm-allegro: interrupted; what was written stays", file=sys.stderr)
        return 130
    return 0


def _train(options: argparse.Namespace) -> None:
    from .config import read_toml
    from .dataset import element_types
    from .evaluate import evaluate, parity_plot
    from .model import AllegroConfig
    from .train import DataConfig, TrainConfig, read_data, read_test, train

    tables = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
    config = read_toml(options.config, tables)
    folder = options.config.parent
    output = options.output or Path("runs") / options.config.stem
    training, validation, record = read_data(config["data"], folder)
    test = read_test(config["data"], folder)
    for structure in test:  # before the training, not after it
        element_types(structure.symbols, config["model"].elements, structure.source)
    results = {"json": output / "test.json", "plot": output / "parity.png"}
    # where there is a model or no folder can be, train says what to do
    if test and output.is_dir() and not (output / "model.safetensors").exists():
        for path in results.values():
            check_free(path, options.force or options.resume)
    model = train(
        config["model"],
        config["train"],
        training,
        validation,
        output,
        resume=options.resume,
        overwrite=options.force,
        provenance=record,
        progress=sys.stderr.isatty(),
    )
    if test:
        result = evaluate(model, test)
        write_json(results["json"], result["metrics"])
        parity_plot(result["arrays"], model.config.elements, results["plot"])
        _print_metrics(result["metrics"])
    print(f"model: {output / 'model.safetensors'}")


def _evaluate(options: argparse.Namespace) -> None:
    import torch

    from .deploy import PRECISIONS
    from .evaluate import evaluate, parity_plot
    from .modelfile import load_model
    from .train_config import read_labelled

    check_free(options.json, options.force)
    check_free(options.plot, options.force, image=True)
    model = load_model(options.model)
    model.energy.set_dtype(PRECISIONS[options.precision])
    distances = torch.float32 if options.precision == "single" else torch.float64
    structures = read_labelled(options.data, options.baseline)
    result = evaluate(model, structures, distances=distances)
    _print_metrics(result["metrics"])
    if options.json:
        write_json(options.json, result["metrics"])
    if options.plot:
        parity_plot(result["arrays"], model.config.elements, options.plot)


def _info(options: argparse.Namespace) -> None:
    from .modelfile import read_header

    print(json.dumps(read_header(options.model), indent=2))


def _import(options: argparse.Namespace) -> None:
    from .interop.nequip import import_model
    from .modelfile import save_model

    check_free(options.output, options.force)
    if options.output.resolve() == options.source.resolve():
        raise ValueError(
            f"expected an output other than the input, found {options.source} as both"
        )
    elements = {}
    for item in options.element:
        name, _, symbol = item.partition("=")
        if not name or not symbol:
            raise ValueError(f"expected --element TYPE=SYMBOL, found {item!r}")
        elements[name] = symbol
    model = import_model(
        options.source,
        length_unit=options.length_unit,
        energy_unit=options.energy_unit,
        elements=elements,
        model_key=options.model_key,
    )
    print(f"model: {save_model(model, options.output)}")


def _export(options: argparse.Namespace) -> None:
    from .interop.nequip import export_model
    from .modelfile import load_model

    check_free(options.output, options.force)
    model = load_model(options.model)
    path = export_model(model, options.output, overwrite=options.force)
    print(f"model: {path}")


def _simulate(options: argparse.Namespace) -> None:
    import torch
    from openmm import app, unit

    from .baseline import read_system
    from .potential import AllegroPotential
    from .simulate import check_output, run

    outputs = check_output(options.output, options.force)
    if options.pdb.resolve() in [path.resolve() for path in outputs.values()]:
        raise ValueError(
            f"expected an output other than the input, found {options.pdb} as both"
        )
    if options.threads:
        torch.set_num_threads(options.threads)
    potential = AllegroPotential(options.model)
    if not options.pdb.is_file():
        raise FileNotFoundError(f"expected a PDB file, found nothing at {options.pdb}")
    try:
        with open(options.pdb) as file:
            pdb = app.PDBFile(file)
    except Exception as error:  # OpenMM's parser raises many kinds
        raise ValueError(
            f"expected a PDB file at {options.pdb}, found one that OpenMM cannot read "
            f"({type(error).__name__}: {error})"
        ) from error
    choices = {
        name: getattr(options, name)
        for name in ("backend", "precision", "kernel", "skin", "two_body")
    }
    periodic = False if options.no_periodic else None
    if options.baseline:
        system = potential.add_to_system(
            pdb.topology, read_system(options.baseline), periodic=periodic, **choices
        )
    else:
        system = potential.create_system(
            pdb.topology,
            periodic=periodic,
            rigid_molecules=not options.flexible_molecules,
            **choices,
        )
    paths = run(
        pdb.topology,
        pdb.positions,
        system,
        options.output,
        steps=options.steps,
        ensemble=options.ensemble,
        temperature=options.temperature * unit.kelvin,
        timestep=options.timestep * unit.femtosecond,
        friction=options.friction / unit.picosecond,
        pressure=options.pressure * unit.bar,
        barostat_interval=options.barostat_interval,
        report_interval=options.report_interval,
        minimize=not options.no_minimize,
        platform=options.platform,
        threads=options.threads,
        notes={
            "model": str(options.model),
            "model_sha256": hashlib.sha256(options.model.read_bytes()).hexdigest(),
            **choices,
        },
        seed=options.seed,
        overwrite=options.force,
    )
    for name, path in paths.items():
        print(f"{name}: {path}")


def _print_metrics(metrics: dict[str, Any]) -> None:
    print(
        f"energy  MAE {metrics['energy_mae']:.3f}  RMSE {metrics['energy_rmse']:.3f}  "
        "meV/atom"
    )
    print(
        f"forces  MAE {metrics['forces_mae']:.2f}  RMSE {metrics['forces_rmse']:.2f}  "
        "meV/Å"
    )
    for element, mae in metrics["forces_mae_by_element"].items():
        rmse = metrics["forces_rmse_by_element"][element]
        print(f"   {element:3s}  MAE {mae:.2f}  RMSE {rmse:.2f}  meV/Å")
    if "stress_rmse" in metrics:
        print(
            f"stress  MAE {metrics['stress_mae']:.4f}  "
            f"RMSE {metrics['stress_rmse']:.4f}  meV/Å³"
        )


_VERBS = {
    "train": _train,
    "evaluate": _evaluate,
    "info": _info,
    "import": _import,
    "export": _export,
    "simulate": _simulate,
    "analyze": analyze,
}

if __name__ == "__main__":
    sys.exit(main())
