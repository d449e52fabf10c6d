# SPDX-License-Identifier: MIT
"""Force fields and regions of protocols: the System that Python's call makes."""

import warnings

import mdtraj
import numpy as np
import openmm
import pytest
from input_files import CELL, DATA, waters, write
from openmm import app, unit

from openmm_allegro import AllegroPotential, Model, load_model, save_model
from openmm_allegro.analysis.frames import select_atoms as select_frames_atoms
from openmm_allegro.classical.fingerprint import fingerprint
from openmm_allegro.inputs.bonds import find_bonds
from openmm_allegro.inputs.regions import select_atoms
from openmm_allegro.inputs.settings import MixingConfig
from openmm_allegro.simulate.atoms import describe_start
from openmm_allegro.simulate.force_field import about_force_field
from openmm_allegro.simulate.identity import identify
from openmm_allegro.simulate.prepare import prepare
from openmm_allegro.simulate.protocol_file import read_settings
from openmm_allegro.simulate.system_config import SystemConfig

MODEL = str(DATA.parent / "models" / "organic.safetensors")
ALANINE = "alanine_waters.pdb"
FIELD = ("amber14-all.xml", "amber14/tip3pfb.xml")
REGION = "resname ACE ALA NME"


def config(**options):
    mixing = options.pop("mixing", {"region": REGION})
    options = {"topology": ALANINE, "forcefield": FIELD, "backend": "native"} | options
    if mixing:
        options["mixing"] = MixingConfig(**mixing)
    return SystemConfig(model=(MODEL,), **options)


def energy(system, positions, **parameters):
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    for name, value in parameters.items():
        context.setParameter(name, value)
    return context.getState(energy=True).getPotentialEnergy()._value


def by_hand(**options):
    pdb = app.PDBFile(str(DATA / ALANINE))
    field = app.ForceField(*FIELD)
    mm_system = field.createSystem(pdb.topology, flexibleConstraints=True)
    region = [a.index for a in pdb.topology.atoms() if a.residue.name != "HOH"]
    made = AllegroPotential(MODEL).create_mixed_system(
        pdb.topology, mm_system, region, backend="native", **options
    )
    return made, mm_system, pdb


def test_a_region_is_that_of_the_call():
    prepared = prepare(config(), DATA)
    expected, _, pdb = by_hand()
    ours = energy(prepared.system, prepared.positions)
    assert ours == pytest.approx(energy(expected, pdb.positions), rel=1e-9)
    assert prepared.notes["mixing_region"] == REGION
    assert prepared.notes["forcefield"] == FIELD
    waters = sum(r.name == "HOH" for r in pdb.topology.residues())
    sums = {"force_field_nonbonded_method": "NoCutoff", "rigid_waters": waters}
    told = about_force_field(prepared.system, prepared.topology)
    assert waters > 1
    assert told == sums | {"force_field_constraints": "none"}  # free in the region
    model = AllegroPotential(MODEL).create_system(pdb.topology, backend="native")
    assert about_force_field(model, pdb.topology) == {}


@pytest.mark.parametrize(
    "constraints, kind",
    [("HBonds", "bonds to hydrogen"), ("AllBonds", "bonds"), ("HAngles", None)],
)
def test_the_record_tells_sums_and_constraints_of_a_force_field(constraints, kind):
    pdb = app.PDBFile(str(DATA / ALANINE))
    system = app.ForceField(*FIELD).createSystem(
        pdb.topology, constraints=getattr(app, constraints), rigidWater=False
    )
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    force.setNonbondedMethod(openmm.NonbondedForce.PME)
    force.setCutoffDistance(0.9)
    told = about_force_field(system, pdb.topology)
    assert told["force_field_nonbonded_method"] == "PME"
    assert told["force_field_cutoff_nm"] == pytest.approx(0.9)
    assert told["force_field_ewald_tolerance"] == pytest.approx(5e-4)
    assert told["force_field_tail_correction"] is True
    assert told["force_field_constraints"] == (kind or "bonds and angles")


def test_a_run_says_where_its_model_is():
    """Atoms and residues of the region, its border, and what the others have."""
    prepared = prepare(config(), DATA)
    topology, system = prepared.topology, prepared.system
    forces = identify(system, topology).descriptions
    text = describe_start(topology, system, forces, prepared.notes["forcefield"])
    words = "the model has 22 atoms (ACE 1, ALA 2, NME 3), mechanical embedding, no"
    assert f"ML/MM: {words} link atoms; the other 24 have the force field " in text
    assert f"force field {', '.join(FIELD)}; backend native" in text


def test_lambda_leads_from_the_force_field_to_the_model():
    """E(λ) = E_MM + λ (E_mixed - E_MM), here at the λ of the setting."""
    mixing = {"region": REGION, "lambda_interpolate": 0.25}
    prepared = prepare(config(mixing=mixing), DATA)
    mixed, mm_system, pdb = by_hand()
    ends = energy(mm_system, pdb.positions), energy(mixed, pdb.positions)
    expected = ends[0] + 0.25 * (ends[1] - ends[0])
    ours = energy(prepared.system, prepared.positions)
    assert ours == pytest.approx(expected, rel=1e-7)


def test_a_system_of_xml_is_a_force_field(tmp_path):
    expected, mm_system, pdb = by_hand()
    (tmp_path / "mm.xml").write_text(openmm.XmlSerializer.serialize(mm_system))
    (tmp_path / ALANINE).write_text((DATA / ALANINE).read_text())
    prepared = prepare(config(forcefield=("mm.xml",)), tmp_path)
    ours = energy(prepared.system, prepared.positions)
    assert ours == pytest.approx(energy(expected, pdb.positions), rel=1e-9)
    with pytest.raises(ValueError, match="no settings of a force field beside"):
        prepare(config(forcefield=("mm.xml",), constraints="h-bonds"), tmp_path)


def test_a_prmtop_is_its_own_force_field():
    """Benzene by the model beside toluene by GAFF, as create_mixed_system has it."""
    names = {"topology": "benzene_toluene.prmtop"}
    names |= {"positions": "benzene_toluene.inpcrd", "forcefield": ()}
    prepared = prepare(config(**names, mixing={"region": "index 0 to 11"}), DATA)
    file = app.AmberPrmtopFile(str(DATA / names["topology"]))
    positions = app.AmberInpcrdFile(str(DATA / names["positions"])).positions
    expected = AllegroPotential(MODEL).create_mixed_system(
        file.topology, file.createSystem(), range(12), backend="native"
    )
    ours = energy(prepared.system, prepared.positions)
    assert ours == pytest.approx(energy(expected, positions), rel=1e-6)


WATER_MODEL = str(DATA.parent / "models" / "water5.safetensors")


@pytest.mark.parametrize("name", ["GROMACS top and gro", "CHARMM psf and crd"])
def test_a_top_and_a_psf_are_their_own_force_fields(tmp_path, name):
    """The first of eight waters by a model, in the triclinic box, by PME."""
    atoms = waters()
    files = write(name, tmp_path, atoms)
    parameters = [str(DATA / "nma_water_sodium.prm")] if "psf" in name else []
    given = SystemConfig(
        files.topology,
        (WATER_MODEL,),
        positions=files.positions,
        parameters=tuple(parameters),
        nonbonded_cutoff_nm=0.38,
        backend="native",
        mixing=MixingConfig("index 0 to 2"),
        **files.options,
    )
    prepared = prepare(given, tmp_path)
    box = CELL / 10 * unit.nanometer
    options = {"nonbondedMethod": app.PME, "nonbondedCutoff": 0.38 * unit.nanometer}
    path = str(tmp_path / files.topology)
    if parameters:
        file = app.CharmmPsfFile(path, periodicBoxVectors=box)
        sets = app.CharmmParameterSet(*parameters)
        mm_system = file.createSystem(sets, **options)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            file = app.GromacsTopFile(path, periodicBoxVectors=box)
        mm_system = file.createSystem(**options)
    expected = AllegroPotential(WATER_MODEL).create_mixed_system(
        prepared.topology, mm_system, range(3), backend="native"
    )
    ours = energy(prepared.system, prepared.positions)
    by_call = energy(expected, atoms.positions * unit.angstrom)
    assert ours == pytest.approx(by_call, rel=1e-6)
    rigid = 3 * 7  # the region's water is the model's
    assert prepared.system.getNumConstraints() == rigid


def test_a_delta_model_takes_a_force_field_by_name(tmp_path):
    """E = E_MM + E_Allegro, around the force field of the training and no other."""
    pdb = app.PDBFile(str(DATA / ALANINE))
    mm_system = app.ForceField(*FIELD).createSystem(
        pdb.topology, flexibleConstraints=True
    )
    symbols = [atom.element.symbol for atom in pdb.topology.atoms()]
    provenance = {"baseline": fingerprint(mm_system, symbols)}
    trained = vars(load_model(MODEL)) | {"kind": "delta", "provenance": provenance}
    save_model(Model(**trained), tmp_path / "m.safetensors")
    (tmp_path / ALANINE).write_text((DATA / ALANINE).read_text())

    def made(**options):
        given = {"topology": ALANINE, "backend": "native"} | options
        return prepare(SystemConfig(model=("m.safetensors",), **given), tmp_path)

    expected = AllegroPotential(tmp_path / "m.safetensors").add_to_system(
        pdb.topology, mm_system, backend="native"
    )
    ours = made(forcefield=FIELD)
    by_call = energy(expected, pdb.positions)
    assert energy(ours.system, ours.positions) == pytest.approx(by_call, rel=1e-9)
    with pytest.raises(ValueError, match=r"--baseline .*--forcefield"):
        made()
    with pytest.raises(ValueError, match="mm_system"):
        made(forcefield=("amber14-all.xml", "amber14/spce.xml"))


def test_a_residue_that_is_not_there_is_named():
    """Beside names that are; what is excluded need not be there."""
    topology = app.PDBFile(str(DATA / ALANINE)).topology
    words = "found NMA, which none has; did you mean NME"
    with pytest.warns(UserWarning, match=words):
        (group,) = select_atoms(topology, ["resname ACE ALA NMA"])
    assert len(group) == 16
    select_atoms(topology, ["not (resname HOH WAT)", "resname =~ 'A.*'"])
    frames = mdtraj.Trajectory(np.zeros((1, topology.getNumAtoms(), 3)), None)
    frames.topology = mdtraj.Topology.from_openmm(topology)
    with pytest.warns(UserWarning, match=words):
        select_frames_atoms(frames, "resname NMA or name CA")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"mixing": {"region": "resname XXX"}},
            "of the selection.*found none.*HOH 8",
        ),
        ({"mixing": {"region": "resname ="}}, "selection in mdtraj's words"),
        ({"mixing": {"region": "resname ALA"}}, "whole molecules.*link='cap'"),
        ({"forcefield": FIELD[1:]}, "none for 1 of ACE.*C2 H3 O1.*openmmforcefields"),
        ({"forcefield": ()}, r"a force field, found none.*--forcefield"),
        ({"forcefield": ("none.xml",)}, "files of openmm.app.ForceField"),
        ({"mixing": {}}, r"\[mixing\] region, --region.*kind total"),
        ({"nonbonded_method": "PME"}, "a box for nonbonded_method PME.*--box"),
        (
            {"box_nm": (1.5, 1.5, 1.5)},
            r"half the box, 0.75 nm, found 1 nm",
        ),
        ({"box_nm": (2.5, 2.5)}, "three lengths"),
        ({"switch_distance_nm": 1.2}, "switch_distance_nm below"),
        ({"total_charge": 1.0}, "no total_charge beside a region.*region_charge"),
        ({"baseline": "x.xml"}, "baseline or a force field"),
        ({"parameters": ("x.prm",)}, "parameters beside a topology that holds"),
        ({"atom_style": "full"}, None),
        ({"topology": "benzene_toluene.prmtop"}, "positions beside.*--positions"),
        (
            {"topology": "benzene_toluene.prmtop", "positions": ALANINE},
            "expected positions of the 27 atoms",
        ),
    ],
)
def test_settings_that_do_not_fit(options, words):
    if words is None:  # of another format's settings
        prepare(config(**options), DATA)
        return
    with pytest.raises(ValueError, match=words):
        prepare(config(**options), DATA)


def test_a_force_field_runs_no_code_unasked(tmp_path):
    (tmp_path / "x.xml").write_text("<ForceField><Script>1</Script></ForceField>")
    (tmp_path / "y.xml").write_text('<ForceField><Include file="x.xml"/></ForceField>')
    (tmp_path / ALANINE).write_text((DATA / ALANINE).read_text())
    for name in ("x.xml", "y.xml"):
        with pytest.raises(ValueError, match=r"without Python.*--trust"):
            prepare(config(forcefield=(*FIELD, name)), tmp_path)


def test_a_barostat_asks_for_bonds(tmp_path):
    """Of formats that have no place for them; distances find them."""
    files = write("POSCAR", tmp_path, waters())

    def made(**options):
        given = SystemConfig(
            files.topology, (WATER_MODEL,), backend="native", **options
        )
        return prepare(given, tmp_path, ensembles=["npt"])

    with pytest.raises(ValueError, match=r"--bonds distances.*--flexible-molecules"):
        made()
    assert made(bonds="distances").topology.getNumBonds() == 16
    assert made(flexible_molecules=True).topology.getNumBonds() == 0


def test_bonds_by_distances():
    """Ethane-like, across a border; of hydrogen the nearest; metals have none."""
    symbols = ["C", "C", "H", "Li", "O", "H"]
    xyz = [[0.05, 0, 0], [0.95, 0, 0], [0.16, 0, 0], [0.5, 0, 0], [0.5, 0.15, 0]]
    positions = np.array([*xyz, [0.5, 0.25, 0]])
    assert find_bonds(symbols, positions, np.eye(3)) == [(0, 1), (0, 2), (4, 5)]
    assert find_bonds(symbols, positions, None) == [(0, 2), (4, 5)]
    near = np.array([[0, 0, 0], [0.11, 0, 0], [0.21, 0, 0]])
    assert find_bonds(["C", "H", "C"], near, None) == [(1, 2)]


def test_positions_of_other_atoms_are_refused(tmp_path):
    atoms = waters()
    write("GROMACS top and gro", tmp_path, atoms)
    write("PDB", tmp_path, atoms[[1, 0, *range(2, 24)]])
    given = SystemConfig("x.top", (WATER_MODEL,), positions="x.pdb", backend="native")
    # The writer names atoms by their places, so O and H are not told apart by names.
    text = (tmp_path / "x.pdb").read_text().splitlines()
    first, second = [i for i, x in enumerate(text) if x.startswith("HETATM")][:2]
    text[first], text[second] = text[second], text[first]
    (tmp_path / "x.pdb").write_text("\n".join(text))
    with pytest.raises(ValueError, match=r"in its order.*found H for atom 0.*is O"):
        prepare(given, tmp_path)


def test_a_table_of_a_protocol(tmp_path):
    path = tmp_path / "p.toml"
    text = """
[system]
topology = "x.pdb"
model = "m.safetensors"
forcefield = ["amber14-all.xml"]
[mixing]
region = "resname ALA"
link = "cap"
[[stages]]
name = "a"
steps = 20
"""
    path.write_text(text)
    system = read_settings(path).system
    assert system.mixing == MixingConfig("resname ALA", link="cap")
    assert system.forcefield == ("amber14-all.xml",)
    for old, new, words in (
        ('link = "cap"', 'link = "H"', "link of"),
        ('region = "resname ALA"', "", "expected region"),
        ('link = "cap"', "lambda_interpolate = 2", "at least 0 and at most 1"),
        ("forcefield", "no_periodic = true\nbaseline = 'x'\nforcefield", "baseline or"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=words):
            read_settings(path)
