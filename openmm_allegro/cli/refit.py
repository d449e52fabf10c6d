# SPDX-License-Identifier: MIT
"""``openmm-allegro refit``: fit energy shifts of a model; give it inner cutoffs."""

import argparse
import logging
from pathlib import Path

from ..structure.labels.settings import LabelSettings
from ..utils.progress import log_if_long
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options
from ..utils.trust import Trust
from .datafiles import described
from .outcome import Outcome
from .output import add_overwrite_option, check_free, print_next, quoted

_log = logging.getLogger(__name__)
_UNIT = "meV/atom"  # of energies that are compared


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " Energies of isolated atoms that the training was given stay as they are."
    )
    parser.add_argument("model", type=Path, help="*.safetensors")
    parser.add_argument(
        "data", type=Path, nargs="+", help="files that ase reads, of the training"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="model file to write"
    )
    parser.add_argument(
        "--validation",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="frames whose energies must become better, or the shifts stay",
    )
    parser.add_argument(
        "--fixed",
        nargs="+",
        default=[],
        metavar="ELEMENT",
        help="further elements whose shifts stay as they are",
    )
    parser.add_argument(
        "--inner",
        type=float,
        metavar="PART",
        help="give the network inner_cutoffs of this part of the closest distances of "
        "the data, such as 1: it sees no pair come closer",
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=[],
        metavar="XML",
        help="Systems of the force field, for a model of kind delta",
    )
    add_settings(parser, Trust)
    add_settings(parser.add_argument_group("labels"), LabelSettings)
    add_overwrite_option(parser)


def refit(options: argparse.Namespace) -> Outcome:
    """Write the model with the refitted shifts and print the errors."""
    from ..modelfile import load_model, save_model
    from ..training.data import read_labelled
    from ..training.inner import add_inner_cutoffs
    from ..training.refit import refit_shifts
    from ..utils.process import keep_freed_memory

    keep_freed_memory()
    check_free(options.output, options.force)
    model = load_model(options.model)
    trust = Trust(**given_options(options, Trust)).trust
    labels = LabelSettings(**given_options(options, LabelSettings))
    frames, held_out = (
        read_labelled(files, options.baseline, labels, trust=trust) if files else []
        for files in (options.data, options.validation)
    )
    _log.info("fitting the energy shifts of %s to %s", options.model, described(frames))
    if options.inner is not None:
        model = add_inner_cutoffs(model, frames, options.inner)
    with log_if_long(_log, "computing the energies of all frames"):
        result = refit_shifts(model, frames, held_out, fixed=options.fixed)
    for name in ("training", "validation"):
        if errors := result.report.get(f"{name}_energy_rmse"):
            print(
                f"energy RMSE of {name}  {errors[0]:.3f} before, {errors[1]:.3f} after "
                f"the fit, {_UNIT}"
            )
    if not result.report["accepted"]:
        print("the shifts stay as they are")
    path = save_model(result.model, options.output)
    print(f"model: {path}")
    units = dict.fromkeys(("training_energy_rmse", "validation_energy_rmse"), _UNIT)
    return Outcome(
        result.report,
        units | {"offset": _UNIT},
        files=[path],
        next=print_next(f"evaluate {quoted(path)} OTHER.extxyz"),
    )
