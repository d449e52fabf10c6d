# SPDX-License-Identifier: MIT
"""Motion in LAMMPS conserves what it should."""

import numpy as np
import pytest
from lammps_cases import exported, trained_atoms
from lammps_helpers import write_data
from lammps_session import needs_lammps, run_ranks

from openmm_allegro.lammps.export import export_model

pytestmark = needs_lammps

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
    (folder / "in.nve").write_text(NVE.format(**options, every=10))
    done = run_ranks("in.nve", folder, ranks, timeout=timeout)
    assert done.returncode == 0, done.stdout[-3000:]
    times, totals = np.loadtxt(folder / "energies.txt").T
    return times, 1000 * (totals - totals[0]) / len(atoms)


@pytest.mark.slow
def test_total_energy_over_ten_picoseconds(tmp_path):
    """As in benchmarks/nve_drift.py, where a drift is 0.0009 meV/atom/ps at most."""
    times, totals = energies(tmp_path, 20_000, 1000, ranks=2, timeout=3600)
    assert times[-1] == pytest.approx(10.0)
    slope, intercept = np.polyfit(times, totals, 1)
    assert abs(slope) < 0.005
    assert np.std(totals - slope * times - intercept) < 0.05
