# SPDX-License-Identifier: MIT
"""Motion in LAMMPS conserves what it should."""

import re

import numpy as np
import pytest
from helpers import random_ase
from lammps_cases import exported, trained_atoms
from lammps_helpers import near, network_results, run_lammps, write_data
from lammps_session import needs_lammps

from openmm_allegro.lammps.export import export_model

pytestmark = needs_lammps

RANKS = 2
MOTION = """\
units metal
atom_style atomic
processors * 1 1
read_data atoms.data
pair_style allegro
pair_coeff * * full.allegro H O Na
neighbor 0.3 bin
neigh_modify every 1 delay 0 check yes
timestep 0.0002
velocity all create 3000 1 mom yes
fix move all nve
compute energies all pe/atom
dump atoms all custom 10 atoms.dump id x y z fx fy fz c_energies
dump_modify atoms format float %.17g sort id
thermo_style custom step etotal
thermo_modify format float %.12f
thermo 10
run 100
print "$(nbuild) lists"
"""
NVE = """\
units metal
atom_style atomic
read_data nacl_aq.data
pair_style allegro
pair_coeff * * nacl_aq.allegro {elements}
neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
timestep 0.0005
velocity all create 300 1 mom yes
fix move all nve
fix warm all langevin 300 300 0.2 1
run {warm}
unfix warm
reset_timestep 0
thermo {every}
variable total equal etotal
fix table all print {every} "$(time:%.6f) $(v_total:%.12f)" file energies.txt screen no
run {steps}
"""


def energies(folder, steps, warm, ranks, timeout):
    """Times (ps) and total energies (meV/atom) of aqueous NaCl at 300 K, 0.5 fs."""
    model, atoms = exported("nacl_aq").model, trained_atoms("nacl_aq")
    elements = model.config.elements
    export_model(model, folder / "nacl_aq.allegro")
    write_data(folder / "nacl_aq.data", atoms, elements)
    options = {"elements": " ".join(elements), "steps": steps, "warm": warm}
    run_lammps(NVE.format(**options, every=10), folder, ranks, timeout)
    times, totals = np.loadtxt(folder / "energies.txt").T
    return times, 1000 * (totals - totals[0]) / len(atoms)


def test_each_step_is_right_while_atoms_change_their_rank(tmp_path):
    """Between new lists and after them, of atoms that leave their half of the box."""
    atoms, model = random_ase("triclinic"), exported("full").model
    export_model(model, tmp_path / "full.allegro", precision="double")
    write_data(tmp_path / "atoms.data", atoms, model.config.elements)
    log = run_lammps(MOTION, tmp_path, RANKS)
    assert int(re.search(r"(\d+) lists", log)[1]) >= 3
    rows = re.findall(r"^ +\d+ +(-?\d+\.\d{12}) *$", log, re.MULTILINE)
    assert len(rows) == 11 and np.ptp(np.array(rows, float)) < 0.01
    halves = set()
    for frame in (tmp_path / "atoms.dump").read_text().split("ITEM: TIMESTEP\n")[1:]:
        values = np.loadtxt(frame.splitlines()[8:])
        atoms.positions = values[:, 1:4]
        energies, forces, _ = network_results(model, atoms)
        near(values[:, 4:7], forces)
        near(values[:, 7], energies)
        halves.add(tuple(atoms.get_scaled_positions()[:, 0] < 0.5))
    assert len(halves) > 1


@pytest.mark.slow
def test_total_energy_over_ten_picoseconds(tmp_path):
    """As in benchmarks/nve_drift.py: 0.0009 meV/atom/ps at most there, -0.0005 here."""
    times, totals = energies(tmp_path, 20_000, 1000, ranks=2, timeout=3600)
    assert times[-1] == pytest.approx(10.0)
    slope, intercept = np.polyfit(times, totals, 1)
    assert abs(slope) < 0.005
    assert np.std(totals - slope * times - intercept) < 0.05
