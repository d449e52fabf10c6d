# SPDX-License-Identifier: MIT
"""Compare a model with reference energies, forces and stresses."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..classical.fingerprint import check_baseline, common_baseline
from ..model.model import Model
from ..structure import Structure
from ..utils.words import counted
from .charge_report import charge_arrays, molecule_charges
from .frames import place_of
from .isolated import separate
from .latents import recording
from .metrics import error_metrics, metrics_by_file
from .outside import RECORD, outside, outside_arrays
from .predict import Prediction, predict_labels
from .samples import Batch, collate, make_samples

log = logging.getLogger(__name__)


def evaluate(
    model: Model,
    structures: Sequence[Structure],
    *,
    batch_size: int = 4,
    distances: torch.dtype = torch.float64,
    seen: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Compute the errors of a model on labelled structures.

    Parameters
    ----------
    model : Model
    structures : sequence of Structure
        With energies and, where present, forces and stresses, of a model of kind delta
        with the same baseline subtracted (``subtract_baseline``). Isolated atoms are
        left out, which is logged.
    batch_size : int
    distances : torch.dtype
        Precision of distances, radial functions and spherical harmonics; that of the
        network is its own.
    seen : dict, optional
        What the training saw (``describe_training``); by default what the model file
        says, if it does.

    Returns
    -------
    dict
        ``metrics`` (see ``error_metrics``), ``files``, which has those of each file,
        and ``arrays``: reference and predicted energies per atom (eV), forces (eV/Å)
        and stresses (eV/Å³), NaN where unknown, the element of each atom and the number
        of atoms of each frame (``gather_arrays``); ``files`` and ``frames``, which say
        where each frame was read; ``energy_shift``, the contribution of the model's
        element shifts to each energy per atom; and, where it is known what the training
        saw, ``atom_distance`` and others (``Outside``).

    Raises
    ------
    ValueError
        If there are no structures, an energy is missing, the labels are of another kind
        than the model or have another baseline, an element is unknown or a prediction
        is not finite.
    """
    _check_structures(model, structures)
    samples = make_samples(structures, model.config, distances)
    places = {id(s): place_of(s, index) for index, s in enumerate(structures)}
    structures, samples, atoms = separate("evaluate", structures, samples)
    check_comparable(model, structures, "evaluate")
    _report_atoms(model, atoms)
    record = seen or model.provenance.get(RECORD)
    batches, predictions, compared = [], [], []
    with recording(model.energy) as recorder:
        for start in range(0, len(samples), batch_size):
            part = slice(start, start + batch_size)
            batch = collate(samples[part], model.config)
            prediction = predict_labels(model.energy, batch)
            _check_finite(prediction, batch, structures[part], start)
            batches.append(batch)
            predictions.append(prediction)
            latents = recorder.take(batch)
            if record:
                compared += outside(record, model.config, samples[part], latents)
    arrays = gather_arrays(batches, predictions)
    arrays |= charge_arrays(batches, predictions)
    shifts = np.array(model.statistics.shifts)
    arrays["energy_shift"] = np.array([shifts[s.types].mean() for s in samples])
    files, frames = zip(*(places[id(s)] for s in structures), strict=True)
    arrays |= {"files": np.array(files), "frames": np.array(frames)}
    if record:
        arrays |= outside_arrays(compared)
    elements = model.config.elements
    result = {
        "metrics": error_metrics(arrays, elements),
        "files": metrics_by_file(arrays, elements),
        "arrays": arrays,
    }
    if model.config.is_charged:
        charges = arrays["atom_charge_prediction"]
        molecules = molecule_charges(samples, charges, elements)
        result["metrics"]["molecule_charges"] = molecules
    return result


def _check_structures(model: Model, structures: Sequence[Structure]) -> None:
    """Refuse structures without labels, and warn of images that training lacked."""
    if not structures:
        raise ValueError("expected at least one structure to evaluate, found none")
    for index, structure in enumerate(structures):
        if structure.energy is None:
            raise ValueError(
                f"{structure.source or f'structure {index}'}: expected an energy, "
                "found none"
            )
    if model.provenance.get("periodic") == "none" and any(
        s.periodic.any() for s in structures
    ):
        log.warning(
            "the model was trained on structures without periodic images, and is "
            "compared with structures that have them"
        )


def _report_atoms(model: Model, atoms: Sequence[Structure]) -> None:
    """Log the errors of isolated atoms, which the metrics leave out."""
    if not atoms:
        return
    elements, shifts = model.config.elements, model.statistics.shifts
    errors = {
        s.symbols[0]: shifts[elements.index(s.symbols[0])] - s.energy for s in atoms
    }
    log.warning(
        "%s left out of the errors; the model's energies of isolated atoms are off by "
        "%s eV",
        counted(len(atoms), "isolated atom"),
        ", ".join(f"{element} {error:.3f}" for element, error in errors.items()),
    )


def gather_arrays(
    batches: Sequence[Batch], predictions: Sequence[Prediction]
) -> dict[str, np.ndarray]:
    """Join references and predictions of several batches to flat arrays.

    ``types`` and forces have an entry for each atom, ``sizes`` (the numbers of atoms),
    energies and stresses one for each frame. Forces and stresses are NaN where there
    are none, or none to compare with.
    """
    sizes = torch.cat([b.sizes for b in batches]).double()
    pairs = {
        "energy": (
            torch.cat([b.energies for b in batches]) / sizes,
            torch.cat([p.energies for p in predictions]) / sizes,
        ),
        "forces": (
            torch.cat([b.forces for b in batches]),
            torch.cat(_known("forces", batches, predictions)),
        ),
        "stress": (
            torch.cat([b.stresses for b in batches]),
            torch.cat(_known("stresses", batches, predictions)),
        ),
    }
    arrays = {
        "types": torch.cat([b.types for b in batches]).cpu().numpy(),
        "sizes": sizes.long().cpu().numpy(),
    }
    for name, (reference, prediction) in pairs.items():
        arrays[f"{name}_reference"] = reference.detach().cpu().double().numpy()
        arrays[f"{name}_prediction"] = prediction.detach().cpu().double().numpy()
    return arrays


def _known(
    name: str, batches: Sequence[Batch], predictions: Sequence[Prediction]
) -> list[Tensor]:
    """Predictions whose labels are known, NaN in the place of others."""
    return [
        torch.where(torch.isfinite(getattr(b, name)), getattr(p, name), torch.nan)
        for b, p in zip(batches, predictions, strict=True)
    ]


def check_comparable(model: Model, structures: Sequence[Structure], where: str) -> None:
    """Refuse labels of another kind than a model, or of another baseline.

    Raises
    ------
    ValueError
    """
    baseline = common_baseline(structures)
    check_kind(model, baseline, where)
    if baseline is not None:
        check_baseline(model.provenance.get("baseline"), baseline, where)


def check_kind(
    model: Model,
    baseline: dict[str, Any] | None,
    where: str,
    name: str = "this model",
) -> None:
    """Refuse labels of another kind than a model.

    Parameters
    ----------
    model : Model
    baseline : dict, optional
        Of the labels, see ``common_baseline``.
    where, name : str
        Beginning of the message, and what it calls the model.

    Raises
    ------
    ValueError
    """
    if model.kind == "delta" and baseline is None:
        raise ValueError(
            f"{where}: expected labels from which the baseline of {name}, of kind "
            "delta, was subtracted (baseline, --baseline, subtract_baseline), found "
            "labels of the whole energy"
        )
    if model.kind != "delta" and baseline is not None:
        raise ValueError(
            f"{where}: expected labels of the whole energy for {name}, of kind "
            f"{model.kind}, found labels from which a baseline was subtracted"
        )


def _check_finite(
    prediction: Prediction, batch: Batch, structures: Sequence[Structure], start: int
) -> None:
    for frame, structure in enumerate(structures):
        forces = prediction.forces[batch.frames == frame]
        if not (torch.isfinite(prediction.energies[frame]) and forces.isfinite().all()):
            raise ValueError(
                f"{structure.source or f'structure {start + frame}'}: expected a "
                f"finite prediction, found {prediction.energies[frame].item()} eV; are "
                "two atoms almost at the same position?"
            )
