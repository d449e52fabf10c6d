# SPDX-License-Identifier: MIT
"""Write where energies and forces came from: models, their training and region."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..runs.names import LAMMPS
from ..runs.run import Run
from ..utils.words import listed
from .details import box_words
from .force_field import force_field_words
from .production import Production
from .region import ALL, border_words, charge_words, region_words


def model_words(paper: Any, run: Run, production: Production) -> str:
    """Write where energies and forces came from."""
    record = run.record
    if not any(k in record for k in ("model", "model_weights_sha256", "model_about")):
        return force_field_words(paper, record, production)
    region = region_words(record, production)
    computed = region or record.get("engine") == LAMMPS
    if not computed and not any(f.startswith("Allegro") for f in _forces(record)):
        # as where a model is still to be switched on
        return force_field_words(paper, record, production)
    whole = region in (ALL, "")
    hashes = "model_sha256", "model_weights_sha256"
    several = any(isinstance(record.get(name), list) for name in hashes)
    about = record.get("model_about") or [{}]
    kind = "a committee of Allegro models" if several else "an Allegro model"
    text = (
        f"Energies and forces {f'of {region} ' if region else ''}were those of {kind}"
    )
    if about[0].get("kind") == "delta":
        text = f"{kind[0].upper()}{kind[1:]} corrected the force field of {region}"
    text += paper.cite("allegro", *(["committee"] if several else []))
    text += _parenthesis(record, about[0])
    text += _imported(paper, about[0]) or _training(paper, about[0])
    mixed = any(key.startswith("mixing_") for key in record)
    alone = about[0].get("kind") == "total"
    if not whole and (mixed or alone or record.get("embedding")):
        embedding = record.get("embedding", "mechanical")
        text += f", by {embedding} embedding{paper.cite('embedding')}"
    part = record.get("mixing_lambda_interpolate")
    if part not in (None, 1.0):
        text += f", as a part of {part:g} beside {1 - part:g} of the force field's own"
    sentences = [
        f"{text}.",
        *_training_sentences(about),
        force_field_words(paper, record, production),
    ]
    sentences.append(border_words(paper, record, production))
    # Of a region by mechanical embedding they are among themselves, in vacuum.
    summed = whole or record.get("embedding") == "electrostatic"
    periodic = summed and bool(box_words(production))
    sentences.append(charge_words(paper, record, periodic))
    return " ".join(filter(None, sentences))


def failure_words(record: Mapping[str, Any]) -> list[str]:
    """Write where the models of a run are known to fail, for its warnings."""
    about = record.get("model_about") or []
    fails = dict.fromkeys(one["fails"] for one in about if one.get("fails"))
    return [f"The model is known to fail: {text}." for text in fails]


def _forces(record: Mapping[str, Any]) -> list[str]:
    return [force for force in record.get("forces") or [] if isinstance(force, str)]


def _parenthesis(record: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Name, hash and cutoff of a model, in brackets."""
    names, hashes = record.get("model"), record.get("model_sha256")
    names = names if isinstance(names, list) else [names] if names else []
    hashes = hashes if isinstance(hashes, list) else [hashes] if hashes else []
    parts = [about["title"]] if about.get("title") else []
    parts += [str(name).replace("\\", "/").rpartition("/")[2] for name in names]
    parts += [f"SHA-256 {value[:12]}" for value in hashes if isinstance(value, str)]
    if about.get("cutoff_angstrom"):
        parts.append(f"cutoff {about['cutoff_angstrom']:g} Å")
    return f" ({', '.join(parts)})" if parts else ""


def _imported(paper: Any, about: Mapping[str, Any]) -> str:
    """Say that nequip trained a model, and of which file it was made."""
    imported = about.get("imported")
    if not imported:
        return ""
    digest = imported.get("sha256")
    of = f"{imported['file']}, SHA-256 {digest[:12]}" if digest else imported["file"]
    versions = imported.get("with") or {}
    known = [f"{k} {v}" for k, v in versions.items() if v[:1].isdigit()]
    read = f", read with {listed(known)}" if known else ""
    here = f", and converted by openmm_allegro from its file ({of}{read})"
    text = f", trained by nequip-allegro in nequip{paper.cite('allegro', 'nequip')}"
    training = _training(paper, about)
    if imported.get("fine_tuned"):
        return text + here + training.replace(" trained", " then trained further", 1)
    return text + training.replace(", trained", "", 1) + here


def _training_sentences(about: Sequence[Mapping[str, Any]]) -> list[str]:
    """Architecture, training and errors, where all models have the same words."""
    sentences = []
    for name, form in (
        ("architecture", "The network has {}."),
        ("training", "The training took {}."),
        ("errors", "Root mean square errors on frames that were not trained on: {}."),
    ):
        words = {each.get(name) for each in about}
        if len(words) == 1 and (found := words.pop()):
            sentences.append(form.format(found))
    return sentences


def _training(paper: Any, about: Mapping[str, Any]) -> str:
    structures, level = about.get("training_structures"), about.get("level_of_theory")
    if not structures and not level:
        return ""
    text = f" trained on {structures:,} structures" if structures else " trained"
    if level:
        text += f" {'labelled' if structures else 'on labels'} with {level}"
    source = about.get("source", "")
    return "," + text + (paper.cite(source) if source else "")
