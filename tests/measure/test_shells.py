# SPDX-License-Identifier: MIT
"""Shells and settings of what is measured, asked for in one pass or one by one."""

import mdtraj
import numpy as np
import pytest
from analysis_helpers import CUBIC, make_trajectory
from report_helpers import lattice, salt_water, walk, write_run

from openmm_allegro.analysis import coordination_number
from openmm_allegro.analysis.structure.rdf import histograms
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.measure.rdf import RdfSettings
from openmm_allegro.measure.shells import POSITIONS
from openmm_allegro.measure.subjects import default_pairs, default_species
from openmm_allegro.runs.run import Run, read_run
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.window import Window

pytestmark = pytest.mark.usefixtures("read_here")

RDF = QUANTITIES["rdf"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return read_run(write_run(folder / "nvt", lattice(salt_water(21, 3), 40)))


def test_pairs_of_several_radii_are_counted_as_each_alone(run):
    trajectory = mdtraj.load(str(run.trajectory), top=str(run.topology))
    pairs = [("element Na", "element O"), ("element Cl", "element O")]
    together = histograms(trajectory, pairs, [0.7, 0.85])
    for pair, radius, found in zip(pairs, (0.7, 0.85), together, strict=True):
        (alone,) = histograms(trajectory, [pair], radius)
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one, other)


def test_shells_that_are_asked_for_are_counted_whole(run):
    trajectory = mdtraj.load(str(run.trajectory), top=str(run.topology))
    source = Source([run], Window(start=0))
    pairs = {"Na-O": ("element Na", "element O"), "Cl-O": ("element Cl", "element O")}
    results = RDF.measure(source, pairs, RdfSettings(shell=(0.7, 0.75))).results
    for (label, pair), radius in zip(pairs.items(), (0.7, 0.75), strict=True):
        expected = coordination_number(trajectory, *pair, r_max=radius)
        assert results[label]["coordination"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="one --shell, or 2 for Na-O, Cl-O, found 3"):
        RDF.measure(source, pairs, RdfSettings(shell=(0.1, 0.2, 0.3)))


def test_what_is_measured_where_nothing_is_named(run):
    source = Source([run])
    assert list(default_species(source)) == ["water, O", "Na", "Cl"]
    # Of three ions of a kind g(r) among them is noise.
    assert list(default_pairs(source)) == ["Na-O", "Cl-O", "Na-Cl", "O-O"]
    angles = QUANTITIES["angles"].measure(source)
    assert set(angles.results) == {"O-Na-O", "O-Cl-O"}
    assert [row.quantity for row in angles.rows[2:4]] == ["neighbours within", "angles"]
    # So few Na and Cl show no shell of each other.
    environments = QUANTITIES["speciation"].measure(source).results
    kinds = {k: x["kinds"] for k, x in environments.items()}
    assert kinds == {"Na": ["O"], "Cl": ["O"]}
    elements = RDF.measure(source, "elements").results
    assert set(elements) == {
        *("Cl-Cl", "Cl-H", "Cl-Na", "Cl-O", "H-H", "H-Na", "H-O"),
        *("Na-Na", "Na-O", "O-O", "total"),
    }


def test_one_molecule_has_no_pairs(tmp_path):
    prefix = write_run(tmp_path / "water", walk(salt_water(1, 0), 3))
    with pytest.raises(ValueError, match="at least two molecules or ions, found one"):
        RDF.measure(Source([read_run(prefix)]))


@pytest.mark.parametrize("name", QUANTITIES)
def test_settings_are_held_to_their_bounds(name):
    quantity = QUANTITIES[name]
    required = {"times": (1.0,)} if name == "van-hove" else {}
    quantity.settings(**required)
    for field, value in (("blocks", 0), ("max_lag", -1.0), ("bin_width", 0.0)):
        if (
            hasattr(quantity.settings, field)
            or field in quantity.settings.__annotations__
        ):
            with pytest.raises(ValueError, match=f": expected {field} "):
                quantity.settings(**required, **{field: value})


@pytest.mark.parametrize(
    ("frames", "atoms", "stride"), [(6772, 184, 1), (9000, 900, 3)]
)
def test_a_small_run_is_read_whole(monkeypatch, frames, atoms, stride):
    """The minimum of g(r) moves by a bin where half of such a run is left out."""
    monkeypatch.setattr("openmm_allegro.runs.source.count_frames", lambda *_: frames)
    positions = np.zeros((1, atoms, 3))
    source = Source([Run("a")])
    source.__dict__["topology"] = make_trajectory(positions, CUBIC, ["O"] * atoms).top
    assert source.frames(positions=POSITIONS).stride == stride
