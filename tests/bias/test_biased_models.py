# SPDX-License-Identifier: MIT
"""Models with a bias: any backend, mixed, at constant pressure, stopped and resumed."""

import signal

import numpy as np
import pytest
from bias_helpers import SETTINGS
from helpers import water_model
from mixed_helpers import cluster, organic_model, solvated
from openmm_helpers import make_topology
from run_helpers import Killer, check_same, send, start

from openmm_allegro import AllegroPotential
from openmm_allegro.bias import Metadynamics, Restraint, Variable


def waters(water_box, backend):
    """Eight molecules in a box, whose volume changes."""
    symbols, positions, box = water_box
    topology = make_topology(symbols[:24], box, waters=True)
    potential = AllegroPotential(water_model())
    system = potential.create_system(topology, skin=0.3, backend=backend)
    return topology, positions[:24], system


def mixed(water_box, backend):
    """A solute between the force field and a model: two forces of variables."""
    droplet = cluster(solvated())
    system = AllegroPotential(organic_model()).create_mixed_system(
        droplet.topology,
        droplet.system,
        range(6),
        link="cap",
        interpolate=True,
        backend=backend,
    )
    return droplet.topology, droplet.positions, system


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "make, backend",
    [
        (waters, "native"),
        pytest.param(mixed, "native", marks=SLOW),
        pytest.param(waters, "torchforce", marks=SLOW),
        pytest.param(mixed, "torchforce", marks=SLOW),
        pytest.param(waters, "pythonforce", marks=SLOW),
        pytest.param(mixed, "pythonforce", marks=SLOW),
    ],
)
def test_stopped_and_resumed(make, backend, water_box, tmp_path):
    """To the last bit; a distance, the sum of its hills and its restraint are written.

    The restraint's energy is what the potential energy has beside the model's.
    """
    options = {
        "variables": [
            Variable("d", "distance", atoms=(0, 3)),
            Variable("n", "coordination", groups=((0,), (3, 6)), r0_angstrom=3.0),
        ],
        "restraints": [Restraint("n", 0.2, 50.0)],
        "bias": Metadynamics(
            variables=("d",), widths=(0.3,), lower=(1.0,), upper=(9.0,), pace=9
        ),
        "velocity_interval": 0,
        **SETTINGS,
    }
    if make is waters:
        options |= {"ensemble": "npt", "barostat_interval": 2}
    system = make(water_box, backend)
    whole = start(system, tmp_path / "whole", **options)
    stop = [Killer(33, send(signal.SIGTERM))]
    with pytest.raises(SystemExit):
        start(system, tmp_path / "x", reporters=stop, **options)
    paths = start(system, tmp_path / "x", resume=True, **options)
    check_same(paths, whole)
    for name in ("variables", "hills"):
        assert paths[name].read_bytes() == whole[name].read_bytes()
    table = np.genfromtxt(paths["variables"], delimiter=",", names=True)
    expected = 25.0 * (table["n"] - 0.2) ** 2
    np.testing.assert_allclose(table["restraints_kj_mol"], expected, rtol=2e-4)
    assert table["bias_kj_mol"][-1] > 0.1
