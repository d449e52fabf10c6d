# SPDX-License-Identifier: MIT
"""Finish the model file of a training: shifts, what was seen, and programs."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..model.model import Model
from ..modelfile import load_model, save_model
from .budget import frames_after
from .config import TrainConfig
from .outside import RECORD as SEEN
from .record import MODEL
from .refit import RECORD, drawn, refit_samples
from .samples import Sample
from .seen import FRAMES, describe_training
from .terms import subtract_terms

CUT = "ended_early"  # key of the provenance


def finished_model(
    output: Path,
    config: TrainConfig,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    device: str = "cpu",
    cut: dict[str, int] | None = None,
) -> Model:
    """Read the best model of a training that has ended, and finish its file.

    Its shifts are refitted if energies have a weight and ``refit_shifts`` is set, and
    it gets programs.

    Parameters
    ----------
    output : Path
        Folder of the training.
    config : TrainConfig
    training, validation : sequence of Sample
        See ``start.Start``.
    device : str
        Device to compute energies on.
    cut : dict, optional
        Steps made and planned, of a training that was cut short.
    """
    path = output / MODEL
    model = load_model(path)
    if model.stored.programs is not None and model.provenance.get(CUT) == cut:
        return model
    model.provenance.pop(CUT, None)
    model.provenance |= {CUT: cut} if cut else {}
    if model.stored.programs is not None:
        save_model(model, path)
        return model
    most = frames_after(model.provenance.get("step", sys.maxsize) * config.batch_size)
    # of more frames they would take much memory, and are computed of some afterwards
    latents: dict[int, np.ndarray] | None = {} if len(training) <= FRAMES else None
    has_weight = config.refit_shifts and config.stages()[-1].energy > 0
    if RECORD not in model.provenance and has_weight and drawn(training):
        terms = model.energy.terms
        sets = [subtract_terms(part, terms, -1.0) for part in (training, validation)]
        model, report = refit_samples(
            *(model, *sets),
            per_atom=config.energy_per_atom,
            device=device,
            most=most,
            latents=latents,
        )
        # by the samples with all labels, of which each is one of the training
        if latents is not None:
            pairs = zip(training, sets[0], strict=True)
            latents = {id(s): latents[id(t)] for s, t in pairs if id(t) in latents}
        model.provenance[RECORD] = report
        model.provenance["validation"] |= report.get("validation", {})
    seen = describe_training(model, training, most=most, known=latents)
    model.provenance |= {SEEN: seen}
    save_model(model, path)
    return load_model(path)
