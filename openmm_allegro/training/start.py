# SPDX-License-Identifier: MIT
"""Make the samples of a training and the model that it starts from."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from .._version import __version__
from ..classical.fingerprint import common_baseline
from ..kernels.training.network import use_training_network
from ..model import AllegroConfig, AllegroEnergy
from ..model.energy import make_terms
from ..model.model import Model
from ..structure import Structure
from ..utils.process import processor_name
from .config import OF_CHARGES, STRESS_WEIGHT, TrainConfig
from .core_fit import fit_terms
from .fields import check_charges, with_matrices, without_field
from .fine_tune import check_fine_tuning, continue_from, continued_record
from .isolated import isolated_energies, report_isolated, separate
from .resume import DATA_HASHES, hash_structures
from .samples import FILL, FINE_FILL, Sample, make_samples
from .statistics import closest_pairs, statistics
from .terms import subtract_terms

log = logging.getLogger(__name__)


class Start(NamedTuple):
    """Untrained model, and the samples to train and to validate it on.

    Their labels are what the network is to give: without the terms of the energy that
    are not trained.
    """

    model: Model
    training: list[Sample]
    validation: list[Sample]
    replay: list[Sample]


def start_training(
    model_config: AllegroConfig,
    train_config: TrainConfig,
    training: Sequence[Structure],
    validation: Sequence[Structure],
    provenance: dict[str, Any] | None = None,
    *,
    source: Model | None = None,
    replay: Sequence[Structure] = (),
) -> Start:
    """Make samples, and a model with their statistics and random weights, or others.

    Parameters
    ----------
    model_config : AllegroConfig
    train_config : TrainConfig
    training, validation : sequence of Structure
        With the labels that ``check_labels`` wants.
    provenance : dict, optional
        JSON values to keep in the model file beside those recorded here.
    source : Model, optional
        Start from its weights, see ``fine_tune``.
    replay : sequence of Structure
        Frames that it was trained on.

    Raises
    ------
    ValueError
        If an element is not in the config, two atoms are at one position, some labels
        are of another baseline than the others, all frames have weights of 0, or two
        energies of an isolated atom differ.
    """
    dtype = getattr(torch, train_config.dtype)
    data = zip(DATA_HASHES, (training, validation), strict=True)
    charged = model_config.is_charged
    hashes = {key: hash_structures(part, charged=charged) for key, part in data}
    check_fine_tuning(model_config, train_config, source, replay)
    check_charges(model_config, train_config, training, (*validation, *replay))
    prepared = model_config, dtype, train_config.element_weights
    training, samples, atoms = separate(
        "training", training, make_samples(training, *prepared)
    )
    validation, held_out, others = separate(
        "validation", validation, make_samples(validation, *prepared)
    )
    _check_weights(train_config, samples)
    old: list[Sample] = []
    if replay:
        old = make_samples(replay, *prepared)
        hashes["replay_sha256"] = hash_structures(replay, charged=charged)
        replay, old, _ = separate("replay", replay, old)
        hashes["replay_structures"] = len(old)
    _report_absent(model_config, [*samples, *old], source)
    atoms += others
    baseline = common_baseline((*training, *validation, *replay))
    isolated = isolated_energies(model_config, atoms)
    samples, held_out, old = with_matrices(
        (samples, held_out, old), model_config, train_config
    )
    terms = make_terms(model_config)
    local = without_field(samples, model_config)
    if source is None:
        fit_terms(terms, local, model_config, dtype)
        sets = (subtract_terms(part, terms) for part in (samples, held_out, local))
        samples, held_out, local = sets
    numbers = statistics(local, model_config, isolated)
    record = {
        **_record_of(training, train_config),
        "training_structures": len(samples),
        "validation_structures": len(held_out),
        **hashes,
        "closest_pairs": closest_pairs(samples, model_config),
        "train": _recorded(train_config, charged=charged),
        **report_isolated(model_config, isolated, len(atoms)),
        **(provenance or {}),
    }
    if source is not None:
        record = continued_record(source, record, baseline)
        configs = model_config, train_config
        model, old = continue_from(source, *configs, samples, old, numbers, isolated)
        model.provenance |= record
        sets = (
            subtract_terms(part, model.energy.terms)
            for part in (samples, held_out, old)
        )
        return Start(model, *sets)
    energy = AllegroEnergy(model_config, numbers, train_config.seed).set_dtype(dtype)
    energy = energy.with_terms(terms)
    if baseline is not None:
        record["baseline"] = baseline
    kind = "total" if baseline is None else "delta"
    model = Model(model_config, numbers, energy, kind, train_config.dtype, record)
    return Start(model, samples, held_out, old)


def _recorded(config: TrainConfig, *, charged: bool) -> dict[str, Any]:
    """Settings as a record keeps them: those of charges of a model that has some."""
    table = dataclasses.asdict(config)
    return {key: table[key] for key in table if charged or key not in OF_CHARGES}


def _record_of(structures: Sequence[Structure], config: TrainConfig) -> dict[str, Any]:
    """Software, hardware and the kind of the training structures, for provenance."""
    periodic = [bool(s.periodic.any()) for s in structures]
    on_gpu = choose_device(config.device) == "cuda"
    return {
        "package_version": __version__,
        "torch_version": torch.__version__,
        "processor": torch.cuda.get_device_name() if on_gpu else processor_name(),
        "periodic": "all" if all(periodic) else "some" if any(periodic) else "none",
    }


def _report_absent(
    config: AllegroConfig, samples: Sequence[Sample], source: Model | None
) -> None:
    """Log elements that the model cannot learn, and known ones that it may forget."""
    present = torch.cat([sample.types for sample in samples]).unique().tolist()
    absent = [e for i, e in enumerate(config.elements) if i not in present]
    known = () if source is None else source.config.elements
    forgotten = [element for element in absent if element in known]
    if forgotten:
        log.info(
            "no structure has %s, of which the model may forget what it knows; replay "
            "keeps that",
            ", ".join(forgotten),
        )
    absent = [element for element in absent if element not in known]
    if absent:
        log.warning(
            "no training structure has %s, of which the model will have learnt nothing",
            ", ".join(absent),
        )


def _check_weights(config: TrainConfig, samples: Sequence[Sample]) -> None:
    """Refuse frames that all have a weight of 0 where the loss has one.

    Raises
    ------
    ValueError
    """
    first = config.stages()[0]
    for s in samples:
        energy, _, stress = s.weights
        if any((first.energy * energy, first.stress * stress)):
            return
        if first.forces * float(s.force_weights.max()):
            return
    raise ValueError(
        "training: expected frames with a weight above 0 (config_weight, weight and "
        "their like, file_weights, element_weights), found only zeros; use_weights = "
        "false leaves out those of the files"
    )


def with_stress_weight(
    config: TrainConfig, training: Sequence[Structure]
) -> TrainConfig:
    """Settle the default weight of stresses: 0 where forces have none.

    Stresses that are all zero are placeholders: some codes write them where they have
    computed none.
    """
    if config.stress_weight is not None:
        return config
    if config.forces_weight == 0:  # energies alone, without derivatives
        return dataclasses.replace(config, stress_weight=0.0)
    stresses = [s.known_stress() for s in training]
    known = [stress for stress in stresses if stress is not None]
    real = any(stress.any() for stress in known)
    if known and not real:
        log.warning("all stresses are zero, and left out of the loss")
    elif known:
        log.info(
            "%d of %d structures have a stress: stress_weight = %g",
            *(len(known), len(training), STRESS_WEIGHT),
        )
    return dataclasses.replace(config, stress_weight=STRESS_WEIGHT if real else 0.0)


def check_stresses(
    config: TrainConfig,
    training: Sequence[Structure],
    validation: Sequence[Structure],
) -> None:
    """Refuse a weight on stresses that no structure has.

    Raises
    ------
    ValueError
    """
    weight = max(weights.stress for weights in config.stages())
    if weight > 0 and all(s.known_stress() is None for s in training):
        raise ValueError(
            f"training: expected stresses because their weight is {weight}, found none"
            f"{_why_none(training)}"
        )
    last = config.stages()[-1]
    if last.stress > 0 and all(s.known_stress() is None for s in validation):
        if last.energy + last.forces == 0:
            raise ValueError(
                "validation: expected stresses because nothing else has a weight, "
                "found none"
            )
        log.warning("validation scores leave out stresses, of which there are none")


def _why_none(structures: Sequence[Structure]) -> str:
    count = sum(s.stress is not None for s in structures)
    if not count:
        return ""
    return (
        f" but in {count} structures that have no volume, no periodic directions or "
        "others than x, y and z"
    )


def use_device(energy: AllegroEnergy, device: str) -> Mapping[str, Any]:
    """Make a network ready to train on a device; returns how to fill its blocks."""
    if device == "cpu":
        use_training_network(energy)
    return FILL if energy.network.in_training is None else FINE_FILL


def choose_device(name: str) -> str:
    """The device of a config, "cpu" or "cuda"; "auto" takes CUDA where there is any.

    Raises
    ------
    ValueError
        If "cuda" was asked for and there is none.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("expected a CUDA device because device = 'cuda', found none")
    return name
