# SPDX-License-Identifier: MIT
"""``openmm-allegro evaluate``: errors of a model on labelled frames."""

import argparse
from pathlib import Path
from typing import Any

from ..potential.options import ForceOptions
from ..structure.labels.settings import LabelSettings
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options, settings_of
from ..utils.trust import Trust
from .output import add_overwrite_option, check_free, write_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += " They are of energies, forces and stress."
    parser.add_argument("model", type=Path, help="*.safetensors")
    parser.add_argument("data", type=Path, nargs="+", help="files that ase reads")
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=[],
        metavar="XML",
        help="Systems of the force field, for a model of kind delta",
    )
    parser.add_argument("--json", type=Path, help="write the errors to this file")
    parser.add_argument("--plot", type=Path, help="draw a parity plot to this file")
    parser.add_argument(
        "--reference",
        default="reference",
        metavar="NAME",
        help="name of the labels on the axes of --plot, such as PBE",
    )
    add_settings(parser, ForceOptions, ["precision"])
    add_settings(parser, Trust)
    names = [name for name in settings_of(LabelSettings) if name != "use_weights"]
    add_settings(parser.add_argument_group("labels"), LabelSettings, names)
    add_overwrite_option(parser)


def evaluate(options: argparse.Namespace) -> None:
    """Print the errors and write what is to be written."""
    import torch

    from ..modelfile import load_model
    from ..potential.module import PRECISIONS
    from ..training.data import read_labelled
    from ..training.evaluate import evaluate
    from ..training.parity import parity_plot

    check_free(options.json, options.force)
    check_free(options.plot, options.force, image=True)
    model = load_model(options.model)
    precision = ForceOptions(**given_options(options, ForceOptions)).precision
    model.energy.set_dtype(PRECISIONS[precision])
    distances = torch.float32 if precision == "single" else torch.float64
    trust = Trust(**given_options(options, Trust)).trust
    labels = LabelSettings(use_weights=False, **given_options(options, LabelSettings))
    structures = read_labelled(options.data, options.baseline, labels, trust=trust)
    result = evaluate(model, structures, distances=distances)
    print_metrics(result["metrics"])
    if options.json:
        write_json(options.json, result["metrics"])
    if options.plot:
        elements, reference = model.config.elements, options.reference
        parity_plot(result["arrays"], elements, options.plot, reference=reference)


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print the errors that ``training.evaluate.error_metrics`` gives."""
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
