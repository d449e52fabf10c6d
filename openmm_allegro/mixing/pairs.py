# SPDX-License-Identifier: MIT
"""Energy of a NonbondedForce between the atoms of a region, pair by pair.

The pairs are terms of a CustomCompoundBondForce: it can use nearest images, and unlike
a CustomBondForce it does not make one molecule of all its atoms.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import openmm
from openmm import unit

from ..units import COULOMB_KJ_MOL_NM

_LENNARD_JONES = "4*epsilon*((sigma/r)^12-(sigma/r)^6)"
_EWALD = {
    openmm.NonbondedForce.Ewald,
    openmm.NonbondedForce.PME,
    openmm.NonbondedForce.LJPME,
}


def pair_forces(
    force: openmm.NonbondedForce, atoms: Sequence[int], nearest_images: bool
) -> list[openmm.Force]:
    """Make forces with the energy of a NonbondedForce between some atoms.

    One force has the pairs that follow the particles' parameters, with the cutoff,
    switching function, reaction field or Ewald sum of ``force``. Another one has the
    exceptions, to which none of these applies.

    Parameters
    ----------
    force : openmm.NonbondedForce
    atoms : sequence of int
    nearest_images : bool
        Whether exceptions are between nearest images; otherwise as in ``force``.

    Raises
    ------
    ValueError
        If a global parameter scales an interaction of these atoms, or the force leaves
        out direct space.
    """
    region = set(atoms)
    _check_plain(force, region)
    periodic = force.usesPeriodicBoundaryConditions()
    exceptions_periodic = (
        nearest_images or force.getExceptionsUsePeriodicBoundaryConditions()
    ) and periodic
    exceptions = _pair_force(_LENNARD_JONES + "+coulomb/r", exceptions_periodic)
    excepted = set()
    for index in range(force.getNumExceptions()):
        first, second, *parameters = _values(force.getExceptionParameters(index))
        if first in region and second in region:
            excepted.add(frozenset((first, second)))
            _add(exceptions, (first, second), *parameters, 0.0)

    # An Ewald sum takes exceptions off its sum over all pairs and images, so the image
    # that it takes off counts here. A cutoff always applies to the nearest image.
    ewald = force.getNonbondedMethod() in _EWALD
    pairs = _pair_force(_energy(force), exceptions_periodic if ewald else periodic)
    particles = {i: _values(force.getParticleParameters(i)) for i in atoms}
    for first, second in combinations(atoms, 2):
        if frozenset((first, second)) not in excepted:
            (q1, sigma1, epsilon1), (q2, sigma2, epsilon2) = (
                particles[first],
                particles[second],
            )
            epsilon = math.sqrt(epsilon1 * epsilon2)
            c6 = 4.0 * epsilon * (sigma1 * sigma2) ** 3
            _add(pairs, (first, second), q1 * q2, (sigma1 + sigma2) / 2.0, epsilon, c6)
    return [made for made in (pairs, exceptions) if made.getNumBonds()]


def exception_offsets(
    force: openmm.NonbondedForce, region: set[int]
) -> Iterator[tuple[int, str, int]]:
    """List index, parameter and exception of each offset inside a region."""
    for index in range(force.getNumExceptionParameterOffsets()):
        parameter, exception, *_ = force.getExceptionParameterOffset(index)
        if region.issuperset(force.getExceptionParameters(exception)[:2]):
            yield index, parameter, exception


def check_constant(force: openmm.Force) -> None:
    """Refuse a force that computes derivatives, since its copies would not add theirs.

    Raises
    ------
    ValueError
        If it computes derivatives with respect to global parameters.
    """
    if getattr(force, "getNumEnergyParameterDerivatives", int)():
        raise ValueError(
            "interpolate=True: expected forces without derivatives with respect to "
            f"global parameters, found one in {force.getName()!r}"
        )


def _check_plain(force: openmm.NonbondedForce, region: set[int]) -> None:
    if not force.getIncludeDirectSpace():
        raise ValueError(
            "interpolate=True: expected a NonbondedForce that includes direct space, "
            f"found one without ({force.getName()!r})"
        )
    offsets = [parameter for _, parameter, _ in exception_offsets(force, region)]
    for index in range(force.getNumParticleParameterOffsets()):
        parameter, particle, *_ = force.getParticleParameterOffset(index)
        if particle in region:
            offsets.append(parameter)
    if offsets:
        raise ValueError(
            "interpolate=True: expected constant parameters of the ML region in the "
            f"NonbondedForce, found offsets by {sorted(set(offsets))}"
        )


def _energy(force: openmm.NonbondedForce) -> str:
    """Write the energy of a pair (kJ/mol) at the distance r (nm), for Lepton.

    OpenMM's user guide, section "NonbondedForce". LJ-PME has no switching function. Its
    dispersion beyond the cutoff uses geometric means; inside, the energy is shifted so
    that both meet.
    """
    method = force.getNonbondedMethod()
    if method == openmm.NonbondedForce.NoCutoff:
        return _LENNARD_JONES + "+coulomb/r"
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    near = f"step({cutoff!r}-r)"
    lennard_jones = f"{near}*{_LENNARD_JONES}"
    if force.getUseSwitchingFunction():
        start = force.getSwitchingDistance().value_in_unit(unit.nanometer)
        t = f"(max(0,r-{start!r})/{cutoff - start!r})"
        lennard_jones += f"*(1-{t}^3*(10-{t}*(15-6*{t})))"
    if method not in _EWALD:
        dielectric = force.getReactionFieldDielectric()
        k = (dielectric - 1) / (2 * dielectric + 1) / cutoff**3
        c = 3 * dielectric / (2 * dielectric + 1) / cutoff
        return f"{lennard_jones}+{near}*coulomb*(1/r+{k!r}*r^2-{c!r})"
    alpha = _ewald_alpha(force, force.getPMEParameters())
    coulomb = f"coulomb/r*(1-(1-{near})*erfc({alpha!r}*r))"
    if method != openmm.NonbondedForce.LJPME:
        return f"{lennard_jones}+{coulomb}"
    alpha = _ewald_alpha(force, force.getLJPMEParameters())
    x2 = (alpha * cutoff) ** 2
    damping = 1 - math.exp(-x2) * (1 + x2 + x2**2 / 2)
    shift = (
        f"4*epsilon*(sigma/{cutoff!r})^6*(1-(sigma/{cutoff!r})^6)"
        f"-c6*{damping / cutoff**6!r}"
    )
    beyond = "-c6/r^6*(1-exp(-x2)*(1+x2+x2^2/2))"
    return (
        f"select({near},{_LENNARD_JONES}+{shift},{beyond})+{coulomb};"
        f"x2={alpha**2!r}*r^2"
    )


def _ewald_alpha(force: openmm.NonbondedForce, parameters: Sequence) -> float:
    """Find alpha (1/nm), OpenMM's own choice unless one was set."""
    alpha = _values(parameters)[0]
    if alpha:
        return alpha
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    return math.sqrt(-math.log(2.0 * force.getEwaldErrorTolerance())) / cutoff


def _pair_force(energy: str, periodic: bool) -> openmm.CustomCompoundBondForce:
    pairs = openmm.CustomCompoundBondForce(2, energy + ";r=distance(p1,p2)")
    for name in ("coulomb", "sigma", "epsilon", "c6"):
        pairs.addPerBondParameter(name)
    pairs.setUsesPeriodicBoundaryConditions(periodic)
    return pairs


def _add(
    pairs: openmm.CustomCompoundBondForce,
    pair: tuple[int, int],
    charges: float,
    sigma: float,
    epsilon: float,
    c6: float,
) -> None:
    if charges or epsilon:
        pairs.addBond(pair, [COULOMB_KJ_MOL_NM * charges, sigma, epsilon, c6])


def _values(parameters: Sequence) -> list[float]:
    """Convert to e, nm and kJ/mol."""
    md = unit.md_unit_system
    return [
        p.value_in_unit_system(md) if unit.is_quantity(p) else p for p in parameters
    ]
