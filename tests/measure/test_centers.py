# SPDX-License-Identifier: MIT
"""Centres of mass as selections, and peaks between molecules, in closed form."""

import json

import mdtraj
import numpy as np
import pytest
from analysis_helpers import make_trajectory, wrap
from report_helpers import CUBIC, salt_water, walk, write_run

from openmm_allegro.cli.main import main
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.measure.rdf import RdfSettings
from openmm_allegro.measure.survival import SurvivalSettings
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.selections import pairs, selections
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.window import Window

MASSES = np.array([15.999, 1.008, 1.008])
N = 12


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """12 waters and 4 NaCl that walk, each atom wrapped; and the waters' centres."""
    trajectory = walk(salt_water(N), 40)
    waters = trajectory.xyz[:, : 3 * N].reshape(40, N, 3, 3)
    centers = np.einsum("fnax,a->fnx", waters, MASSES) / MASSES.sum()
    trajectory.xyz = wrap(trajectory.xyz.astype(float), CUBIC).astype(np.float32)
    folder = tmp_path_factory.mktemp("centers")
    run = read_run(write_run(folder / "nvt", trajectory))
    return Source([run], Window(start=0)), centers


def test_centres_of_mass_are_those_of_whole_molecules(broken):
    source, centers = broken
    shifted = source.with_centers(["com:water"])
    (chunk,) = shifted.frames()
    assert chunk.n_atoms == 3 * N + 8 + N
    found = chunk.xyz[:, shifted.centers.points["com:water"]]
    away = (found - centers) / 2.0
    np.testing.assert_allclose(away, np.round(away), atol=2e-3)  # an image of them
    # The atoms stay as they are.
    (plain,) = source.frames()
    np.testing.assert_array_equal(chunk.xyz[:, : plain.n_atoms], plain.xyz)
    assert shifted.molecules[-N:].tolist() == shifted.molecules[: 3 * N : 3].tolist()


@pytest.mark.parametrize("text", ["com:water", "com:HOH", "com:H2O", "com of water"])
def test_names_of_molecules(broken, text):
    source, _ = broken
    assert len(source.with_centers([text]).centers.points[text]) == N


def test_pairs_of_centres_are_counted(broken):
    source, centers = broken
    subjects = pairs(["Na-com:HOH", "com:HOH : com:HOH"])
    assert subjects["Na-com:HOH"] == ("element Na", "com:HOH")
    settings = RdfSettings(shell=(0.9,))
    results = QUANTITIES["rdf"].measure(source, subjects, settings).results
    sodium = mdtraj.load(str(source.runs[0].trajectory), top=source.topology)
    sodium = sodium.xyz[:, 3 * N : 3 * N + 4].astype(float)
    for label, around in (("Na-com:HOH", sodium), ("com:HOH : com:HOH", centers)):
        apart = around[:, :, None] - centers[:, None]
        apart -= 2.0 * np.round(apart / 2.0)
        distances = np.linalg.norm(apart, axis=-1)
        near = ((distances < 0.9) & (distances > 1e-3)).sum() / distances[..., 0].size
        found = results[label]["coordination"].number
        assert found == pytest.approx(near, abs=0.02)


def test_paths_of_centres_are_those_of_the_molecules(broken):
    source, _ = broken
    subjects = selections(["com:HOH", "O"])
    results = QUANTITIES["diffusion"].measure(source, subjects).results
    assert results["com:HOH"]["particles"] == N
    # Molecules do not turn, so that the oxygen goes the same way.
    np.testing.assert_allclose(
        results["com:HOH"]["msd"], results["O"]["msd"], rtol=2e-3
    )


def test_each_quantity_takes_centres_or_refuses_them(broken, capsys):
    source, _ = broken
    prefix = str(source.runs[0].trajectory).removesuffix(".xtc")
    pair = ["Na-com:HOH", "--shell", "0.8"]
    asked = {
        "angles": ["com:HOH : Na : com:HOH", "--shell", "0.8"],
        "van-hove": ["com:HOH", "--times", "1"],
        "non-gaussian": ["com:HOH"],
        "survival": pair,
        "speciation": pair,
        "clusters": pair,
    }
    for name, words in asked.items():
        assert main(["analyze", name, prefix, *words, "--start", "0"]) == 0, name
    distinct = ["van-hove", prefix, "Na-com:HOH", "--distinct", "--times", "1"]
    assert main(["analyze", *distinct, "--start", "0"]) == 0
    assert capsys.readouterr().out.count("com:HOH") > 20
    for name in ("structure-factor", "conductivity", "vacf", "jumps"):
        assert main(["analyze", name, prefix, "com:HOH"]) == 2
        said = capsys.readouterr().err
        assert f"expected atoms for {name}, found centres of mass, com:HOH" in said


def test_centres_that_have_no_meaning_are_refused(broken, tmp_path):
    source, _ = broken
    with pytest.raises(ValueError, match=r"found none of that name.*did you mean HOH"):
        source.with_centers(["com:HOO"])
    # A chain whose bonds cross the cell has no end.
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    atoms = [
        topology.add_atom("C", mdtraj.element.carbon, topology.add_residue("PE", chain))
        for _ in range(4)
    ]
    for i in range(4):
        topology.add_bond(atoms[i], atoms[(i + 1) % 4])
    positions = np.zeros((2, 4, 3))
    positions[:, :, 0] = np.arange(4) * 0.5
    endless = make_trajectory(positions, CUBIC, ["C"] * 4)
    endless.topology = topology
    run = read_run(write_run(tmp_path / "chain", endless))
    source = Source([run], Window(start=0))
    with pytest.raises(ValueError, match=r"molecules that end.*cross the cell"):
        list(source.with_centers(["com:C4"]).frames())
    # Waters whose bonds are not known are no molecules.
    apart = walk(salt_water(2, 0), 3)
    apart.topology._bonds = []
    for residue in apart.topology.residues:
        residue.name = "UNK"
    source = Source([read_run(write_run(tmp_path / "apart", apart))])
    with pytest.raises(ValueError, match="expected bonds within the molecules"):
        source.with_centers(["com:UNK"])


def test_the_first_peak_is_not_that_of_a_bond(tmp_path, capsys):
    """Waters on a line of 0.3 nm: O-H of a molecule 0.096, of the next 0.204 nm."""
    topology = salt_water(6, 0)
    rng = np.random.default_rng(1)
    trajectory = walk(topology, 30, 1.8 * np.eye(3), step=0.0)
    first = np.zeros((30, 6, 3))
    first[:, :, 0] = np.arange(6) * 0.3
    first += rng.normal(size=first.shape) * 0.004
    oxygens = np.arange(0, 18, 3)
    moved = first - trajectory.xyz[:, oxygens]
    trajectory.xyz = trajectory.xyz + np.repeat(moved, 3, axis=1).astype(np.float32)
    prefix = write_run(tmp_path / "nvt", trajectory)
    out = tmp_path / "rdf.json"
    options = ["--start", "0", "--json", str(out)]
    assert main(["analyze", "rdf", str(prefix), "O-H", *options]) == 0
    content = json.loads(out.read_text())
    rows = {row["quantity"]: row["value"] for row in content["table"]}
    assert rows["highest within molecules, at"] == pytest.approx(0.096, abs=0.003)
    assert rows["first peak between molecules"] == pytest.approx(0.204, abs=0.006)
    assert rows["coordination number between molecules"] == pytest.approx(1, abs=0.05)
    assert content["results"]["O-H"]["between_molecules"] is True
    # What is left out of the number is in the curve, unless it is asked to be left out.
    r, g = (np.array(content["results"]["O-H"]["distribution"][k]) for k in "rg")
    assert g[r < 0.12].max() > 10
    assert "first peak between molecules" in capsys.readouterr().out
    source = Source([read_run(prefix)], Window(start=0))
    # So is the potential of mean force of what can come and go.
    work = QUANTITIES["rdf"].measure(
        source, pairs(["O-H"]), RdfSettings(potential=True)
    )
    assert work.results["O-H"]["potential_of_mean_force"].r.min() > 0.15
    apart = RdfSettings(intermolecular=True)
    curve = QUANTITIES["rdf"].measure(source, {"O-H": pairs(["O-H"])["O-H"]}, apart)
    r, g, *_ = curve.results["O-H"]["distribution"]
    assert g[r < 0.12].max() == 0


def test_contacts_between_molecules(broken):
    source, _ = broken
    subjects = pairs(["O-H"])
    radius = {"shell": (0.15,)}
    counted = QUANTITIES["survival"].measure(
        source, subjects, SurvivalSettings(**radius)
    )
    assert "--intermolecular" in counted.warnings[0]
    apart = SurvivalSettings(**radius, intermolecular=True)
    found = QUANTITIES["survival"].measure(source, subjects, apart)
    assert not any("--intermolecular" in text for text in found.warnings)
    assert found.results["O-H"]["remaining"] < counted.results["O-H"]["remaining"]
