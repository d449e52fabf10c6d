# SPDX-License-Identifier: MIT
"""Options of the force that computes a model, declared once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..utils.settings import check_settings, documented, setting


@documented
@dataclass(frozen=True)
class ForceOptions:
    """Choices of how OpenMM computes a model; the model predicts the same with any.

    ``AllegroPotential``'s methods take them as keyword arguments, the ``[system]``
    table of a protocol as keys, and ``openmm-allegro simulate`` as options. Results
    differ by rounding, and with ``two_body="table"`` by an interpolation.

    Raises
    ------
    ValueError
        If a value is unknown or out of range, or options contradict each other.
    """

    backend: str = setting(
        "auto",
        about="Class of the OpenMM force: TorchForce of openmm-torch, PythonForce of "
        "OpenMM alone, which runs with any torch, or the native AllegroForce, a plugin "
        "in C++ that needs no torch, is compiled on first use and runs on the CPU, or "
        "on the card of OpenMM's CUDA, HIP or OpenCL Platform. auto is native "
        "for runs of the command on the processor, whose start it makes shorter; in "
        "other cases TorchForce where openmm-torch works, else native, else "
        "PythonForce. A run that is resumed keeps its backend. The record of a run has "
        "the choice and its reason",
        choices=("auto", "torchforce", "pythonforce", "native"),
        may_change=True,
    )
    precision: str = setting(
        "mixed",
        about="Precision of the network; mixed keeps distances, radial functions and "
        "spherical harmonics in double. Sums are always in double",
        choices=("single", "mixed", "double"),
    )
    kernel: str = setting(
        "auto",
        about="Code of the network: fused is compiled and takes single as mixed, plain "
        "is torch, auto is fused where it was built and can compute the model. On CUDA "
        "fused is compiled for the card on first use, with the pair list; where that "
        "fails, auto is plain and logs why. A System with the fused kernel needs "
        "import openmm_allegro in each process that uses it",
        choices=("auto", "fused", "plain"),
        may_change=True,
    )
    two_body: str = setting(
        "exact",
        about="Functions of the distance alone in the fused kernel: exact, or a table "
        "for each ordered pair of elements, interpolated by cubic Hermite splines from "
        "0.12 of the cutoff on. Forces are the derivatives of that energy; the error "
        "in accuracy is logged",
        choices=("exact", "table"),
    )
    skin: float | None = setting(
        None,
        about="Reach of the pair list beyond the cutoff, by default a fifth of the "
        "cutoff and at most 1 Å; 0 finds the pairs at every step",
        unit="Å",
        minimum=0.0,
        maximum=100.0,
        metavar="ANGSTROM",
        may_change=True,
    )
    total_charge: float = setting(
        0.0,
        about="Charge of all atoms that the model computes, which their learned or "
        "constant charges add up to; for models with charges alone. It is not guessed "
        "from the ions of a topology",
        unit="e",
        minimum=-1000.0,
        maximum=1000.0,
        metavar="CHARGE",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.two_body == "table" and self.kernel == "plain":
            raise ValueError(
                "two_body='table' expects the fused kernel, found kernel='plain'"
            )
        if self.backend == "native" and self.kernel == "plain":
            raise ValueError(
                "backend='native' expects the fused kernel, found kernel='plain'"
            )


DEFAULT_OPTIONS = ForceOptions()


def default_skin(options: ForceOptions, cutoff: float) -> float:
    """Reach of the pair list beyond the cutoff, both in Å: as chosen, or by default."""
    return min(1.0, 0.2 * cutoff) if options.skin is None else options.skin


def common_skin(options: ForceOptions, cutoffs: Sequence[float]) -> float:
    """Skin, beyond the largest cutoff, of a list that serves models of these, Å."""
    reach = max(cutoff + default_skin(options, cutoff) for cutoff in cutoffs)
    return 0.0 if options.skin == 0.0 else reach - max(cutoffs)


def refuse_options(options: Mapping[str, Any]) -> None:
    """Refuse options beside a model: they belong to the methods that make a force.

    Raises
    ------
    TypeError
    """
    if options:
        raise TypeError(
            f"AllegroPotential: expected a model alone, found {', '.join(options)} "
            "beside it; backend and other options of the force belong to "
            "create_system(topology, backend=...), create_mixed_system and "
            "add_to_system"
        )
