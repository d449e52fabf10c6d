# SPDX-License-Identifier: MIT
"""What the System of a run says of its atoms, and who takes it from there."""

import json
from dataclasses import replace

import mdtraj
import numpy as np
import openmm
import pytest
from report_helpers import salt_water, walk, write_run, write_velocities
from scipy.constants import gas_constant

from openmm_allegro.cli.main import main
from openmm_allegro.runs.charges import read_charges
from openmm_allegro.runs.frames import Frames, read_topology
from openmm_allegro.runs.run import find_runs, read_run
from openmm_allegro.runs.species import find_kinds, masses_of
from openmm_allegro.runs.system import read_system
from openmm_allegro.runs.table import Unreadable
from openmm_allegro.runs.window import Window


def heavy_system(topology, *, ion_charge=0.0, periodic=True, bonds=True):
    """System with hydrogens of 3 g/mol, and charges of SPC/E and of ions."""
    system = openmm.System()
    nonbonded = openmm.NonbondedForce()
    if periodic:
        nonbonded.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    for atom in topology.atoms:
        heavy = atom.element.mass - 2 * (3 - 1.008)
        mass = {"H": 3.0, "O": heavy}.get(atom.element.symbol, atom.element.mass)
        system.addParticle(mass)
        charge = {"H": 0.4238, "O": -0.8476, "Na": ion_charge, "Cl": -ion_charge}
        nonbonded.addParticle(charge[atom.element.symbol], 0.3, 0.0)
    system.addForce(nonbonded)
    springs = openmm.HarmonicBondForce()
    for first, second in topology.bonds:
        if bonds:
            springs.addBond(first.index, second.index, 0.1, 0.0)
    ions = [atom.index for atom in topology.atoms if atom.residue.n_atoms == 1]
    springs.addBond(ions[0], ions[-1], 0.5, 100.0)  # a restraint between two ions
    system.addForce(springs)
    return system


def save(system, prefix):
    xml = openmm.XmlSerializer.serialize(system)
    prefix.with_name(f"{prefix.name}.system.xml").write_text(xml)
    return prefix


@pytest.fixture
def prefix(tmp_path):
    topology = salt_water()
    path = write_run(tmp_path / "nvt", walk(topology, 150))
    return save(heavy_system(topology), path)


def test_velocities_are_weighted_by_the_masses_of_the_run(prefix, tmp_path):
    """The temperature of velocities drawn with heavy hydrogens, and D(0) with them."""
    topology = salt_water()
    run = read_run(prefix)
    masses = run.system.masses
    rng = np.random.default_rng(0)
    spread = np.sqrt(1e-3 * gas_constant * 300 / masses)[:, None]
    values = rng.normal(size=(300, len(masses), 3)) * spread
    write_velocities(f"{prefix}.h5", topology, values, 0.01)
    from openmm_allegro.runs.velocities import velocities_between

    run = read_run(prefix)
    velocities = velocities_between(run, Window(start=0), "all", None)
    kinetic = np.einsum("i,fix->", velocities.masses, velocities.values**2)
    temperature = kinetic / velocities.values.size / (1e-3 * gas_constant)
    assert temperature == pytest.approx(300, abs=3)
    out = tmp_path / "dos.json"
    command = ["analyze", "density-of-states", str(prefix), "all", "--json", str(out)]
    assert main([*command, "--resolution", "8", "--start", "0"]) == 0


def test_topology_density_and_centres_have_the_masses_of_the_run(prefix):
    run = read_run(prefix)
    masses = masses_of(read_topology(run))
    np.testing.assert_allclose(masses[:3], [15.9994 - 3.984, 3, 3], atol=2e-3)
    assert masses[-1] == pytest.approx(35.45, abs=0.01)  # as of the element
    frames = next(iter(Frames([run], [Window(start=0)])))
    np.testing.assert_array_equal(masses_of(frames.topology), masses)
    assert mdtraj.load(f"{prefix}.pdb").topology.atom(1).element.mass < 1.1
    assert len(frames.topology.select("element H")) == 24


def test_files_named_by_themselves_find_the_system_beside_them(prefix):
    (run,), _ = find_runs([f"{prefix}.xtc", f"{prefix}.pdb"])
    assert masses_of(read_topology(run))[1] == 3
    trajectory = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")
    part = trajectory.atom_slice(trajectory.topology.select("element Na"))
    part[0].save(f"{prefix}-part.pdb")
    # fewer atoms than the System of that name: it is not theirs
    other = replace(run, topology=prefix.with_name(f"{prefix.name}-part.pdb"))
    assert masses_of(read_topology(other))[0] == pytest.approx(22.99, abs=0.01)


def test_a_system_of_other_atoms_is_refused(prefix):
    save(heavy_system(salt_water(3, 1)), prefix)
    with pytest.raises(Unreadable, match=r"expected 44 atoms in .*system.xml, .* 11"):
        read_topology(read_run(prefix))


def test_bonds_that_a_topology_lacks_are_those_of_the_system(tmp_path):
    """Waters without bonds are still molecules; restrained ions do not become one."""
    whole = salt_water()
    bare = mdtraj.Topology()
    chain = bare.add_chain()
    for residue in whole.residues:
        single = residue.n_atoms == 1
        copy = bare.add_residue(residue.name if single else "UNK", chain)
        for atom in residue.atoms:
            bare.add_atom(atom.name, atom.element, copy)
    trajectory = walk(whole, 5)
    trajectory.topology = bare
    prefix = write_run(tmp_path / "nvt", trajectory)
    assert len(find_kinds(read_topology(read_run(prefix)))) == 4
    save(heavy_system(whole), prefix)
    kinds = find_kinds(read_topology(read_run(prefix)))
    numbers = {kind.name: len(kind.molecules) for kind in kinds}
    assert numbers == {"water": 12, "Na": 4, "Cl": 4}


def test_charges_are_those_of_the_run_summed_over_molecules(prefix, tmp_path):
    topology = read_topology(read_run(prefix))
    formal = read_charges(None, topology, read_run(prefix).system.charges)
    assert formal.numbers == {"Na": 1, "Cl": -1} and "formal" in formal.origin
    save(heavy_system(topology, ion_charge=0.75), prefix)
    out = tmp_path / "c.json"
    command = ["analyze", "conductivity", str(prefix), "--start", "0", "--blocks", "3"]
    assert main([*command, "--json", str(out)]) == 0
    result = json.loads(out.read_text())["results"]["all"]
    assert result["charges"] == {"Na": 0.75, "Cl": -0.75}
    assert "System" in result["origin_of_charges"]


def test_a_cell_of_a_run_without_images_is_left_out(prefix):
    assert (
        next(iter(Frames([read_run(prefix)], [Window()]))).unitcell_lengths[0, 0] == 2
    )
    save(heavy_system(salt_water(), periodic=False), prefix)
    run = read_run(prefix)
    assert run.system.periodic is False
    assert next(iter(Frames([run], [Window()]))).unitcell_lengths is None
    assert main(["analyze", "rdf", str(prefix), "Na-O", "--start", "0"]) == 2


def test_virtual_sites_belong_to_their_molecules(tmp_path):
    """Water of four sites stays water, with the mass of three."""
    topology = mdtraj.Topology()
    chain, system = topology.add_chain(), openmm.System()
    for _ in range(2):
        residue = topology.add_residue("HOH", chain)
        symbols = {"O": "O", "H1": "H", "H2": "H", "M": "VS"}
        for name, symbol in symbols.items():
            element = mdtraj.element.Element.getBySymbol(symbol)
            topology.add_atom(name, element, residue)
            system.addParticle(element.mass)
        first = system.getNumParticles() - 4
        for pair in ((0, 1), (0, 2), (1, 2)):
            system.addConstraint(*(first + i for i in pair), 0.1)
        site = openmm.ThreeParticleAverageSite(*range(first, first + 3), 0.8, 0.1, 0.1)
        system.setVirtualSite(first + 3, site)
    path = save(system, tmp_path / "w")
    found = read_system(path.with_name("w.system.xml"))
    assert found.masses[3] == 0 and found.periodic is False and found.charges is None
    from openmm_allegro.runs.system import with_system

    (kind,) = find_kinds(with_system(topology, found))
    assert (kind.name, len(kind.molecules), kind.element) == ("water", 2, "O")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><System>&a;</System>', "document type"),
        ("<State></State>", "no System"),
        ("<System><Particles><Particle/></Particles></System>", "mass"),
        ('<System><Particles><Particle mass="nan"/></Particles></System>', "finite"),
        ("<System><Particles>", "no element found"),
        ("", "no element found"),
    ],
)
def test_what_is_no_system_is_refused_in_one_sentence(tmp_path, text, reason):
    path = tmp_path / "a.system.xml"
    path.write_text(text)
    with pytest.raises(Unreadable, match=rf"expected an OpenMM System.*{reason}"):
        read_system(path)
