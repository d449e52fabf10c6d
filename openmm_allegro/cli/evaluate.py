# SPDX-License-Identifier: MIT
"""``openmm-allegro evaluate``: errors of a model on labelled frames."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..potential.options import ForceOptions
from ..structure.labels.settings import LabelSettings
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options, settings_of
from ..utils.trust import Trust
from .error_tables import error_table, heading, worst_table
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
    parser.add_argument(
        "--frames",
        type=Path,
        metavar="CSV",
        help="write the errors of each frame to this table, worst first",
    )
    parser.add_argument(
        "--worst",
        type=int,
        default=3,
        metavar="N",
        help="number of the worst frames to print (default 3)",
    )
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

    outputs = Outputs(options.json, options.frames, options.plot)
    outputs.check(options.force)
    if options.worst < 0:
        raise ValueError(
            f"--worst: expected a number of at least 0, found {options.worst}"
        )
    model = load_model(options.model)
    precision = ForceOptions(**given_options(options, ForceOptions)).precision
    model.energy.set_dtype(PRECISIONS[precision])
    distances = torch.float32 if precision == "single" else torch.float64
    trust = Trust(**given_options(options, Trust)).trust
    labels = LabelSettings(use_weights=False, **given_options(options, LabelSettings))
    structures = read_labelled(options.data, options.baseline, labels, trust=trust)
    result = evaluate(model, structures, distances=distances)
    elements, reference = model.config.elements, options.reference
    show_errors(result, elements, outputs, worst=options.worst, reference=reference)


class Outputs(NamedTuple):
    """Files that errors are written to, where there is one."""

    json: Path | None
    frames: Path | None
    plot: Path | None

    def check(self, overwrite: bool) -> None:
        """Refuse files that cannot or should not be written."""
        check_free(self.json, overwrite)
        check_free(self.frames, overwrite)
        check_free(self.plot, overwrite, image=True)


def show_errors(
    result: dict[str, Any],
    elements: Sequence[str],
    outputs: Outputs,
    *,
    worst: int = 3,
    reference: str = "reference",
) -> None:
    """Print the errors that ``training.evaluate.evaluate`` gives, and write them."""
    from ..training.frames import frame_errors, write_frames
    from ..training.parity import parity_plot

    metrics, files = result["metrics"], result["files"]
    rows = frame_errors(result["arrays"], elements)
    print(heading(metrics, files), error_table(metrics, files), sep="\n\n")
    if worst and len(rows) > 1:
        print(f"\n{worst_table(rows, worst)}")
    if outputs.json:
        write_json(outputs.json, metrics | {"files": files})
    if outputs.frames:
        write_frames(outputs.frames, rows)
    if outputs.plot:
        arrays = result["arrays"]
        parity_plot(arrays, elements, outputs.plot, reference=reference)
