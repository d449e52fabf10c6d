# SPDX-License-Identifier: MIT
"""Box, contents and positions are compared before anything is simulated."""

import logging
import time

import numpy as np
import openmm
import pytest
from openmm import unit
from openmm_helpers import make_topology

from openmm_allegro import AllegroPotential, run
from openmm_allegro.simulate.contents import check_contents


@pytest.fixture(scope="module")
def potential(model):
    return AllegroPotential(model)


@pytest.fixture(scope="module")
def made(potential, water_box):
    """Topology and System of all of the water."""
    symbols, _, box = water_box
    topology = make_topology(symbols, box, waters=True)
    return topology, potential.create_system(topology, backend="pythonforce")


@pytest.fixture
def check(made, water_box, caplog):
    """Check water with changed positions and box; return the log's sentences."""
    symbols, positions, box = water_box
    topology, system = made
    bare = make_topology(symbols, box)

    def go(change=lambda x: x, box=box, *, bonds=True, pressure=False):
        caplog.clear()
        force = system.getForce(0)
        if box is None:
            force.setUsesPeriodicBoundaryConditions(False)
        else:
            force.setUsesPeriodicBoundaryConditions(True)
            system.setDefaultPeriodicBoxVectors(*box)
        system.getForce(1).setUsesPeriodicBoundaryConditions(box is not None)
        with caplog.at_level(logging.WARNING):
            check_contents(
                topology if bonds else bare,
                system,
                change(positions.copy()),
                pressure=pressure,
            )
        return [record.getMessage() for record in caplog.records]

    go.box = box
    return go


def test_what_is_right_passes_in_silence(check):
    box = check.box
    assert check() == check(bonds=False) == check(pressure=True) == []
    assert check(box=None) == []
    # unwrapped, as after a long run; a slab; tilted as OpenMM has it
    shifts = np.random.default_rng(0).integers(-3, 4, (80, 1))
    assert check(lambda x: x + np.repeat(shifts, 3, 0)[: len(x)] * box[0]) == []
    assert check(box=box * [[1], [1], [3]]) == []
    tilted = box.copy()
    tilted[1, 0] = tilted[0, 0] / 3
    assert [m for m in check(box=tilted) if "nearer" not in m] == []


def nudge(positions, distance):
    """Put a hydrogen of one molecule beside one of another."""
    positions[4] = positions[1] + [distance, 0, 0]
    return positions


@pytest.mark.parametrize("bonds", [True, False])
@pytest.mark.parametrize(
    ("change", "scale", "expected"),
    [
        (lambda x: x / 10, 1, "atoms at distances of some Å, found atoms"),
        (lambda x: x / 10, 0.1, "a box that holds its atoms|one that holds its"),
        (lambda x: x, 0.1, "a box that holds its atoms|one that holds its"),
        (lambda x: x, 0.2, "one that holds its 81 atoms, found one of 6.435 Å³"),
        (lambda x: 0 * x, 1, "found 80 of 81 atoms at that of another, like .*alone"),
        (lambda x: nudge(x, 0.0), 1, r"atoms 1 \(H\) and 4 \(H\) 0 Å apart; do the"),
        (lambda x: nudge(x, 0.01), 1, r"atoms 1 \(H\) and 4 \(H\) 0.1 Å apart"),
    ],
)
def test_what_cannot_be_is_refused(check, change, scale, expected, bonds):
    with pytest.raises(ValueError, match=f"^(?:positions|box): expected .*{expected}"):
        check(change, scale * check.box, bonds=bonds)


def test_positions_in_angstrom(check):
    """The bonds show it, or that nothing has a neighbour."""
    for box in (check.box, 10 * check.box, None):
        with pytest.raises(ValueError, match="positions in Å where nm are expected"):
            check(lambda x: 10 * x, box)
    for box in (10 * check.box, None):
        (message,) = check(lambda x: 10 * x, box, bonds=False)
        assert "10 times the sum of covalent radii" in message


def test_what_looks_wrong_is_logged(check):
    (message,) = check(lambda x: nudge(x, 0.025))
    assert "atoms 1 (H) and 4 (H) 0.25 Å apart; minimise first" in message
    (message,) = check(box=10 * check.box)
    assert message.startswith("the atoms fill ") and "left as it is" in message
    (message,) = check(box=10 * check.box, pressure=True)
    assert "A barostat will close it" in message
    (message,) = check(box=check.box * [[1], [1], [4]], pressure=True)
    assert "of vacuum along its vector 3, which a barostat will close" in message

    def cut(x):
        x[1] += check.box[0]
        return x

    (message,) = check(cut, None)
    assert "1 bonds over 3 times as long" in message
    assert "from 0 (O) to 1 (H)" in message


def test_one_molecule_in_a_large_box_is_no_reason_to_speak(potential, caplog):
    topology = make_topology(["O", "H", "H"], 5 * np.eye(3), waters=True)
    positions = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
    system = potential.create_system(topology, backend="native")
    with caplog.at_level(logging.WARNING):
        check_contents(topology, system, positions)
    assert not caplog.records


def test_atoms_without_a_model_may_coincide():
    """States of an alchemical molecule, say, between which nothing acts."""
    topology, system = make_topology(["Ar"] * 3), openmm.System()
    for _ in range(3):
        system.addParticle(40.0)
    check_contents(topology, system, np.zeros((3, 3)))


def test_virtual_sites_do_not_count(potential):
    """Nor have they an element; they lie where they like."""
    topology = make_topology(["O", "H", "H"], np.eye(3), waters=True)
    system = potential.create_system(topology, backend="native")
    residue = next(topology.residues())
    topology.addAtom("M", None, residue)
    system.addParticle(0.0)
    system.setVirtualSite(3, openmm.ThreeParticleAverageSite(0, 1, 2, 0.8, 0.1, 0.1))
    positions = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0], [0, 0, 0]])
    check_contents(topology, system, positions)


@pytest.mark.parametrize("scale", [1e-9, 0.1])
def test_placeholders_are_no_boxes(model, water_box, tmp_path, scale):
    """``CRYST1 1 1 1`` is refused, with the way out, which works."""
    symbols, positions, _ = water_box
    topology = make_topology(symbols, scale * np.eye(3), waters=True)
    potential = AllegroPotential(model)
    with pytest.raises(ValueError, match=r"no box .CRYST1 1 1 1.*--no-periodic"):
        potential.create_system(topology, backend="native")
    system = potential.create_system(topology, backend="native", periodic=False)
    assert not system.usesPeriodicBoundaryConditions()
    paths = run(
        topology,
        positions,
        system,
        tmp_path / "x",
        steps=1,
        report_interval=1,
        platform="CPU",
        progress=False,
    )
    assert "CRYST1" not in paths["topology"].read_text()


def test_a_topology_alone_is_refused_at_once(potential, tmp_path):
    """400 waters at the origin took 266 s, and ended in NaN."""
    topology = make_topology(["O", "H", "H"] * 400, 3 * np.eye(3), waters=True)
    system = potential.create_system(topology, backend="native")
    started = time.monotonic()
    with pytest.raises(ValueError, match="1199 of 1200 atoms at that of another"):
        run(topology, np.zeros((1200, 3)), system, tmp_path / "x", progress=False)
    assert time.monotonic() - started < 3
    assert not list(tmp_path.iterdir())


def test_models_of_molecules_in_vacuum_say_so_in_a_box(model, water_box, caplog):
    import dataclasses

    symbols, _, box = water_box
    topology = make_topology(symbols, box, waters=True)
    vacuum = dataclasses.replace(model, provenance={"periodic": "none"})
    for models, options, expected in (
        ([vacuum], {}, 1),
        ([vacuum, model], {}, 0),
        ([vacuum], {"periodic": True}, 0),  # asked for
        ([vacuum], {"periodic": False}, 0),
        ([model], {}, 0),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            AllegroPotential(models).create_system(
                topology, backend="native", **options
            )
        said = [r for r in caplog.records if "without periodic images" in r.message]
        assert len(said) == expected


def test_replicas_are_compared_with_their_box_too(potential, tmp_path):
    pytest.importorskip("openmmtools")
    from openmm_allegro.replica_exchange import parallel_tempering

    topology = make_topology(["O", "H", "H"] * 9, 3 * np.eye(3), waters=True)
    system = potential.create_system(topology, backend="native")
    with pytest.raises(ValueError, match="26 of 27 atoms at that of another"):
        parallel_tempering(
            topology,
            np.zeros((27, 3)),
            system,
            tmp_path / "x",
            temperatures=[300, 320] * unit.kelvin,
            progress=False,
        )
    assert not list(tmp_path.iterdir())
