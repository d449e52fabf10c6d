# SPDX-License-Identifier: MIT
"""Describe a force in words that stay with it: models, region, options.

It is a JSON text in the force's module, so it survives copies and XML. Records of runs
have it, and a run that is to be resumed is compared by it.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..mixing.link_atoms import Cap
from ..model.model import Model, digest
from ..modelfile.accuracy import accuracy_words
from ..modelfile.named import card_beside, errors_of
from ..modelfile.provenance import own_errors, training_words
from ..utils.ranges import as_ranges
from .options import ForceOptions

if TYPE_CHECKING:
    import torch

OPTIONS = ("backend", "precision", "kernel", "two_body", "skin")
# Names in records, see ``notes_of``.
MODEL_NOTES = ("model", "model_sha256", "model_weights_sha256")
REASON = "backend_reason"
# Of models with charges alone.
OF_CHARGES = ("charges", "charge_alpha", "total_charge")
EMBEDDING = "embedding"  # of a region, if it is not mechanical
FORCE_NOTES = (*MODEL_NOTES, "ml_region", EMBEDDING, *OF_CHARGES, *OPTIONS, REASON)
_ALL = "all atoms"
# Names in records of what models are, see ``about_models``.
ABOUT_NOTES = ("model_about", "link_atoms")
# Ranges of a region that a record lists.
_SHOWN = 20


def describe(
    models: Sequence[Model],
    options: ForceOptions,
    *,
    region: Sequence[int] | None,
    caps: Sequence[Cap],
    periodic: bool,
    reason: str = "",
    embedding: str = "mechanical",
) -> str:
    """Describe a force as JSON.

    Parameters
    ----------
    models : sequence of Model
    options : ForceOptions
    region : sequence of int, optional
        Particles that the models compute; all if not given.
    caps : sequence of Cap
    periodic : bool
    reason : str
        Why the backend is what it is, see ``forces.choose_backend``.
    embedding : str
        As in ``AllegroPotential.create_mixed_system``.
    """
    digests = [digest(model) for model in models]
    origins = [model.origin for model in models]
    # of one that was changed since, the file is another
    files = [
        origin.path if origin and origin.digest == now else None
        for origin, now in zip(origins, digests, strict=True)
    ]
    return json.dumps(
        {
            "models": digests,
            "files": files,
            "sha256": [
                origin.sha256 if file and origin else None
                for origin, file in zip(origins, files, strict=True)
            ],
            "region": _ALL if region is None else as_ranges(region),
            "caps": [list(cap) for cap in caps],
            "periodic": periodic,
            REASON: reason,
            "about": [
                about_model(model, file)
                for model, file in zip(models, files, strict=True)
            ],
            **describe_charges(models, options.total_charge),
            **({EMBEDDING: embedding} if embedding != "mechanical" else {}),
            # Numbers last: of a text's end, OpenMM loses one character after a quote.
            **{name: getattr(options, name) for name in OPTIONS},
        }
    )


def describe_charges(models: Sequence[Model], total_charge: float) -> dict[str, Any]:
    """Describe the charges of models; nothing where they have none."""
    configs = [model.config for model in models]
    if not configs[0].is_charged:
        return {}
    kinds = _one_or_all([config.charges for config in configs])
    alphas = _one_or_all([config.alpha for config in configs])
    return dict(zip(OF_CHARGES, (kinds, alphas, total_charge), strict=True))


def description(found: "torch.jit.ScriptModule | str") -> dict[str, Any] | None:
    """Read what ``describe`` wrote, or None in a module from before there was one.

    Parameters
    ----------
    found : ScriptModule or str
        The module that has it, or the text itself.
    """
    text = found if isinstance(found, str) else getattr(found, "description", "")
    return json.loads(text) if text else None


def notes_of(forces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Name the models, the region and the options of forces, for a record.

    Parameters
    ----------
    forces : sequence of dict
        From ``description``.

    Returns
    -------
    dict
        ``model`` and ``model_sha256`` where the model is that of a file,
        ``model_weights_sha256`` where it is not, ``ml_region``, ``OF_CHARGES`` where
        there are charges, and the fields of ForceOptions with the reason of the
        backend. Lists where there are several.
        Empty without such a force.
    """
    if not forces:
        return {}
    notes: dict[str, Any] = {}
    files = [file for one in forces for file in one["files"]]
    hashes = [value for one in forces for value in one["sha256"]]
    if None in files:
        weights = [value for one in forces for value in one["models"]]
        notes["model_weights_sha256"] = _one_or_all(weights)
    else:
        notes |= {"model": _one_or_all(files), "model_sha256": _one_or_all(hashes)}
    regions = dict.fromkeys(_shortened(one["region"]) for one in forces)
    notes["ml_region"] = "; ".join(regions)
    for name in (EMBEDDING, *OF_CHARGES, *OPTIONS, REASON):
        # older forces have no reason, and forces without charges lack what is of them
        values = [one.get(name, "") for one in forces]
        if any(value != "" for value in values):
            same = all(value == values[0] for value in values)
            notes[name] = values[0] if same else values
    return notes


def about_models(forces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Say for a record what the models of forces are, which decides nothing.

    Parameters
    ----------
    forces : sequence of dict
        From ``description``.

    Returns
    -------
    dict
        ``model_about``, for each model a dict with ``cutoff_angstrom``, ``kind``,
        ``architecture`` in words, ``training_structures`` and ``training`` (settings in
        words) if its file has them, ``errors`` (RMSE, in words) of test frames or of
        those of the validation, and where there is a card
        beside the file ``title``, ``level_of_theory``, ``source`` (of the data), and in
        words ``errors`` (RMSE), ``checked`` and ``fails``.
        ``imported`` of a model that nequip trained: ``file`` and ``sha256`` of the
        checkpoint, ``with`` the versions that read it, and ``fine_tuned``, whether it
        was trained further since.
        ``link_atoms``, for each cap the particles inside and outside of the region.
        Without what there is none of.
    """
    about = [each for one in forces for each in one.get("about", ())]
    caps = [cap[:2] for one in forces for cap in one["caps"]]
    found = {"model_about": about, "link_atoms": caps}
    return {name: value for name, value in found.items() if value}


def about_model(model: Model, file: str | None) -> dict[str, Any]:
    """Say what a model is, by its file and the card beside it; see `about_models`."""
    beside = None if file is None else card_beside(file)
    structures = model.provenance.get("training_structures")
    about = {"cutoff_angstrom": model.config.cutoff, "kind": model.kind}
    about |= training_words(model) | own_errors(model, file)
    about |= {} if structures is None else {"training_structures": structures}
    about |= _imported(model.provenance)
    if beside is None:
        return about
    path, card = beside
    for name in ("title", "level_of_theory", "source", "checked", "fails"):
        if getattr(card, name):
            about[name] = getattr(card, name)
    errors = "; ".join(accuracy_words(errors_of(path)))
    return about | ({"errors": errors} if errors else {})


def _imported(provenance: dict[str, Any]) -> dict[str, Any]:
    """Say which checkpoint of nequip a model was, itself or before a fine-tuning."""
    for found in (provenance, provenance.get("started_from", {})):
        if "imported_from" in found:
            names = {"file": "from", "sha256": "sha256", "with": "with"}
            told = {name: found.get(f"imported_{key}") for name, key in names.items()}
            return {"imported": told | {"fine_tuned": found is not provenance}}
    return {}


def _shortened(region: str) -> str:
    ranges = region.split(", ")
    more = len(ranges) - _SHOWN
    return region if more <= 0 else f"{', '.join(ranges[:_SHOWN])} and {more} more"


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
