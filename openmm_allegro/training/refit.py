# SPDX-License-Identifier: MIT
"""Refit the energy shifts of a trained model in closed form.

The last steps of a training move the energies of all frames up and down together, and a
model keeps the offset of the moment at which it was saved. The energy is linear in the
shifts, so that the best ones for given weights are a least-squares fit.
"""

import copy
import dataclasses
import logging
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch.utilities import move_data_to_device

from ..model.model import Model, Stored, weights
from ..structure import Structure
from .budget import MOST_AFTER
from .evaluate import check_comparable
from .latents import recording
from .predict import predict
from .samples import Sample, collate, make_samples

log = logging.getLogger(__name__)

RECORD = "refitted_shifts"  # key of the provenance
# A combination of shifts is changed if the frames show it by so many standard errors.
SIGNIFICANT = 3.0
_SMALLEST = 1e-8  # singular value, as a fraction of the largest, that determines one
_BATCH = 4  # structures


class Refit(NamedTuple):
    """A model with refitted shifts, or as it was, and what was done."""

    model: Model
    report: dict[str, Any]  # JSON values, also in the model's provenance if refitted


class Residuals(NamedTuple):
    """What a model leaves of the energies of B frames with E elements."""

    compositions: np.ndarray  # [B, E] number of atoms of each element
    errors: np.ndarray  # [B] reference less prediction, eV
    weights: np.ndarray  # [B] of the frames' energies in the loss

    @property
    def per_atom(self) -> np.ndarray:
        """Errors in eV/atom."""
        return self.errors / self.compositions.sum(1)

    def offset(self) -> float:
        """Weighted mean error in meV/atom."""
        return float(1000 * np.average(self.per_atom, weights=self.weights))

    def metrics(self) -> dict[str, float]:
        """Errors in meV/atom as ``error_metrics`` names them, without weights."""
        errors = 1000 * self.per_atom
        return {
            "energy_mae": float(np.abs(errors).mean()),
            "energy_rmse": float(np.sqrt((errors**2).mean())),
        }

    def for_totals(self) -> "Residuals":
        """Residuals weighted for errors of whole energies, not those per atom."""
        return self._replace(weights=self.weights * self.compositions.sum(1) ** 2)

    def beside(self, others: "Residuals") -> "Residuals":
        """Residuals of these frames and of others."""
        return Residuals(*map(np.concatenate, zip(self, others, strict=True)))

    def rmse(self) -> float:
        """Weighted root-mean-square error in meV/atom."""
        square = np.average(self.per_atom**2, weights=self.weights)
        return float(1000 * np.sqrt(square))

    def changed(self, change: np.ndarray) -> "Residuals":
        """Residuals after a change [E] of the shifts (eV)."""
        return self._replace(errors=self.errors - self.compositions @ change)


def refit_shifts(
    model: Model,
    structures: Sequence[Structure],
    validation: Sequence[Structure] = (),
    *,
    fixed: Collection[str] = (),
) -> Refit:
    """Fit the energy shifts of a model to structures, its weights being what they are.

    It is the least-squares fit of the errors of energies per atom, weighted as in the
    loss. Combinations of shifts that the compositions do not determine, or that are
    less than three standard errors from zero, stay as they are: structures of one
    composition give the smallest change that removes their offset. Energies of isolated
    atoms, which the training took from frames of one atom or from ``shifts`` of the
    config, are not fitted, since the model would no longer give them.

    Parameters
    ----------
    model : Model
        Left as it is.
    structures : sequence of Structure
        Those it was trained on. Of more than 2,000 every n-th is taken; isolated atoms
        and structures without an energy are left out.
    validation : sequence of Structure
        If given, the shifts stay as they are unless the energies of these structures
        become better.
    fixed : collection of str
        Further elements whose shifts stay as they are.

    Returns
    -------
    Refit

    Raises
    ------
    ValueError
        If no structure has an energy, an element is unknown, or the labels are of
        another kind than the model.
    """
    sets = []
    for part in (structures, validation):
        if part:
            check_comparable(model, part, "refit")
        sets.append(make_samples(part, model.config, torch.float64))
    return refit_samples(model, *sets, fixed=fixed)


def refit_samples(
    model: Model,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    *,
    fixed: Collection[str] = (),
    per_atom: bool = True,
    device: str = "cpu",
    most: int = MOST_AFTER,
    latents: dict[int, np.ndarray] | None = None,
) -> Refit:
    """Do what ``refit_shifts`` does with samples, whose labels are of the right kind.

    Parameters
    ----------
    model : Model
    training, validation : sequence of Sample
    fixed : collection of str
    per_atom : bool
        Whether errors of energies per atom are squared, as in the loss.
    device : str
        Device to compute energies on.
    most : int
        Frames of a set, drawn evenly from more.
    latents : dict, optional
        Gets latents of the frames, see ``energy_residuals``.
    """

    def residuals_of(samples: Sequence[Sample]) -> Residuals:
        residuals = energy_residuals(model, samples, device, latents)
        return residuals if per_atom else residuals.for_totals()

    elements = model.config.elements
    unknown = set(fixed) - set(elements)
    if unknown:
        raise ValueError(
            f"refit: expected fixed elements among {', '.join(elements)}, found "
            f"{', '.join(sorted(unknown))}"
        )
    kept = {*isolated_elements(model), *fixed}
    residuals = residuals_of(drawn(training, most))
    if not len(residuals.errors):
        raise ValueError(
            "refit: expected structures with an energy and a weight above 0, found "
            f"none among {len(training)}"
        )
    free = np.array([element not in kept for element in elements])
    change = least_change(residuals, free)
    report = {
        "frames": len(residuals.errors),
        "fixed": [element for element in elements if element in kept],
        "offset": residuals.offset(),
        "training_energy_rmse": [residuals.rmse(), residuals.changed(change).rmse()],
        "accepted": False,
    }
    if not change.any():
        log.info("energy shifts stay as they are: %s", _why_none(report, free))
        return Refit(model, report)
    judge, name = residuals, "training"
    held_out = drawn(validation, most)
    if held_out:
        judge, name = residuals_of(held_out), "validation"
    before, after = judge.rmse(), judge.changed(change).rmse()
    report[f"{name}_energy_rmse"] = [before, after]
    if not after < before:
        log.info(
            "energy shifts stay as they are: refitted, the energy RMSE of %s would be "
            "%.3f meV/atom in the place of %.3f",
            *(name, after, before),
        )
        return Refit(model, report)
    log.info(
        "energy shifts refitted to %d frames (meV): %s; energy RMSE of %s "
        "%.3f meV/atom in the place of %.3f",
        report["frames"],
        ", ".join(
            f"{e} {1000 * c:+.3f}" for e, c in zip(elements, change, strict=True)
        ),
        *(name, after, before),
    )
    report |= {"accepted": True, "shifts_before": list(model.statistics.shifts)}
    if held_out:
        report["validation"] = judge.changed(change).metrics()
    return Refit(_with_change(model, change, report), report)


def isolated_elements(model: Model) -> set[str]:
    """Elements whose shifts are known energies of isolated atoms."""
    return {*model.provenance.get("isolated_atoms", ()), *model.config.shifts}


def shifts_of_training(header: dict[str, Any]) -> dict[str, Any]:
    """Statistics of a model's header as they were before its shifts were refitted."""
    before = header["provenance"].get(RECORD, {}).get("shifts_before")
    return header["statistics"] | ({"shifts": before} if before else {})


def least_change(residuals: Residuals, free: np.ndarray) -> np.ndarray:
    """Fit changes of the shifts to residuals.

    Parameters
    ----------
    residuals : Residuals
    free : ndarray [E], bool
        Elements whose shifts may change.

    Returns
    -------
    ndarray [E], eV
        The one of least norm where others are as good; zero for what is not
        significant.
    """
    change = np.zeros(len(free))
    if not free.any():
        return change
    factors = np.sqrt(residuals.weights) / residuals.compositions.sum(1)
    rows = residuals.compositions[:, free] * factors[:, None]
    target = residuals.errors * factors
    left, sizes, right = np.linalg.svd(rows, full_matrices=False)
    parts = left.T @ target
    chosen = sizes > _SMALLEST * sizes.max(initial=0.0)
    rest = target - left[:, chosen] @ parts[chosen]
    chosen &= parts**2 > SIGNIFICANT**2 * _variances(left, rest, chosen)
    change[free] = right[chosen].T @ (parts[chosen] / sizes[chosen])
    return change


def _variances(left: np.ndarray, rest: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Variances of the fitted combinations, from what the fit leaves of the frames.

    Frames of one data set may scatter far more than those of another, and say nothing
    of how sure a combination of the other is: J. G. MacKinnon and H. White,
    doi:10.1016/0304-4076(85)90158-7, HC2. A frame that alone determines a combination
    has no rest, and is given the mean one.

    Parameters
    ----------
    left : ndarray [B, K]
        Left singular vectors.
    rest : ndarray [B]
        Target less its fit.
    chosen : ndarray [K], bool
        Combinations that were fitted.
    """
    freedom = np.count_nonzero(left.any(axis=1)) - np.count_nonzero(chosen)
    if freedom <= 0:
        return np.zeros(len(chosen))
    free = 1.0 - (left[:, chosen] ** 2).sum(axis=1)
    mean = rest @ rest / freedom
    squares = np.divide(rest**2, free, out=np.full(len(rest), mean), where=free > 1e-6)
    return (left**2).T @ squares


def drawn(samples: Sequence[Sample], most: int = MOST_AFTER) -> list[Sample]:
    """Samples with an energy that counts, or some drawn evenly from many."""
    labelled = [
        s
        for s in samples
        if s.energy is not None and s.weights[0] > 0 and not s.is_isolated
    ]
    count = min(len(labelled), most)
    rows = np.linspace(0, len(labelled) - 1, count).round().astype(int)
    return [labelled[row] for row in rows]


def energy_residuals(
    model: Model,
    samples: Sequence[Sample],
    device: str,
    latents: dict[int, np.ndarray] | None = None,
) -> Residuals:
    """Compute what the model leaves of the energies of samples.

    Parameters
    ----------
    model : Model
    samples : sequence of Sample
    device : str
    latents : dict, optional
        Gets what ``latents.recording`` records of each sample, by its ``id``.
    """
    dtype = getattr(torch, model.dtype)
    energy = copy.deepcopy(model.energy).set_dtype(dtype).to(device)
    errors = [torch.zeros(0, dtype=torch.float64)]
    # a record costs a tenth of the energies, and saves computing them again
    with recording(energy) as recorder:
        for start in range(0, len(samples), _BATCH):
            some = samples[start : start + _BATCH]
            batch = move_data_to_device(collate(some, model.config), device)
            predicted = predict(energy, batch, forces=False, stress=False).energies
            errors.append((batch.energies - predicted).cpu())
            taken = recorder.take(batch)
            if latents is not None:
                ends = np.cumsum([len(sample.types) for sample in some])[:-1]
                parts = np.split(taken, ends)
                latents |= dict(zip(map(id, some), parts, strict=True))
    count = len(model.config.elements)
    return Residuals(
        np.array(
            [np.bincount(s.types, minlength=count) for s in samples], dtype=float
        ).reshape(-1, count),
        torch.cat(errors).numpy(),
        np.array([s.weights[0] for s in samples]),
    )


def _with_change(model: Model, change: np.ndarray, report: dict[str, Any]) -> Model:
    """Make a model of the same weights whose shifts differ by ``change`` [E] (eV)."""
    shifts = np.array(model.statistics.shifts) + change
    statistics = dataclasses.replace(model.statistics, shifts=tuple(shifts.tolist()))
    return Model(
        model.config,
        statistics,
        kind=model.kind,
        dtype=model.dtype,
        provenance=model.provenance | {RECORD: report},
        stored=Stored(weights(model)),
    )


def _why_none(report: dict[str, Any], free: np.ndarray) -> str:
    if free.any():
        return f"no offset is significant ({report['offset']:+.3f} meV/atom)"
    return (
        "those of all elements are fixed energies of isolated atoms; the mean error of "
        f"{report['offset']:+.3f} meV/atom stays"
    )
