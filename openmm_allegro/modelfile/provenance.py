# SPDX-License-Identifier: MIT
"""Say in words what the file of a model holds of its network and its training."""

import json
from pathlib import Path

from ..model.model import Model
from ..utils.words import counted
from .accuracy import accuracy_words

TEST_ERRORS = "test.json"  # beside a model that was tested after its training
_OPTIMIZERS = {"adam": "Adam", "muon": "Muon"}


def training_words(model: Model) -> dict[str, str]:
    """Write the architecture of a model, and the settings of its training if known.

    Returns
    -------
    dict
        ``architecture``, and ``training`` where the file has its settings.
    """
    config = model.config
    parts = [
        f"l_max {config.l_max}",
        counted(config.num_layers, "layer"),
        f"{config.num_scalar_features} scalar and {config.num_tensor_features} tensor "
        "features",
    ]
    if config.core_rates:
        parts.append("a pair core fitted beforehand")
    if config.zbl:
        parts.append("ZBL repulsion")
    words = {"architecture": ", ".join(parts)}
    known, settings = model.provenance, model.provenance.get("train")
    if not settings or not {"learning_rate", "batch_size"} <= settings.keys():
        return words
    name = settings.get("optimizer", "adam")
    parts = [
        f"{_OPTIMIZERS.get(name, name)} with a learning rate of "
        f"{settings['learning_rate']:g}"
    ]
    batch = counted(settings["batch_size"], "frame")
    if "step" in known:
        parts.append(f"{counted(known['step'], 'step')} of {batch}")
    weights = [
        f"{kind} {settings[key]:g}"
        for kind in ("energy", "forces", "stress")
        if settings.get(key := f"{kind}_weight")
    ]
    if weights:
        parts.append(f"weights of the loss: {', '.join(weights)}")
    return words | {"training": ", ".join(parts)}


def own_errors(model: Model, file: str | None) -> dict[str, str]:
    """Write the errors of a model as its training left them, if it left any.

    Returns
    -------
    dict
        ``errors``: of the test frames, beside the model, or of the validation frames.
    """
    known = model.provenance
    path = None if file is None else Path(file).with_name(TEST_ERRORS)
    if path is not None and known.get("test_files") and path.is_file():
        try:
            metrics = json.loads(path.read_text("utf-8"))
            frames = counted(metrics["frames"], "test frame")
            return {"errors": "; ".join([*accuracy_words(metrics), f"of {frames}"])}
        except (ValueError, KeyError, TypeError):
            pass  # of another program, or being written
    found = known.get("validation") or {}
    # others of its values are of labels less a core, or before shifts were refitted
    names = "forces_rmse", "energy_rmse"
    words = accuracy_words({n: found[n] for n in names if n in found})
    if not words:
        return {}
    frames = counted(found.get("frames", 0), "validation frame")
    return {"errors": "; ".join([*words, f"of {frames}, which chose the epoch"])}
