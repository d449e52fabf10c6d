# SPDX-License-Identifier: MIT
"""Make an AllegroForce of folded models, by the XML that OpenMM reads."""

import base64
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import openmm

from ..model.long_range import IMAGES, LongRangeSettings
from .library import plugin

FORCE_TYPE = "AllegroForce"
_CAP = np.dtype([("ends", "<i8", 2), ("ratio", "<f8")])
_POINT = np.dtype([*_CAP.descr, ("charge", "<f8")])


class FoldedModel(NamedTuple):
    """A model's program, see ``allegro_program``, for given atoms."""

    integers: np.ndarray  # int64
    constants: np.ndarray  # float64
    weights: np.ndarray  # float32 or float64: the precision of the network
    types: np.ndarray  # int64, of each atom and then of each cap
    intervals: int = 0  # of the two-body table that C++ makes; none where it is 0
    charges: LongRangeSettings | None = None  # of all models or of none, total the same


def native_force(
    models: Sequence[FoldedModel],
    particles: Sequence[int],
    *,
    periodic: bool,
    cutoff: float,
    skin: float,
    caps: Sequence[tuple[int, int, float]] = (),
    images: str = "all",
    points: Sequence[tuple[int, int, float, float]] | None = None,
    reach: float = 0.0,
    about: str = "",
    name: str = FORCE_TYPE,
) -> openmm.Force:
    """Make the force.

    Parameters
    ----------
    models : sequence of FoldedModel
        One, or the members of a committee, whose mean the force is.
    particles : sequence of int
        Particles that are the models' atoms.
    periodic : bool
        Whether the System's box repeats.
    cutoff, skin : float
        Largest cutoff of any pair, and reach of the pair list beyond it, Å.
    caps : sequence of (inner, outer, ratio)
        Hydrogens on bonds between particles, see ``mixing.link_atoms``.
    images : str
        Of ``model.long_range.IMAGES``; of no effect without a box or charges.
    points : sequence of (first, second, ratio, charge), optional
        Charges (e) around those of the models, see ``mixing.surroundings.Point``.
    reach : float
        Largest distance of a charge and a point in an Ewald sum, Å; 0 without a box.
    about : str
        Text that stays with the force, see ``potential.description``.
    name : str

    Returns
    -------
    openmm.Force
        OpenMM's Python interface knows no class for it; ``plugin.engine.Engine`` reads
        it.

    Raises
    ------
    ImportError
        As ``plugin.library.plugin``.
    openmm.OpenMMException
        If the parts do not fit each other.
    """
    plugin()
    rows = np.array([((i, j), ratio) for i, j, ratio in caps], _CAP)
    version = 1 if models[0].charges is None else 2 if points is None else 3
    attributes = {
        "type": FORCE_TYPE,
        "version": str(version),
        "forceGroup": "0",
        "name": name,
        "about": about,
        "periodic": str(int(periodic)),
        "cutoff": repr(float(cutoff)),
        "skin": repr(float(skin)),
        "particles": _text(np.asarray(particles), "<i8"),
        "caps": _text(rows, rows.dtype),
        "models": str(len(models)),
    }
    if models[0].charges is not None:
        attributes["totalCharge"] = repr(models[0].charges.total)
        attributes["images"] = str(IMAGES.index(images))
    if points is not None:
        rows = np.array([((i, j), *numbers) for i, j, *numbers in points], _POINT)
        attributes["points"] = _text(rows, rows.dtype)
        attributes["reach"] = repr(float(reach))
    element = ElementTree.Element("Force", attributes)
    for number, model in enumerate(models):
        ElementTree.SubElement(element, f"Model{number}", _model_attributes(model))
    text = ElementTree.tostring(element, encoding="unicode")
    return openmm.XmlSerializer.deserialize(text)


def _model_attributes(model: FoldedModel) -> dict[str, str]:
    is_double = model.weights.dtype == np.float64
    attributes = {
        "double": str(int(is_double)),
        "integers": _text(model.integers, "<i8"),
        "constants": _text(model.constants, "<f8"),
        "weights": _text(model.weights, "<f8" if is_double else "<f4"),
        "types": _text(model.types, "<i8"),
        "intervals": str(model.intervals),
    }
    if model.charges is not None:
        attributes["start"] = _text(np.array(model.charges.start), "<f8")
        attributes["alpha"] = repr(model.charges.alpha)
        attributes["learned"] = str(int(model.charges.learned))
    return attributes


def _text(values: np.ndarray, dtype: np.typing.DTypeLike) -> str:
    """Base64 of an array's bytes."""
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()
