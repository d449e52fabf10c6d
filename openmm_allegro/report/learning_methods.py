# SPDX-License-Identifier: MIT
"""Methods of a loop of active learning, in words for a paper."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..utils.words import counted, listed
from .html import Markup
from .methods import Paper, show_paper


def learning_methods(
    record: Mapping[str, Any], errors: Sequence[Mapping[str, str]]
) -> Markup:
    """Show the methods of a loop, as its record holds them.

    Parameters
    ----------
    record : mapping
        Of ``loop.json``.
    errors : sequence of dict
        Rows of its table of errors, a row a round.
    """
    paper = Paper()
    paper.add(_members(paper, record), _candidates(record), _labels(record))
    paper.add(_picks(paper, record["learn"]), _course(record["learn"], errors))
    settings = [
        (f"{table} {name}", value if isinstance(value, str) else json.dumps(value))
        for table in ("learn", "labels", "train")
        for name, value in record.get(table, {}).items()
    ]
    return show_paper(paper, settings)


def _members(paper: Paper, record: Mapping[str, Any]) -> str:
    config = record["learn"]
    text = f"A committee of {counted(config['members'], 'Allegro model')}"
    text += paper.cite("allegro", "committee")
    models = record.get("model") or []
    cutoffs = dict.fromkeys(
        f"{one['cutoff']:g}" for one in models if isinstance(one, dict)
    )
    text += f" with cutoffs of {listed(cutoffs)} Å" if cutoffs else ""
    start = config.get("start_from") or []
    if start:
        names = (str(path).rpartition("/")[2] for path in start)
        return f"{text} was fine-tuned from {listed(names)} in each round."
    return f"{text} was trained from random weights."


def _candidates(record: Mapping[str, Any]) -> str:
    explorations = [one["name"] for one in record.get("explore", [])]
    if not explorations:
        return ""
    noun = "exploration" if len(explorations) == 1 else "explorations"
    return f"Candidates came from the {noun} {listed(explorations)}."


def _labels(record: Mapping[str, Any]) -> str:
    labels = record["labels"]
    if labels["kind"] == "ase":
        return f"They were labelled by {labels['calculator']} through ASE."
    if labels["kind"] == "command":
        return f"They were labelled by the command {' '.join(labels['command'])}."
    return "They were frames of a pool with labels."


def _picks(paper: Paper, config: Mapping[str, Any]) -> str:
    if config["pick"] == "random":
        return f"Each round picked {counted(config['frames'], 'frame')} at random."
    text = (
        f"Each round picked at most {counted(config['frames'], 'frame')} by the "
        f"committee's disagreement on forces and by novelty{paper.cite('committee')}"
    )
    if config.get("largest_deviation_ev_a"):
        text += f", of a deviation of at most {config['largest_deviation_ev_a']:g} eV/Å"
    if config.get("least_distance"):
        text += (
            f", at least {config['least_distance']:g} median distances of candidates "
            "from any other"
        )
    return f"{text}."


def _course(config: Mapping[str, Any], errors: Sequence[Mapping[str, str]]) -> str:
    labelled = errors[-1].get("labelled") if errors else None
    text = f"After {counted(len(errors), 'training')} of the committee"
    text += f" {labelled} frames had been labelled" if labelled else ""
    return f"{text}. The random seed was {config['seed']}."
