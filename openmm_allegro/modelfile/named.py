# SPDX-License-Identifier: MIT
"""Models by name: those of the package openmm-allegro-models, or of a checkout.

Each is a model file with a card beside it, ``NAME.card.toml``, which says what the
model is for and where it fails.
"""

import dataclasses
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.config import from_mapping, read_tables
from ..utils.suggest import did_you_mean

# The distribution openmm-allegro-models installs this package, which has no code.
PACKAGE = "openmm_allegro_models"
_CARD = ".card.toml"


@dataclass(frozen=True)
class Card:
    """What is to be known of a model before it is used.

    Attributes
    ----------
    title, file : str
        ``file`` is beside the card, as is ``metrics``.
    level_of_theory, domain, licence, source : str
        ``domain`` is what the model was trained and tested for, ``source`` that of the
        data.
    metrics : str
        JSON of ``openmm-allegro evaluate`` for frames that were not trained on.
    fails : str
        Where the model is known to fail.
    checked : str
        What of simulations was compared, with what, and how near it was.
    """

    title: str
    file: str
    level_of_theory: str
    domain: str
    licence: str
    source: str
    metrics: str
    fails: str
    checked: str = ""


def named_models() -> dict[str, Path]:
    """List the models that have a name, each with the path of its card."""
    folders = []
    specification = importlib.util.find_spec(PACKAGE)
    if specification is not None:
        folders += list(specification.submodule_search_locations or ())
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        folders.append(str(checkout / "systems"))
    cards: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(Path(folder).glob(f"*/*{_CARD}")):
            cards.setdefault(card_name(path), path)
    return cards


def card_name(path: Path) -> str:
    """Name of the model whose card a file is."""
    return path.name.removesuffix(_CARD)


def read_card(path: Path) -> Card:
    """Read the card of a model.

    Raises
    ------
    ValueError
        If a key is missing or unknown.
    """
    fields = [field.name for field in dataclasses.fields(Card)]
    return from_mapping(Card, read_tables(path, fields), str(path))


def card_beside(path: str | Path) -> tuple[Path, Card] | None:
    """Find the card of a model file that lies beside it; None where there is none."""
    path = Path(path)
    for card in sorted(path.parent.glob(f"*{_CARD}")):
        try:
            found = read_card(card)
        except ValueError:  # of another program, or one that is being written
            continue
        if found.file == path.name:
            return card, found
    return None


def errors_of(path: Path) -> dict[str, Any]:
    """Errors on frames that the model of a card was not trained on.

    Returns
    -------
    dict
        As ``openmm-allegro evaluate --json`` writes them: ``forces_rmse`` in meV/Å,
        ``energy_rmse`` in meV/atom where it was measured. Empty without the file.
    """
    file = path.parent / read_card(path).metrics
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}


def model_path(given: str | Path, folder: str | Path = "") -> Path:
    """Find the file of a model that is given by a path or by its name.

    Parameters
    ----------
    given : str or path
        A file comes before a name.
    folder : path
        That a relative path is relative to.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    """
    path, name = Path(folder) / given, str(given)
    if path.is_file():
        return path
    cards = named_models()
    if name in cards:
        return cards[name].parent / read_card(cards[name]).file
    kind = "a folder" if path.is_dir() else "nothing"
    text = f"expected a model file, found {kind} at {path}"
    if Path(name).name == name and not Path(name).suffix:  # a word
        text = f"{text}, and no model of that name{did_you_mean([name], cards)}"
        text += " (openmm-allegro models lists them)" if cards else ""
    raise FileNotFoundError(text)
