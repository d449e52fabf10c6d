# SPDX-License-Identifier: MIT
"""``openmm-allegro evaluate``: errors of a model on labelled frames."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..modelfile.accuracy import poor_forces
from ..modelfile.named import named_models
from ..potential.options import ForceOptions
from ..structure.labels.settings import LabelSettings
from ..utils.files import short_names
from ..utils.progress import log_if_long
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options, settings_of
from ..utils.trust import Trust
from ..utils.words import counted
from . import error_tables as tables
from .datafiles import check_once, described
from .output import (
    add_overwrite_option,
    check_apart,
    check_free,
    print_next,
    quoted,
    write_json,
)

_log = logging.getLogger(__name__)
_SUFFIX = ".safetensors"
_UNKNOWN = (
    "not known what the training saw: the model file does not say (it was imported or "
    "made by an earlier version); --training FILE compares with its frames"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    parser.description += (
        " They are of energies, forces and stress, of each file and of all, and of the "
        "mean of several models, whose deviations are then compared with its errors."
    )
    parser.add_argument("model", type=Path, help="*.safetensors")
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        help="further models (*.safetensors) of a committee, and files that ase reads",
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        default=[],
        metavar="XML",
        help="Systems of the force field, for a model of kind delta",
    )
    parser.add_argument(
        "--training",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="frames that the model was trained on, to tell which atoms are outside of "
        "what it saw, where its file does not say",
    )
    _add_outputs(parser)
    add_settings(parser, ForceOptions, ["precision"])
    add_settings(parser, Trust)
    names = [name for name in settings_of(LabelSettings) if name != "use_weights"]
    add_settings(parser.add_argument_group("labels"), LabelSettings, names)
    add_overwrite_option(parser)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
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
        "--calibration",
        type=Path,
        metavar="IMAGE",
        help="draw errors against deviations of a committee to this file",
    )
    parser.add_argument(
        "--reference",
        default="reference",
        metavar="NAME",
        help="name of the labels on the axes of --plot, such as PBE",
    )


def evaluate(options: argparse.Namespace) -> None:
    """Print the errors and write what is to be written."""
    import torch

    from ..modelfile import load_model
    from ..potential.committee import check_members
    from ..potential.module import PRECISIONS
    from ..training.calibration import committee_result
    from ..training.data import read_labelled
    from ..training.evaluate import evaluate
    from ..training.seen import describe_structures
    from ..utils.process import keep_freed_memory

    keep_freed_memory()
    paths = [options.model, *options.data]
    known = named_models()
    of_models = [p for p in paths if p.suffix == _SUFFIX or str(p) in known]
    data = [path for path in paths if path not in of_models]
    outputs = Outputs(options.json, options.frames, options.plot, options.calibration)
    _check(options, outputs, data)
    named = {path: load_model(path) for path in of_models}
    models = list(named.values())
    check_members(models)
    _check_different(named)
    precision = ForceOptions(**given_options(options, ForceOptions)).precision
    distances = torch.float32 if precision == "single" else torch.float64
    trust = Trust(**given_options(options, Trust)).trust
    labels = LabelSettings(use_weights=False, **given_options(options, LabelSettings))
    structures = read_labelled(data, options.baseline, labels, trust=trust)
    seen = None
    if options.training:
        frames = read_labelled(options.training, (), labels)
        seen = describe_structures(models[0], frames)
    _log.info(
        "%s, %s: %s", *(counted(len(models), "model"), precision, described(structures))
    )
    results = []
    for path, model in named.items():
        model.energy.set_dtype(PRECISIONS[precision])
        with log_if_long(_log, f"evaluating {path}"):
            results.append(evaluate(model, structures, distances=distances, seen=seen))
    elements = models[0].config.elements
    result = results[0]
    if len(models) > 1:
        result = committee_result(results, elements)
        result["names"] = list(short_names(map(str, named)).values())
    shown = show_errors(
        result, elements, outputs, worst=options.worst, reference=options.reference
    )
    if "warnings" in shown:
        return
    print()
    print_next(f"simulate {quoted(options.model)} BOX.pdb --output runs/first")


class Outputs(NamedTuple):
    """Files that errors are written to, where there is one."""

    json: Path | None
    frames: Path | None
    plot: Path | None
    calibration: Path | None = None

    def check(self, overwrite: bool, inputs: Sequence[Path] = ()) -> None:
        """Refuse files that cannot or should not be written, such as inputs."""
        check_free(self.json, overwrite)
        check_free(self.frames, overwrite)
        check_free(self.plot, overwrite, image=True)
        check_free(self.calibration, overwrite, image=True)
        outputs = {f"--{name}": path for name, path in self._asdict().items()}
        check_apart(outputs, inputs)


def show_errors(
    result: dict[str, Any],
    elements: Sequence[str],
    outputs: Outputs,
    *,
    worst: int = 3,
    reference: str = "reference",
) -> dict[str, Any]:
    """Print errors and write them.

    Parameters
    ----------
    result : dict
        Of ``training.evaluate.evaluate`` or ``training.calibration.committee_result``.
    elements : sequence of str
        Of the model's config.
    outputs : Outputs
    worst : int
        Number of the worst frames to print.
    reference : str
        Name of the labels.

    Returns
    -------
    dict
        What the JSON has.
    """
    from ..training.frames import frame_errors, write_frames
    from ..training.metrics import choose_frames
    from ..training.outside import summary
    from ..training.parity import parity_plot
    from ..training.reliability import reliability_plot

    metrics, files, arrays = result["metrics"], result["files"], result["arrays"]
    record = metrics | {"files": files}
    frames = frame_errors(arrays, elements)
    rows = tables.file_rows(metrics, files)
    texts = [tables.heading(metrics, files), tables.error_table(rows)]
    texts.append(tables.element_table(rows))
    texts.append(tables.size_words(metrics))
    if "members" in result:
        members = dict(zip(result["names"], result["members"], strict=True))
        record |= {"members": members, "calibration": result["calibration"]}
        texts.append(tables.error_table(members | {"mean": metrics}))
        texts.append(tables.calibration_table(result["calibration"]))
    if worst and len(frames) > 1:
        texts.append(tables.worst_table(frames, worst))
    if "charges" in metrics:
        texts.append(tables.charge_table(metrics))
        texts.append(tables.wave_table(frames, worst))
    if "atom_distance" in arrays:
        record["outside"] = summary(arrays)
        record["files"] = {
            file: errors
            | {"outside": summary(choose_frames(arrays, arrays["files"] == file))}
            for file, errors in files.items()
        }
        texts.append(tables.outside_table(tables.file_rows(record, record["files"])))
    else:
        texts.append(_UNKNOWN)
    poor = poor_forces(metrics)
    if poor:
        record["warnings"] = [poor]
    print(*filter(None, texts), sep="\n\n")
    if poor:
        sys.stdout.flush()
        _log.warning("%s", poor)
    if outputs.json:
        write_json(outputs.json, record)
    if outputs.frames:
        write_frames(outputs.frames, frames)
    if outputs.plot:
        parity_plot(arrays, elements, outputs.plot, reference=reference)
    if outputs.calibration:
        reliability_plot(arrays, result["calibration"], outputs.calibration)
    return record


def _check(options: argparse.Namespace, outputs: Outputs, data: list[Path]) -> None:
    """Refuse what cannot be, before any work."""
    named = options.model, *options.data, *options.training, *options.baseline
    outputs.check(options.force, named)
    if options.model.suffix != _SUFFIX:
        raise ValueError(
            f"expected a model file (*{_SUFFIX}) first, found {options.model}"
        )
    if not data:
        raise ValueError("expected files of frames after the models, found none")
    check_once([options.model, *options.data])
    if options.worst < 0:
        raise ValueError(
            f"--worst: expected a number of at least 0, found {options.worst}"
        )
    if outputs.calibration and len(data) == len(options.data):
        raise ValueError(
            "--calibration: expected several models, whose deviations are compared "
            "with the errors of their mean, found one"
        )


def _check_different(models: dict[Path, Any]) -> None:
    """Refuse a model that is there twice: its copies do not deviate from each other."""
    from ..model.model import digest

    paths: dict[str, Path] = {}
    for path, model in models.items():
        first = paths.setdefault(digest(model), path)
        if first is not path:
            raise ValueError(
                f"committee: expected different models, found the same in {first} and "
                f"{path}"
            )
