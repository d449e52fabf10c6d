# SPDX-License-Identifier: MIT
"""The page about a run and ``analyze`` give the same numbers of it."""

import json

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj")

from analysis_helpers import langevin  # noqa: E402
from dipole_helpers import write_charges, write_dipoles  # noqa: E402
from report_helpers import (  # noqa: E402
    Page,
    lattice,
    not_rendered,
    salt_water,
    walk,
    write_run,
    write_velocities,
)

from openmm_allegro.cli.main import main  # noqa: E402
from openmm_allegro.cli.output import plain  # noqa: E402
from openmm_allegro.measure.measurement import amount  # noqa: E402
from openmm_allegro.measure.quantities import QUANTITIES  # noqa: E402
from openmm_allegro.report import page, report, vibrations  # noqa: E402

pytestmark = pytest.mark.usefixtures("read_here")
# Quantities that the page does not show: nothing says which lag times, which pair of
# ions and which temperatures; of liquids there are no jumps between sites, and of runs
# without a bias no free energies.
NOT_SHOWN = {
    *("van-hove", "clusters", "arrhenius", "jumps", "series", "free-energy"),
    "kinetic-energy",  # of quantum nuclei alone
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Measurements that two pages render, their runs, and the pages' texts.

    One run is of molecules that walk, with velocities and charges; one of molecules
    that stay about the sites of a lattice, and so have shells.
    """
    folder, topology = tmp_path_factory.mktemp("runs"), salt_water(21, 3)
    walking = write_run(folder / "walking", walk(topology, 200))
    _, velocities = langevin(
        400, topology.n_atoms, 0.002, 0.02, 0.005, np.random.default_rng(2)
    )
    write_velocities(walking.with_suffix(".h5"), topology, velocities, 0.005, start=10)
    rng, charges = np.random.default_rng(3), [-0.6, 0.3, 0.3] * 21 + [0.7, -0.7] * 3
    scale = 1 + 0.05 * rng.normal(size=(150, 1))
    write_charges(walking.with_suffix(".charges"), np.arange(150), scale * charges)
    series = rng.normal(size=(2000, 3))
    write_dipoles(walking.with_suffix(".dipoles.csv"), 0.1 * np.arange(2000), series)
    staying = write_run(folder / "staying", lattice(topology, 150), ensemble="nve")
    productions = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", not_rendered)
        for module in (page, vibrations):
            make = module.make_production
            patch.setattr(
                module,
                "make_production",
                lambda run, *a, _make=make, **k: (
                    productions.setdefault(run.name, []).append(_make(run, *a, **k))
                    or productions[run.name][-1]
                ),
            )
        texts = {str(p): Page(report(p).read_text()).text for p in (walking, staying)}
    measured = {
        (prefix, name): measurement
        for prefix, made in productions.items()
        for production in made
        for name, measurement in production.measured.items()
    }
    return measured, texts


def test_every_quantity_is_on_a_page(shown):
    measured, _ = shown
    assert {name for _, name in measured} == set(QUANTITIES) - NOT_SHOWN


def test_the_command_gives_the_numbers_that_the_page_renders(shown, tmp_path):
    measured, _ = shown
    for (prefix, name), measurement in measured.items():
        path = tmp_path / f"{name}.json"
        arguments = ["analyze", name, prefix, "--json", str(path), "--force"]
        assert main(arguments) == 0, (prefix, name)
        content = json.loads(path.read_text())
        assert content["table"] == json.loads(json.dumps(plain(measurement.table)))
        assert content["results"] == json.loads(json.dumps(plain(measurement.results)))
        assert content["units"] == measurement.units


def test_the_page_prints_them(shown):
    measured, texts = shown
    printed = 0
    for (prefix, name), measurement in measured.items():
        for row in measurement.rows:
            if (name, row.quantity) in {
                ("rdf", "coordination number"),
                ("survival", "lifetime"),
                ("conductivity", "Haven ratio"),
                ("stability", "temperature"),
                ("thermodynamics", "potential energy"),
                ("speciation", "within"),
                ("non-gaussian", "highest α₂"),
            } and row.error is not None:
                text = amount(row.value, row.error).replace("-", "−")
                assert text in texts[prefix], (name, row)
                printed += 1
    assert printed > 8
