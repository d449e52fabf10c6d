# SPDX-License-Identifier: MIT
"""What an rmsd and centres of mass are taken from: whole molecules, one reference."""

import itertools

import mdtraj
import numpy as np
from bias_helpers import CHAIN, chain_system

from openmm_allegro import run
from openmm_allegro.bias import Metadynamics, Variable
from openmm_allegro.simulate import Umbrella, run_umbrella

SHAPE = Variable("shape", "rmsd", atoms=(0, 1, 2, 3))
FAR = Variable("far", "distance", groups=((0, 1), (2, 3)))
PLAIN = {"platform": "Reference", "seed": 3, "progress": False}
BOX = 3.0  # nm


def bonded_chain():
    """The chain as one molecule."""
    topology, positions, system = chain_system()
    atoms = list(topology.atoms())
    for first, second in itertools.pairwise(atoms):
        topology.addBond(first, second)
    return topology, positions, system


def test_wrapped_start(tmp_path):
    """Where the start is wrapped around the box, variables are of whole molecules."""
    topology, positions, system = bonded_chain()
    wrapped = (positions - 0.2) % BOX
    assert np.ptp(wrapped, axis=0).max() > 2.0
    hills = Metadynamics(
        variables=("far",), widths=(0.3,), lower=(1.0,), upper=(6.0,), pace=5
    )
    options = {"steps": 5, "report_interval": 5, "variables": [SHAPE, FAR], **PLAIN}
    tables = []
    for name, start in (("whole", positions), ("wrapped", wrapped)):
        paths = run(topology, start, system, tmp_path / name, bias=hills, **options)
        tables.append(np.loadtxt(paths["variables"], delimiter=",", skiprows=1))
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6, atol=1e-6)


def test_windows_along_an_rmsd(tmp_path):
    """Each window starts with its frame, and has the reference of the protocol."""
    topology, positions, system = bonded_chain()
    frames = np.array([CHAIN * factor for factor in (1.0, 1.2, 1.4)])
    frames[2] = (frames[2] - 0.2) % BOX
    trajectory = mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology))
    trajectory.unitcell_lengths = np.full((3, 3), BOX)
    trajectory.unitcell_angles = np.full((3, 3), 90.0)
    trajectory.save_xtc(str(tmp_path / "pull.xtc"))
    spread = 10 * np.sqrt(((CHAIN - CHAIN.mean(0)) ** 2).sum() / 4)  # Å
    umbrella = Umbrella(
        ("shape",), (0.0, 0.4 * spread), (1.0,), 2, 1, str(tmp_path / "pull.xtc")
    )
    common = {"timestep_fs": 0.1, "report_interval": 1}
    what = topology, positions, system, umbrella, tmp_path / "u"
    files = run_umbrella(*what, variables=[SHAPE], settings=common, **PLAIN)
    for name, expected in (("1-window1", 0.0), ("2-window2", 0.4 * spread)):
        table = np.genfromtxt(files[name]["variables"], delimiter=",", names=True)
        np.testing.assert_allclose(table["shape_angstrom"][0], expected, atol=0.02)
