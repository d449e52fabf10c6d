# SPDX-License-Identifier: MIT
"""The ``openmm-allegro`` command: each verb calls public functions."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .analyze import analyze
from .output import check_free, write_json
from .parser import make_parser
from .report import report
from .simulate import simulate

# Packages that a verb needs beyond the base installation, and the extra that has them.
_EXTRA_OF = {
    "lightning": "train",
    "nequip": "nequip",
    **dict.fromkeys(
        ("freud", "kinisi", "matplotlib", "mdtraj", "periodictable", "pymbar", "scipy"),
        "analysis",
    ),
    "tables": "analysis",
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
    from ..model import AllegroConfig
    from ..training.evaluate import evaluate, parity_plot
    from ..training.samples import element_types
    from ..training.train import DataConfig, TrainConfig, read_data, read_test, train
    from ..utils.config import read_toml
    from ..utils.process import keep_freed_memory

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
    keep_freed_memory()
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

    from ..model.file import load_model
    from ..potential.module import PRECISIONS
    from ..training.config import read_labelled
    from ..training.evaluate import evaluate, parity_plot

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
        elements, reference = model.config.elements, options.reference
        parity_plot(result["arrays"], elements, options.plot, reference=reference)


def _info(options: argparse.Namespace) -> None:
    from ..model.file import load_model, read_header

    header = read_header(options.model)
    try:
        header["num_weights"] = load_model(options.model).num_weights
    finally:  # of a file whose weights are damaged, too
        print(json.dumps(header, indent=2))


def _import(options: argparse.Namespace) -> None:
    from ..interop.nequip import import_model
    from ..model.file import save_model

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
    from ..interop.nequip import export_model
    from ..model.file import load_model

    check_free(options.output, options.force)
    model = load_model(options.model)
    path = export_model(model, options.output, overwrite=options.force)
    print(f"model: {path}")


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
    "simulate": simulate,
    "analyze": analyze,
    "report": report,
}
