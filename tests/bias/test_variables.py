# SPDX-License-Identifier: MIT
"""Collective variables and restraints: values, images, energies, refusals."""

import mdtraj
import numpy as np
import openmm
import pytest
from bias_helpers import CHAIN, RESTRAINTS, VARIABLES, chain_system

from openmm_allegro.bias import Metadynamics, Restraint, Variable, VariableValues
from openmm_allegro.bias.grid import make_axes
from openmm_allegro.bias.restraints import (
    check_restraints,
    make_restraints,
    restraint_energies,
)
from openmm_allegro.bias.sampling import Sampling
from openmm_allegro.bias.variables import resolve


def resolved(variables=VARIABLES, **options):
    topology, positions, system = chain_system(**options)
    return resolve(variables, topology, system, {"shape": positions}), system


def test_values():
    """As mdtraj has them, and by hand."""
    topology, positions, system = chain_system(box=None)
    rng = np.random.default_rng(0)
    moved = positions + rng.normal(0.0, 0.03, positions.shape)
    values = VariableValues(
        resolve(VARIABLES, topology, system, {"shape": positions}), system
    )
    frames = mdtraj.Trajectory(
        np.array([positions, moved]), mdtraj.Topology.from_openmm(topology)
    )
    masses = np.array([10.0, 11.0, 12.0, 13.0])[:, None]
    centers = [
        (masses[g] * moved[g]).sum(0) / masses[g].sum() for g in ([0, 1], [2, 3])
    ]
    r = np.linalg.norm(moved[1:] - moved[0], axis=1)
    moving, still = frames[1], frames[0]
    expected = [
        10 * r[0],
        np.degrees(mdtraj.compute_angles(moving, [[0, 1, 2]])[0, 0]),
        np.degrees(mdtraj.compute_dihedrals(moving, [[0, 1, 2, 3]])[0, 0]),
        10 * np.linalg.norm(centers[1] - centers[0]),
        (1 / (1 + (r / 0.4) ** 6)).sum(),
        10 * mdtraj.rmsd(moving, still)[0],
    ]
    np.testing.assert_allclose(values(moved), expected, rtol=1e-4)


def test_nearest_images():
    """Atoms that are moved by box vectors have the same variables, but for an rmsd."""
    variables = VARIABLES[:3] + VARIABLES[4:5]
    inside, system = resolved(variables)
    values = VariableValues(inside, system)
    moved = CHAIN + 3.0 * np.array([[0, 0, 0], [1, 0, 0], [0, -2, 0], [1, 1, 1]])
    np.testing.assert_allclose(values(moved), values(CHAIN), rtol=1e-6)


def test_single_atoms_are_not_bonded_by_variables():
    """A barostat moves them one by one, as it does without restraints."""
    variables = [v for v in VARIABLES if v.name != "far"]
    found, system = resolved(variables)
    system.removeForce(0)
    walls = [Restraint(variable.name, 1.0, 1.0) for variable in variables]
    system.addForce(make_restraints(walls, found, system))
    integrator = openmm.VerletIntegrator(1e-3)
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, integrator, platform)
    assert context.getMolecules() == ((0,), (1,), (2,), (3,))


def test_selections():
    chosen, _ = resolved([Variable("d", "distance", selections=("index 2", "index 0"))])
    assert chosen[0].groups == ((2,), (0,))


def test_restraints_are_what_the_formula_says():
    """Energy by OpenMM and in numpy; forces are its slopes; images of a dihedral."""
    walls = (
        *RESTRAINTS,
        Restraint("turn", -175.0, 30.0),
        Restraint("far", 5.0, 8.0, side="below"),
        Restraint("n", 0.5, 3.0, side="above", flat=0.1),
        Restraint("shape", 0.0, 5.0),
    )
    found, system = resolved()
    check_restraints(walls, VARIABLES)
    system.addForce(make_restraints(walls, found, system))
    system.getForce(1).setForceGroup(1)
    context = openmm.Context(
        system, openmm.VerletIntegrator(1e-3), openmm.Platform.getPlatform("Reference")
    )
    values = VariableValues(found, system)

    def energy(positions):
        context.setPositions(positions)
        state = context.getState(energy=True, forces=True, groups={1})
        return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value

    moved = CHAIN + np.random.default_rng(1).normal(0.0, 0.04, CHAIN.shape)
    expected = restraint_energies(walls, VARIABLES, values(moved))
    assert (expected > 0).sum() >= 5
    total, forces = energy(moved)
    assert total == pytest.approx(expected.sum(), rel=1e-9)
    step = np.zeros_like(moved)
    step[3, 1] = 1e-5
    slope = (energy(moved + step)[0] - energy(moved - step)[0]) / 2e-5
    assert forces[3, 1] == pytest.approx(-slope, rel=1e-5)


VARIABLE_ERRORS = {
    "expected each atom once, found atom 1 twice": ("distance", (1, 1)),
    "expected 3 points for kind 'angle', found 2": ("angle", (0, 1)),
    "expected atoms, groups or selections, found none": ("distance", ()),
    "expected r0_angstrom for kind 'coordination'": ("coordination", (0, 1)),
    "expected kind of": ("bond", (0, 1)),
    "expected atoms of at least 0": ("distance", (-1, 1)),
}


@pytest.mark.parametrize("message", VARIABLE_ERRORS)
def test_bad_variables(message):
    kind, atoms = VARIABLE_ERRORS[message]
    with pytest.raises(ValueError, match=message):
        Variable("x", kind, atoms=atoms)


@pytest.mark.parametrize(
    "message, keys",
    [
        ("expected atoms below 4, the number of particles, found 4", {"atoms": (0, 4)}),
        ("'name OW', found none", {"selections": ("name OW", "index 0")}),
        ("in mdtraj's words, found 'nam'", {"selections": ("nam", "index 0")}),
        ("found atom 0 twice", {"selections": ("index 0 1", "index 0")}),
    ],
)
def test_atoms_that_are_not_there(message, keys):
    with pytest.raises(ValueError, match=f"variable x: .*{message}"):
        resolved([Variable("x", "distance", **keys)])


@pytest.mark.parametrize(
    "message, restraint",
    [
        ("expected a variable of .*'d'", Restraint("e", 1.0, 1.0)),
        ("expected side 'both' for a dihedral", Restraint("turn", 0, 1, side="above")),
        ("expected a center of -180 to 180", Restraint("turn", 200, 1.0)),
        ("expected a center of 0 to 180", Restraint("bend", -3, 1.0)),
    ],
)
def test_bad_restraints(message, restraint):
    with pytest.raises(ValueError, match=message):
        check_restraints([restraint], VARIABLES)


BASE = {"variables": ("d",), "pace": 10, "widths": (0.2,)}


@pytest.mark.parametrize(
    "message, keys",
    [
        ("expected lower and upper ends of the grid, found none", {}),
        ("expected lower below upper", {"lower": (4.0,), "upper": (3.0,)}),
        ("width below the 0.1 of the grid", {"lower": (3.0,), "upper": (3.1,)}),
        (
            "points of the grid nearer than a width",
            {"lower": (2.0,), "upper": (8.0,), "grid": (11,)},
        ),
        ("expected a grid from 0 on", {"lower": (-1.0,), "upper": (3.0,)}),
        (
            "of a dihedral, which is periodic",
            {"variables": ("turn",), "widths": (9.0,)},
        ),
        ("all periodic", {"variables": ("d", "turn"), "widths": (0.1, 9.0)}),
    ],
)
def test_bad_grids(message, keys):
    by_name = {variable.name: variable for variable in VARIABLES}
    keys = BASE | keys
    if "turn" in keys["variables"][:1]:
        keys |= {"lower": (0.0,), "upper": (360.0,)}
    with pytest.raises(ValueError, match=message):
        settings = Metadynamics(**keys)
        make_axes(settings, [by_name[n] for n in settings.variables], settings.widths)


@pytest.mark.parametrize(
    ("names", "column"),
    [(("bias_factor", "d"), "bias_factor"), (("d", "width_d"), "width_d")],
)
def test_columns_of_their_own(names, column):
    """No variable has a column that its files have for something else."""
    more = {"groups": ((0,), (1,)), "r0_angstrom": 3.0}
    variables = [Variable(name, "coordination", **more) for name in names]
    with pytest.raises(ValueError, match=f"another name of the column {column}"):
        resolved(variables)


@pytest.mark.parametrize("value", [None, VARIABLES[0]])
def test_a_list_of_variables(value):
    with pytest.raises(ValueError, match="a list of variables"):
        Sampling(value)
