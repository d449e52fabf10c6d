# SPDX-License-Identifier: MIT
"""Compare a model with reference energies, forces and stresses."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..classical.fingerprint import check_baseline, common_baseline
from ..model import as_blocks, forces_from_pairs
from ..model.model import Model
from ..neighbors import LARGEST_BLOCK
from ..structure import Structure
from ..utils.words import counted
from .frames import place_of
from .isolated import separate
from .latents import recording
from .metrics import error_metrics, metrics_by_file
from .outside import RECORD, outside, outside_arrays
from .samples import Batch, Block, collate, make_samples

log = logging.getLogger(__name__)


class Prediction(NamedTuple):
    """Energies, forces and stresses of B frames with N atoms."""

    energies: Tensor  # [B] float64, eV
    forces: Tensor  # [N, 3] eV/Å, zero where they are not asked for
    stresses: Tensor  # [B, 3, 3] eV/Å³, zero where there is none (``gather_arrays``)


def predict(
    energy: torch.nn.Module,
    batch: Batch,
    *,
    training: bool = False,
    forces: bool = True,
    stress: bool = True,
) -> Prediction:
    """Predict energies, forces and stresses of a batch.

    Parameters
    ----------
    energy : AllegroEnergy
    batch : Batch
    training : bool
        Keep the graph, so that a loss can be differentiated.
    forces, stress : bool
        Whether to compute them; zeros otherwise. Energies alone need no derivative.
    """
    atoms = len(batch.types)
    derive = forces or stress
    energies = torch.zeros_like(batch.energies)
    total = torch.zeros_like(batch.forces)
    strains = torch.zeros_like(batch.stresses)
    for group in _groups(batch.blocks):
        centers, vectors, types, shapes = _join_group(group, batch.types)
        vectors.requires_grad_(derive)
        with torch.set_grad_enabled(training or derive):
            parts = energy.block_energies(vectors, *types, shapes)  # of the centres
            summed = parts.sum()
        kept = parts if training else parts.detach()
        energies = energies.index_add(0, batch.frames[centers], kept)
        if not derive:
            continue
        (gradient,) = torch.autograd.grad(summed, vectors, create_graph=training)
        gradients = as_blocks(gradient, shapes)
        for (c, n, v), g in zip(group, gradients, strict=True):
            total = total + forces_from_pairs(g, c, n, atoms)
            if stress:
                # dE/d(strain) of each centre, then of each frame
                outer = torch.matmul(v.transpose(1, 2), g)
                strains = strains.index_add(0, batch.frames[c], outer)
    return Prediction(energies, total, stresses_of(strains, batch.volumes))


def predict_labels(energy: torch.nn.Module, batch: Batch) -> Prediction:
    """Predict energies, and the forces and stresses that the batch has labels of."""
    forces, stress = (
        bool(torch.isfinite(labels).any()) for labels in (batch.forces, batch.stresses)
    )
    return predict(energy, batch, forces=forces, stress=stress)


def stresses_of(strains: Tensor, volumes: Tensor) -> Tensor:
    """Stresses from dE/d(strain) [B, 3, 3] (eV) and volumes [B] (Å³).

    Zeros without a volume.
    """
    volumes = torch.where(volumes > 0, volumes, torch.inf)[:, None, None]
    return 0.5 * (strains + strains.transpose(1, 2)) / volumes


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
    shifts = np.array(model.statistics.shifts)
    arrays["energy_shift"] = np.array([shifts[s.types].mean() for s in samples])
    files, frames = zip(*(places[id(s)] for s in structures), strict=True)
    arrays |= {"files": np.array(files), "frames": np.array(frames)}
    if record:
        arrays |= outside_arrays(compared)
    elements = model.config.elements
    return {
        "metrics": error_metrics(arrays, elements),
        "files": metrics_by_file(arrays, elements),
        "arrays": arrays,
    }


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


def _groups(blocks: Sequence[Block]) -> list[list[Block]]:
    """Group blocks for the network: few operations, bounded memory."""
    groups: list[list[Block]] = []
    entries = 0
    for block in blocks:
        entries += block[1].numel()
        if not groups or entries > LARGEST_BLOCK:
            groups.append([])
            entries = block[1].numel()
        groups[-1].append(block)
    return groups


def _join_group(
    group: Sequence[Block], types: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], list[tuple[int, int]]]:
    """Join blocks: centres, vectors, types of centres and neighbours, and shapes."""
    centers = torch.cat([c for c, _, _ in group])
    neighbors = torch.cat([n.flatten() for _, n, _ in group])
    vectors = torch.cat([v.flatten(0, 1) for _, _, v in group])
    shapes = [(n.shape[0], n.shape[1]) for _, n, _ in group]
    return centers, vectors, (types[centers], types[neighbors]), shapes


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
