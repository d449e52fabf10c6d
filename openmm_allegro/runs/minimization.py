# SPDX-License-Identifier: MIT
"""Say in words what a minimisation did, as the record of a run holds it."""

from collections.abc import Mapping
from typing import Any

from ..utils.words import counted, digits
from .names import MINIMIZATION

# Forces in kJ/mol/nm from which on a tolerance is of thermal size.
_THERMAL = 500.0


def minimization_words(record: Mapping[str, Any]) -> str:
    """Say what minimised the energy, or why it was not: without subject and full stop.

    Parameters
    ----------
    record : mapping
        Of a run.

    Returns
    -------
    str
        As ``"minimised first: 12 iterations of L-BFGS lowered the energy by 1,520
        kJ/mol and took the largest force on an atom from 15,300 to 2,400 kJ/mol/nm,
        and the root mean square to 910, below the 1,000 asked for"``,
        or ``"not minimised: the root mean square force on atoms, ..."``. Empty where
        nothing was to be minimised; older records say no more than that it was asked
        for.
    """
    done = record.get(MINIMIZATION)
    if not isinstance(done, Mapping):
        return "minimised first" if record.get("minimized") else ""
    before, after, limit = (done[k] for k in ("before", "after", "tolerance_kj_mol_nm"))
    force = before["rms_force_kj_mol_nm"]
    iterations = done["iterations"]
    if iterations == 0 and force <= limit:
        return (
            f"not minimised: the root mean square force on atoms, {digits(force)} "
            f"kJ/mol/nm, was below the {digits(limit)} at which the minimisation ends"
            + (", the size of thermal forces" if limit >= _THERMAL else "")
        )
    if iterations == 0:
        return "not minimised: no step lowered the energy"
    lowered = before["energy_kj_mol"] - after["energy_kj_mol"]
    largest = [digits(one["largest_force_kj_mol_nm"]) for one in (before, after)]
    if iterations is None:
        count = f"at most {done['most_iterations']} iterations"
    else:
        count = counted(iterations, "iteration")
    text = (
        f"minimised first: {count} of L-BFGS lowered the energy by {digits(lowered)} "
        f"kJ/mol and took the largest force on an atom from {largest[0]} to "
        f"{largest[1]} kJ/mol/nm"
    )
    left = after["rms_force_kj_mol_nm"]
    text += f", and the root mean square to {digits(left)}"
    if left <= limit:
        text += f", below the {digits(limit)} asked for"
    if iterations and iterations % done["most_iterations"] == 0:
        text += f", and ended at the limit of {done['most_iterations']} iterations"
    return text
