# SPDX-License-Identifier: MIT
"""Start a training from a trained model, with its weights and other elements."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..classical.fingerprint import extended_baseline
from ..model import AllegroConfig, AllegroEnergy, Statistics
from ..model.model import CHARGES, Model, digest, weight_tensors
from ..structure import Structure
from ..topology.elements import ATOMIC_NUMBERS
from ..utils.config import from_mapping
from .config import TrainConfig
from .evaluate import check_kind
from .new_elements import extended_cutoffs, extended_weights, models_of
from .refit import drawn, energy_residuals, least_change
from .replay import moved_energies
from .samples import Sample

log = logging.getLogger(__name__)

# Settings of the network that a fine-tuned model may have others of than its source.
_MAY_DIFFER = ("elements", "pair_cutoffs", "shifts", "charge_start")
# Settings of charges, which a model without them may be given.
_OF_CHARGES = ("charges", "charge_alpha", "charge_scale")
# meV/atom, by which energies of old and new frames may differ after a common fit.
LARGEST_OFFSET = 100.0


def fine_tuned_config(
    source: AllegroConfig,
    structures: Sequence[Structure],
    table: Mapping[str, Any] | None = None,
    where: str = "model config",
) -> AllegroConfig:
    """Make the config of a model that is fine-tuned on structures.

    New elements follow the known ones, by atomic number.

    Parameters
    ----------
    source : AllegroConfig
        Of the model to start from.
    structures : sequence of Structure
    table : mapping, optional
        A ``[model]`` table. ``elements`` in it are all that the fine-tuned model has;
        known ones may be missing. ``pair_cutoffs`` may have those of pairs with a new
        element. ``shifts`` are energies of isolated atoms at the level of theory of the
        structures. Other keys must be as the model has them.
    where : str
        Name of the table in error messages.

    Raises
    ------
    ValueError
        If a key is not as the model has it; the message names it.
    """
    present = {symbol for structure in structures for symbol in structure.symbols}
    new = sorted(present - set(source.elements), key=ATOMIC_NUMBERS.__getitem__)
    table = {"elements": [*source.elements, *new]} | dict(table or {})
    before = dataclasses.asdict(source) | {"pair_cutoffs": {}, "shifts": {}}
    config = from_mapping(AllegroConfig, before | table, where)
    cutoffs = extended_cutoffs(source, config.elements) | config.pair_cutoffs
    config = dataclasses.replace(config, pair_cutoffs=cutoffs)
    check_config(config, source, where)
    return config


def check_config(
    config: AllegroConfig, source: AllegroConfig, where: str = "model config"
) -> None:
    """Refuse another network than that of the model to start from.

    Raises
    ------
    ValueError
        It names the key.
    """
    may_differ = _MAY_DIFFER + (() if source.is_charged else _OF_CHARGES)
    for name, value in dataclasses.asdict(source).items():
        if name not in may_differ and getattr(config, name) != value:
            raise ValueError(
                f"{where}: expected {name} = {value} as the model to start from has, "
                f"found {getattr(config, name)}"
            )
    known = [e for e in config.elements if e in source.elements]
    if not known:
        raise ValueError(
            f"{where}: expected elements of the model to start from, "
            f"{', '.join(source.elements)}, among elements, found only "
            f"{', '.join(config.elements)}"
        )
    cutoffs = (
        {(a, b): table[i, j] for i, a in enumerate(e) for j, b in enumerate(e)}
        for e, table in ((c.elements, c.cutoff_table()) for c in (source, config))
    )
    before, after = cutoffs
    for a in known:
        for b in known:
            if before[a, b] != after[a, b]:
                raise ValueError(
                    f"{where}: expected pair_cutoffs {a}-{b} = {before[a, b]} as the "
                    f"model to start from has, found {after[a, b]}"
                )


def check_fine_tuning(
    config: AllegroConfig,
    settings: TrainConfig,
    source: Model | None,
    replay: Sequence[Structure],
) -> None:
    """Refuse settings of a fine-tuning that cannot be followed.

    Raises
    ------
    ValueError
    """
    if source is None:
        for name, value in (("freeze", settings.freeze), ("replay", replay)):
            if value:
                raise ValueError(
                    "training: expected a model to start from (start_from, --from) "
                    f"beside {name}, found none"
                )
    new = sorted({*config.elements} - {*source.config.elements}) if source else []
    if new and "embedding" in settings.freeze:
        raise ValueError(
            "training: expected embedding to be trained because elements are new, "
            f"{', '.join(new)}, found it in freeze"
        )
    if settings.replay_level and not replay:
        raise ValueError(
            "training: expected frames to replay (replay, --replay) beside "
            f"replay_level = {settings.replay_level!r}, found none"
        )


class Continued(NamedTuple):
    """A model to train on, and frames of its earlier training."""

    model: Model
    replay: list[Sample]


def continue_from(
    source: Model,
    config: AllegroConfig,
    settings: TrainConfig,
    samples: Sequence[Sample],
    replay: Sequence[Sample],
    measured: Statistics,
    isolated: Mapping[str, float],
) -> Continued:
    """Make the model that a fine-tuning begins with.

    Weights are those of ``source``. Energy shifts are refitted to the new frames, by
    the least change that makes their energies right: first those of new elements, then
    all of them. Replayed frames of the same level of theory take part in that; the
    energies of others are moved by what the shifts have changed.

    Parameters
    ----------
    source : Model
    config : AllegroConfig
        See ``fine_tuned_config``.
    settings : TrainConfig
    samples, replay : sequence of Sample
        New frames, and frames of an earlier training.
    measured : Statistics
        Of the new frames. Neighbours of new elements are taken from it.
    isolated : mapping
        Known energies of isolated atoms, eV, by element.

    Raises
    ------
    ValueError
        If the config is not that of the source, or the levels of theory of new and
        replayed frames seem to differ and ``replay_level`` is not given.
    """
    model = _extended_model(source, config, settings.dtype, measured, isolated)
    before = np.array(model.statistics.shifts)
    free = np.array([element not in isolated for element in config.elements])
    shifts = before + _shift_changes(model, settings, samples, replay, free)
    model.statistics = dataclasses.replace(
        model.statistics, shifts=tuple(shifts.tolist())
    )
    model.energy.shifts.copy_(torch.from_numpy(shifts))
    old = dict(zip(source.config.elements, source.statistics.shifts, strict=True))
    change = shifts - [*map(old.get, config.elements, shifts)]
    if settings.replay_level == "other":
        replay = moved_energies(replay, change)
    return Continued(model, list(replay))


def continued_record(
    source: Model, record: dict[str, Any], baseline: dict[str, Any] | None
) -> dict[str, Any]:
    """Complete the record of a training by what the model to start from has seen.

    Parameters
    ----------
    source : Model
    record : dict
        Of the new frames.
    baseline : dict, optional
        Of their labels, see ``common_baseline``.

    Raises
    ------
    ValueError
        If the labels are of another kind than the model, or have another baseline.
    """
    check_kind(source, baseline, "training", "the model to start from")
    record = dict(record)
    if baseline is not None:
        trained = source.provenance.get("baseline")
        record["baseline"] = extended_baseline(trained, baseline, "training")
    if source.provenance.get("periodic", record["periodic"]) != record["periodic"]:
        record["periodic"] = "some"
    closest = source.provenance.get("closest_pairs", {}) | record["closest_pairs"]
    for pair, distance in source.provenance.get("closest_pairs", {}).items():
        closest[pair] = min(distance, closest[pair])
    record["closest_pairs"] = dict(sorted(closest.items()))
    return record


def _extended_model(
    source: Model,
    config: AllegroConfig,
    dtype: str,
    measured: Statistics,
    isolated: Mapping[str, float],
) -> Model:
    """Give a model other elements; unknown shifts of new ones are zero."""
    check_config(config, source.config)
    model_of = models_of(config.elements, source.config.elements)
    new = {e: other for e, other in model_of.items() if e != other}
    neighbors, scales, shifts = (
        dict(zip(source.config.elements, values, strict=True))
        for values in dataclasses.astuple(source.statistics)
    )
    measured_neighbors = dict(
        zip(config.elements, measured.mean_neighbors, strict=True)
    )
    neighbors |= {e: measured_neighbors[e] for e in new}
    scales |= {e: scales[other] for e, other in new.items()}
    shifts |= dict.fromkeys(new, 0.0) | isolated
    numbers = Statistics(
        *(
            tuple(values[e] for e in config.elements)
            for values in (neighbors, scales, shifts)
        )
    )
    energy = AllegroEnergy(config, numbers).set_dtype(getattr(torch, dtype))
    weights = extended_weights(
        weight_tensors(source.energy), source.config.elements, config.elements
    )
    _set_weights(energy, weights)
    if energy.charged and source.energy.charged:
        known = zip(source.config.elements, weights[CHARGES + "start"], strict=True)
        for element, charge in known:
            if element in config.elements:
                energy.charges.start.data[config.elements.index(element)] = charge
    if new:
        log.info(
            "new elements begin as the nearest known one: %s",
            ", ".join(f"{element} as {other}" for element, other in new.items()),
        )
    record = {"started_from": source_record(source), "new_elements": new}
    if isolated:
        record["isolated_atoms"] = dict(isolated)
    return Model(config, numbers, energy, source.kind, dtype, record)


def _set_weights(energy: AllegroEnergy, known: Mapping[str, torch.Tensor]) -> None:
    """Take known weights; the charges that a readout then adds begin as zeros."""
    for name, value in weight_tensors(energy).items():
        if name == CHARGES + "start":  # those of the config, by element
            continue
        if known[name].shape != value.shape:
            value.zero_()
            value[:, : known[name].shape[1]].copy_(known[name])
        else:
            value.copy_(known[name])


def _shift_changes(
    model: Model,
    settings: TrainConfig,
    samples: Sequence[Sample],
    replay: Sequence[Sample],
    free: np.ndarray,
) -> np.ndarray:
    """Fit changes [E] of the energy shifts (eV) of the elements that are free."""
    is_new = [e in model.provenance["new_elements"] for e in model.config.elements]
    samples, replay = drawn(samples), drawn(replay)
    if not samples:
        return np.zeros(len(free))
    residuals = energy_residuals(model, samples, "cpu")
    # Where the compositions do not tell the elements apart, the new ones change first.
    change = least_change(residuals, free & is_new)
    residuals = residuals.changed(change)
    together = residuals
    if replay and settings.replay_level != "other":
        together = residuals.beside(
            energy_residuals(model, replay, "cpu").changed(change)
        )
    if settings.refit_shifts:
        second = least_change(together, free)
        change, residuals = change + second, residuals.changed(second)
    offset = residuals.offset()
    if replay and not settings.replay_level and abs(offset) > LARGEST_OFFSET:
        raise ValueError(
            "replay: expected energies of the level of theory of the training frames, "
            f"found those of the training frames {offset:+.0f} meV/atom away after a "
            "fit of the elements' energies to both; replay_level = 'other' moves the "
            "energies of replayed frames as the model's are moved, 'same' takes them "
            "as they are"
        )
    log.info(
        "energy shifts begin with changes (eV) of %s",
        ", ".join(
            f"{e} {c:+.4f}" for e, c in zip(model.config.elements, change, strict=True)
        ),
    )
    return change


def source_record(source: Model) -> dict[str, Any]:
    """Say which model a training starts from, and where that was imported from."""
    of_nequip = {
        key: value
        for key, value in source.provenance.items()
        if key.startswith("imported_")
    }
    record = {"digest": digest(source)} | of_nequip
    if source.origin is not None:
        name = Path(source.origin.path).name
        record = {"file": name, "sha256": source.origin.sha256} | record
    return record
