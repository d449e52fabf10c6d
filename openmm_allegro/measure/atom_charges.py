# SPDX-License-Identifier: MIT
"""Charges of all atoms of a run: those of its model, given, of its System, or formal.

Transport keeps formal charges, or those that are given, whatever a model has learnt:
see `conductivity`.
"""

from typing import Any, NamedTuple

import numpy as np

from ..runs.charge_frames import ChargedFrames
from ..runs.charges import read_charges
from ..runs.frames import system_of
from ..runs.run import Run
from ..runs.source import Source
from ..utils.settings import setting

OF_MODEL, FORMAL = "model", "formal"
# What charges mean that were learnt from energies and forces.
SCREENED = (
    "A model that was trained without labels of charges or dipoles knows charges "
    "screened by the electrons alone: moments are too small by the root of the "
    "dielectric constant of the electrons, and ε and absorption by all of it, which "
    "--electronic gives back (1.78 of water)."
)


class AtomCharges(NamedTuple):
    """Charges of atoms, and the frames that they are of.

    Attributes
    ----------
    frames : Frames or ChargedFrames
    values : (n_atoms,) or (n_frames, n_atoms) array
        In e.
    origin : str
        Sentence for a reader.
    of_model : bool
        Whether a model gave them to the atoms of each frame.
    """

    frames: Any
    values: np.ndarray
    origin: str
    of_model: bool


def atom_charges_setting() -> Any:
    """Declare charges of all atoms."""
    return setting(
        None,
        about="Charge numbers by element, or a file of one number for each atom; "
        f"{OF_MODEL} for those that the run's model gave the atoms (PREFIX.charges), "
        f"{FORMAL} for ions of one atom alone (default: the model's, else those of the "
        "run's System, else formal ones)",
        metavar="O=-0.8,H=0.4",
    )


def electronic_setting() -> Any:
    """Declare the dielectric constant of electrons that charges are screened by."""
    return setting(
        1.0,
        about="Dielectric constant of the electrons, for charges screened by them: the "
        "square of the refractive index, 1.78 of water; ε and absorption are "
        "multiplied by it",
        minimum=1.0,
        maximum=100.0,
        metavar="EPS",
    )


def atom_charges(
    source: Source,
    run: Run,
    given: str | None,
    *,
    positions: int | None = None,
    least: int = 20,
) -> AtomCharges:
    """Find the charges of all atoms of a run, and the frames that they are of.

    Parameters
    ----------
    source : Source
    run : Run
    given : str or None
        As `atom_charges_setting` declares it.
    positions, least
        As of `Source.frames`.

    Raises
    ------
    ValueError
        If there are none, or as `ChargedFrames` and `runs.charges.read_charges`.
    """
    frames = source.frames([run], positions=positions, least=least)
    if given == OF_MODEL or (given is None and run.charges is not None):
        if run.charges is None:
            raise FileNotFoundError(
                f"expected charges of {run.name}, a file .charges that simulate writes "
                "of a model with charges (charge_interval), found none"
            )
        charged = ChargedFrames(run, frames)
        origin = f"Charges are those of the model in {charged.n_frames} frames."
        return AtomCharges(charged, charged.charges, origin, True)
    topology = frames.topology
    if given is None:
        system = system_of(run, topology.n_atoms)
        if system is not None and system.charges is not None:
            if "charges" in run.record:
                raise ValueError(
                    f"expected charges of {run.name} (--charges), found those of its "
                    "System, which lack the atoms of its model with charges"
                )
            origin = "Charges are those of the run's System."
            return AtomCharges(frames, system.charges, origin, False)
    charges = read_charges(None if given == FORMAL else given, topology)
    return AtomCharges(frames, charges.of_atoms, charges.origin, False)
