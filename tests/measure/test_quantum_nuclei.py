# SPDX-License-Identifier: MIT
"""Kinetic energies of nuclei, and structure over beads, of files that are known."""

import json

import mdtraj
import numpy as np
import pytest
from scipy.constants import gas_constant

from openmm_allegro.cli.main import main
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.report.nuclei import nuclei_section
from openmm_allegro.report.production import make_production
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.source import Source

pytestmark = pytest.mark.small
BEADS, FRAMES, ATOMS, BOX = 4, 60, 32, 1.5
KINETIC = 14.0  # kJ/mol
MEV = 0.0964853321


@pytest.fixture(scope="module", params=["rpmd", "qtb"])
def prefix(request, tmp_path_factory):
    """Files of a run of an ideal gas of H, as ``run`` writes them."""
    prefix = tmp_path_factory.mktemp("nuclei") / request.param
    random = np.random.default_rng(0)
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(ATOMS):
        residue = topology.add_residue("H", chain)
        topology.add_atom("H", mdtraj.element.hydrogen, residue)
    beads = BOX * random.random((FRAMES, BEADS, ATOMS, 3), dtype=np.float32)
    times = 0.5 * np.arange(1, FRAMES + 1)

    def save(name, positions, times):
        cell = np.full((len(times), 3), BOX), np.full((len(times), 3), 90.0)
        frames = mdtraj.Trajectory(positions, topology, times, *cell)
        frames.save(str(name))

    save(f"{prefix}.pdb", beads[0, :1], times[:1])
    save(f"{prefix}.xtc", beads.mean(axis=1), times)
    record = {"integrator": request.param, "ensemble": "nvt", "temperature_k": 300.0}
    record |= {"steps": 60, "completed_steps": 60, "timestep_fs": 500, "atoms": ATOMS}
    kinetic = KINETIC + random.normal(0, 0.3, FRAMES)
    columns = {"Step": times * 2, "Time (ps)": times}
    columns["Kinetic Energy of H (kJ/mole)"] = kinetic
    energies = {"Step": times * 2, "Time (ps)": times}
    energies["Potential Energy (kJ/mole)"] = random.normal(0, 1, FRAMES)
    energies["Kinetic Energy (kJ/mole)"] = ATOMS * kinetic
    energies["Total Energy (kJ/mole)"] = random.normal(0, 1, FRAMES)
    if request.param == "rpmd":
        record |= {"beads": BEADS, "degrees_of_freedom": 93}
        columns["Primitive Kinetic Energy of H (kJ/mole)"] = kinetic + 0.1
        columns["Squared Radius of Gyration of H (nm^2)"] = np.full(FRAMES, 4e-4)
        spread = 300 * np.sqrt(2 / 93)
        energies["Temperature (K)"] = random.normal(300, spread, FRAMES)
        every = np.repeat(times, BEADS)
        save(f"{prefix}.beads.xtc", beads.reshape(-1, ATOMS, 3), every)
    for ending, table in ((".nuclei.csv", columns), (".csv", energies)):
        names = ",".join(f'"{name}"' for name in table)
        lines = [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
        prefix.with_name(prefix.name + ending).write_text(
            "\n".join([f"#{names}", *lines]) + "\n"
        )
    prefix.with_suffix(".json").write_text(json.dumps(record))
    return prefix


def test_kinetic_energies_by_element(prefix):
    measured = QUANTITIES["kinetic-energy"].measure(Source([read_run(prefix)]))
    rows = {row.quantity: row for row in measured.rows}
    energy = rows["kinetic energy"]
    assert energy.item == "H"
    assert energy.unit == "meV"
    assert energy.value == pytest.approx(KINETIC / MEV, abs=4 * energy.error)
    assert energy.error == pytest.approx(0.3 / MEV / np.sqrt(FRAMES), rel=0.5)
    assert rows["classical"].value == pytest.approx(1.5e-3 * gas_constant * 300 / MEV)
    if prefix.name == "rpmd":
        assert rows["radius of gyration"].value == pytest.approx(0.2)
        assert "kinetic energy, primitive" in rows
        assert "centroid virial of 4 beads" in measured.notes[0]


def test_structure_is_that_of_the_beads(prefix):
    """Beads are an ideal gas; their centroids crowd in the middle of the box."""
    source = Source([read_run(prefix)])
    measured = QUANTITIES["rdf"].measure(source, {"H-H": ("all", "all")})
    g = measured.results["H-H"]["distribution"].g
    crowded = g[20:40].mean()
    if prefix.name == "rpmd":
        assert crowded == pytest.approx(1.0, abs=0.02)
        assert sum(frames.n_frames for frames in source._frames.values()) > 200
    else:
        assert crowded > 1.2
    assert not any("come again later" in note for note in source.notes)


def test_what_velocities_do_not_tell_is_withheld(prefix):
    source = Source([read_run(prefix)])
    measured = QUANTITIES["stability"].measure(source)
    if prefix.name == "qtb":
        assert "integrator 'qtb'" in " ".join(measured.failed.values())
    else:
        assert measured.results["all"]["temperature"]["degrees_of_freedom"] == 93
    heat = QUANTITIES["thermodynamics"].measure(Source([read_run(prefix)]))
    assert "classical nuclei" in " ".join(heat.failed.values())


def test_command_and_section_of_the_page(prefix, capsys, tmp_path):
    drawn = tmp_path / "k.png"
    main(["analyze", "kinetic-energy", str(prefix), "--plot", str(drawn)])
    assert "meV" in capsys.readouterr().out
    assert drawn.stat().st_size > 1000
    run = read_run(prefix)
    production = make_production(run, tmp_path, charges=None, drop_repeated=False)
    section = str(nuclei_section(production))
    assert "Quantum nuclei" in section
    assert "meV" in section


def test_classical_runs_have_none(prefix):
    run = read_run(prefix)
    source = Source([run.__class__("x", run.trajectory, run.topology)])
    with pytest.raises(FileNotFoundError, match=r"\.nuclei\.csv"):
        QUANTITIES["kinetic-energy"].measure(source)
