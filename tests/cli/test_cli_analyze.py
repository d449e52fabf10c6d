# SPDX-License-Identifier: MIT
"""``analyze`` of frames: each quantity as its function gives it, or in closed form."""

import csv
import importlib
import json

import mdtraj
import numpy as np
import pytest
from analysis_helpers import CUBIC, make_trajectory, random_walk, uniform_gas, wrap
from cli_helpers import analyze, rows_of, save_xtc, write_run
from cli_helpers import analyze_error as error_of

from openmm_allegro import analysis

pytestmark = pytest.mark.usefixtures("read_here")


@pytest.fixture(scope="module")
def gas(tmp_path_factory):
    """60 Na and 60 Cl of an ideal gas, 40 frames; and what the files hold."""
    rng = np.random.default_rng(5)
    trajectory = make_trajectory(
        uniform_gas(CUBIC, 40, 120, rng), CUBIC, ["Na"] * 60 + ["Cl"] * 60
    )
    prefix = write_run(trajectory, tmp_path_factory.mktemp("gas") / "nvt")
    return prefix, mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Na and Cl that walk alone, D = 3e-5 and 5e-5 cm²/s, 20 of each, 500 frames."""
    rng = np.random.default_rng(6)
    steps = random_walk(500, 40, 1e-3, rng)
    steps *= np.sqrt(np.where(np.arange(40) < 20, 3.0, 5.0))[:, None]
    trajectory = make_trajectory(wrap(steps, CUBIC), CUBIC, ["Na"] * 20 + ["Cl"] * 20)
    prefix = tmp_path_factory.mktemp("walk") / "nvt"
    write_run(trajectory, prefix, temperature_k=300.0, ensemble="nvt", atoms=40)
    return str(prefix), mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")


def test_rdf_equals_the_function_and_the_gas(gas, tmp_path, capsys):
    prefix, trajectory = gas
    out = tmp_path / "new" / "rdf.json"
    table = tmp_path / "rdf.csv"
    options = ["--json", out, "--csv", table, "--r-max", 1.2]
    analyze("rdf", prefix, "Na-Cl", "--shell", 0.8, "--blocks", 8, *options)
    content = json.loads(out.read_text())
    expected = analysis.radial_distributions(
        trajectory, {"x": ("element Na", "element Cl")}, r_max=1.2, n_blocks=8
    )["x"]
    found = content["results"]["Na-Cl"]["distribution"]
    np.testing.assert_allclose(found["r"], expected.r)
    np.testing.assert_allclose(found["g"], expected.g, rtol=1e-6)
    np.testing.assert_allclose(found["number"], expected.number, rtol=1e-6)
    units = content["units"]
    assert units["r"] == "nm"
    assert set(expected._asdict()) <= set(units)
    assert set(content["results"]["Na-Cl"]["coordination"]) <= set(units)
    assert content["frames"][0]["frames"] == 40
    row = rows_of(out)["Na-Cl", "coordination number"]
    exact = 60 / 27 * 4 / 3 * np.pi * 0.8**3
    assert abs(row["value"] - exact) < 3 * row["error"]
    assert f"{row['value']:.3f} ± {row['error']:.3f}" in capsys.readouterr().out
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert lines[0]["item"] == "Na-Cl"
    assert len(lines) == len(expected.r)
    np.testing.assert_allclose(float(lines[-1]["g"]), expected.g[-1], rtol=1e-5)


def test_rdf_of_all_pairs_and_its_potential(gas, tmp_path, capsys):
    prefix, _ = gas
    out, figure = tmp_path / "rdf.json", tmp_path / "w.png"
    work = ["--potential", "--temperature", 300, "--bin-width", 0.1]
    files = [f"{prefix}.xtc", f"{prefix}.pdb"]
    analyze("rdf", *files, *work, "--json", out, "--plot", figure)
    content = json.loads(out.read_text())
    assert set(content["results"]) == {"Cl-Cl", "Cl-Na", "Na-Na", "total"}
    assert content["options"]["temperature"] == 300
    for result in content["results"].values():
        work = result["potential_of_mean_force"]
        far = np.array(work["r"]) > 0.5
        assert np.abs(np.array(work["potential"])[far]).max() < 0.4
    assert figure.stat().st_size > 1000
    assert "no coordination number" in capsys.readouterr().out
    assert "--temperature" in error_of(capsys, "rdf", prefix, "--potential")


def test_a_minimum_beyond_second_neighbours_is_told(gas, capsys, monkeypatch):
    """O–O in hot water is such a pair: its first minimum does not show."""
    module = importlib.import_module("openmm_allegro.analysis.structure.coordination")
    for r_max, told in ((0.34, False), (0.55, True)):
        shell = module.Coordination(9.0, r_max, 0.28, 2.5, 0.1)
        monkeypatch.setattr(module, "coordination_of", lambda *_, of=shell, **__: of)
        analyze("rdf", gas[0], "Na-Cl")
        assert ("second neighbours" in capsys.readouterr().out) is told


def test_frames_are_cut_by_time_and_stride(gas, tmp_path):
    prefix, trajectory = gas
    out = tmp_path / "rdf.json"
    cut = ["--start", 10, "--stop", 30, "--stride", 3]
    analyze("rdf", prefix, "Na-Cl", *cut, "--r-max", 1, "--json", out, "--blocks", 2)
    content = json.loads(out.read_text())
    assert content["frames"][0] | {"mean_volume_nm3": 27} == {
        "frames": 7,
        "first_time_ps": 10.0,
        "last_time_ps": 28.0,
        "stride": 3,
        "mean_volume_nm3": 27,
    }
    _, g = analysis.rdf(trajectory[10:31:3], "element Na", "element Cl", r_max=1.0)
    found = content["results"]["Na-Cl"]["distribution"]["g"]
    np.testing.assert_allclose(found, g, rtol=1e-6)


def test_selections_in_mdtrajs_words_and_labels(gas, tmp_path):
    prefix, _ = gas
    out = tmp_path / "rdf.json"
    pairs = ["ions=element Na : name Cl", "index < 60 : index > 59", "Na-Cl"]
    analyze("rdf", prefix, *pairs, "--r-max", 1, "--json", out)
    results = json.loads(out.read_text())["results"]
    assert list(results) == ["ions", "index < 60 : index > 59", "Na-Cl"]
    for label in pairs[1:]:
        assert results["ions"]["distribution"] == results[label]["distribution"]


def test_structure_factor_of_a_gas_is_one(gas, tmp_path):
    prefix, trajectory = gas
    out, figure = tmp_path / "s.json", tmp_path / "s.pdf"
    options = ["--q-max", 30, "--isotopes", "Cl=37", "--json", out, "--plot", figure]
    analyze("structure-factor", prefix, "xray", "Na-Cl", *options)
    results = json.loads(out.read_text())["results"]
    expected = analysis.structure_factor(trajectory, 30, isotopes={"Cl": 37})
    np.testing.assert_allclose(results["neutron"]["value"], expected.neutron.value)
    for name in ("number", "xray"):
        value, error = (np.array(results[name][x]) for x in ("value", "error"))
        # Of 28 bins, each with an error near 0.03.
        assert abs(value.mean() - 1) < 0.03
        assert np.mean(np.abs(value - 1) < 3 * error) > 0.8
    assert ("X-ray", "highest S(q)") in rows_of(out)
    assert ("Cl-Na", "highest S(q)") in rows_of(out)
    assert figure.read_bytes().startswith(b"%PDF")


def test_angles_of_a_gas_are_random(gas, tmp_path):
    prefix, _ = gas
    out, figure = tmp_path / "a.json", tmp_path / "a.svg"
    analyze(
        *("angles", prefix, "Na-Cl-Na", "--shell", "0.9", "--bins", 18),
        *("--json", out, "--plot", figure),
    )
    result = json.loads(out.read_text())["results"]["Na-Cl-Na"]
    angle = np.array(result["angle"])
    exact = np.sin(np.radians(angle)) * np.pi / 360
    error = np.array(result["error"])
    assert np.mean(np.abs(result["density"] - exact) < 3 * error) > 0.9
    assert rows_of(out)["Na-Cl-Na", "mean angle"]["value"] == pytest.approx(90, abs=1)
    assert "<svg" in figure.read_text()


def test_diffusion_with_window_and_infinite_box(walk, tmp_path, capsys):
    prefix, trajectory = walk
    out, figure = tmp_path / "d.json", tmp_path / "msd.png"
    options = ["--viscosity", 0.89, "--keep-drift", "--json", out, "--plot", figure]
    analyze("diffusion", prefix, "Na", *options)  # the temperature is in the record
    content = json.loads(out.read_text())
    assert content["temperature_k"] == 300
    expected = analysis.diffusion(trajectory, "element Na", remove_drift=False)
    rows = rows_of(out)
    row = rows["Na", "D"]
    assert row["value"] == pytest.approx(expected.coefficient)
    assert abs(row["value"] - 3e-5) < 3 * row["error"]
    assert row["unit"] == "cm²/s"
    assert rows["Na", "fitted from"]["value"] == pytest.approx(expected.fit_start)
    infinite = rows["Na", "D of an infinite box"]["value"]
    added = analysis.yeh_hummer_correction(3.0, 300, 0.89)
    assert infinite - row["value"] == pytest.approx(added, rel=1e-5)
    assert figure.stat().st_size > 1000
    assert "e-5  cm²/s" in capsys.readouterr().out
    bare = [f"{prefix}.xtc", f"{prefix}.pdb", "Na", "--viscosity", 0.89]
    assert "--temperature" in error_of(capsys, "msd", *bare)


def test_replicas_of_diffusion_and_pieces_of_one_run(walk, tmp_path, capsys):
    prefix, trajectory = walk
    top = f"{prefix}.pdb"
    halves = []
    for name, frames in (("a", trajectory[:250]), ("b", trajectory[250:])):
        save_xtc(frames, f"{tmp_path / name}.xtc")
        halves.append(str(tmp_path / f"{name}.xtc"))
    out = tmp_path / "d.json"
    analyze("diffusion", *halves, top, "Cl", "--json", out)
    rows = rows_of(out)
    of_runs = [rows[f"Cl ({name})", "D"] for name in "ab"]
    mean = rows["Cl", "D"]
    estimates = [(row["value"], row["error"]) for row in of_runs]
    assert (mean["value"], mean["error"]) == pytest.approx(
        analysis.replica_mean(estimates)
    )
    assert len(json.loads(out.read_text())["sources"]) == 2

    analyze("diffusion", *halves, top, "Cl", "--join", "--json", out, "--force")
    found = json.loads(out.read_text())["results"]["Cl"]
    paths = analysis.follow(trajectory, "element Cl")
    _, whole = analysis.mean_square_displacement(paths.positions)
    lags = np.rint(found["lag_times"]).astype(int)
    np.testing.assert_allclose(found["msd"], whole[lags], rtol=1e-6)
    # Pieces in the wrong order do not follow each other in time.
    wrong = error_of(capsys, "diffusion", *halves[::-1], top, "Cl", "--join")
    assert "that increase" in wrong and "250 frames" in wrong


def test_runs_of_one_file_name_are_told_apart(gas, tmp_path, capsys):
    prefix, trajectory = gas
    names = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_xtc(trajectory, f"{tmp_path / name}/nvt.xtc")
        names.append(f"{tmp_path / name}/nvt.xtc")
    out = tmp_path / "n.json"
    analyze("non-gaussian", *names, f"{prefix}.pdb", "Na", "--json", out)
    found = json.loads(out.read_text())["results"]
    assert list(found) == [f"Na ({name.removesuffix('.xtc')})" for name in names]
    twice = error_of(capsys, "non-gaussian", names[0], names[0], f"{prefix}.pdb", "Na")
    assert "expected each run once" in twice
    folder = error_of(capsys, "rdf", tmp_path / "a", "Na-Cl")
    assert f"of nvt; give {tmp_path / 'a' / 'nvt'}" in folder
    stages = tmp_path / "md"
    stages.mkdir()
    for name in ("2-equilibrate", "10-produce"):
        (stages / f"{name}.xtc").touch()
    folder = error_of(capsys, "rdf", stages, "Na-Cl")
    assert f"give one, as {stages / '10-produce'}" in folder


def test_no_mean_over_runs_of_several_temperatures(walk, tmp_path, capsys):
    _, trajectory = walk
    runs = [
        write_run(trajectory[:100], tmp_path / f"{t}", temperature_k=t)
        for t in (300, 350)
    ]
    out = tmp_path / "n.json"
    analyze("non-gaussian", *runs, "Na", "--json", out)
    assert "their temperatures differ" in capsys.readouterr().out
    assert {item for item, _ in rows_of(out)} == {f"Na ({run})" for run in runs}
    assert json.loads(out.read_text())["temperature_k"] is None


def test_van_hove_and_non_gaussian(walk, tmp_path):
    prefix, trajectory = walk
    out, figure = tmp_path / "g.json", tmp_path / "g.png"
    times = ["--times", "1,10", "--json", out, "--plot", figure, "--force"]
    analyze("van-hove", prefix, "Na", "--r-max", 1.5, *times)
    found = json.loads(out.read_text())["results"]["Na"]
    r = np.array(found["r"])
    for time, value in zip(found["lag_times"], found["values"], strict=True):
        width = 2 * 3e-3 * time
        exact = 4 * np.pi * r**2 * np.exp(-(r**2) / 2 / width)
        exact /= (2 * np.pi * width) ** 1.5
        assert np.sum(np.abs(value - exact)) * 0.01 < 0.15
    analyze("van-hove", prefix, "Na-Cl", "--distinct", "--r-max", 1, *times)
    found = json.loads(out.read_text())["results"]["Na-Cl"]
    expected = analysis.van_hove_distinct(
        trajectory, "element Na", "element Cl", [1, 10], r_max=1.0
    )
    np.testing.assert_allclose(found["values"], expected.values, rtol=1e-6)

    out, figure = tmp_path / "n.json", tmp_path / "n.png"
    analyze("non-gaussian", prefix, "--json", out, "--plot", figure)
    results = json.loads(out.read_text())["results"]
    assert set(results) == {"Na", "Cl"}
    found = results["Na"]
    value, error = np.array(found["values"]), np.array(found["error"])
    assert np.mean(np.abs(value) < 3 * error) > 0.9


def test_conductivity_of_ions_that_walk_alone(walk, tmp_path, capsys):
    prefix, trajectory = walk
    out, figure = tmp_path / "c.json", tmp_path / "c.png"
    options = ["--reference", "cell", "--json", out, "--plot", figure]
    analyze("conductivity", prefix, "--charges", "Na=1,Cl=-1", *options)
    expected = analysis.conductivity(
        trajectory, {"Na": 1, "Cl": -1}, 300, reference=None
    )
    content = json.loads(out.read_text())
    result, rows = content["results"]["all"], rows_of(out)
    assert result["species"] == ["Na", "Cl"]
    assert result["einstein"]["value"] == pytest.approx(expected.einstein.value)
    unit = 1.602176634e-19**2 * 1e-6 / (1e-27 * 1.380649e-23 * 300)
    exact = unit * 20 / 27 * 8e-3
    for name in ("conductivity", "conductivity, Nernst-Einstein"):
        assert abs(rows["all", name]["value"] - exact) < 3 * rows["all", name]["error"]
    assert rows["Na-Cl", "Onsager coefficient"]["unit"] == "mol²/(J m s)"
    assert "frame of reference: cell." in capsys.readouterr().out

    # From a file of one charge per atom, the same.
    charges = tmp_path / "charges.txt"
    np.savetxt(charges, [1.0] * 20 + [-1.0] * 20)
    options += ["--temperature", 300, "--charges", charges, "--force"]
    analyze("conductivity", f"{prefix}.xtc", f"{prefix}.pdb", "Na", "Cl", *options)
    found = json.loads(out.read_text())["results"]["all"]["einstein"]["value"]
    assert found == pytest.approx(expected.einstein.value)
    assert "Na=1,Cl=-1" in error_of(capsys, "conductivity", prefix, "--charges", "Na")
    wrong = error_of(capsys, "conductivity", prefix, "--charges", "K=1")
    assert "found 'K'" in wrong


def test_charges_of_molecules_by_their_residue(tmp_path):
    """Two bonded atoms are one anion, whose charge its mass spreads."""
    rng = np.random.default_rng(8)
    steps = random_walk(400, 20, 2e-3, rng)
    steps = np.concatenate([steps[:, :10], np.repeat(steps[:, 10:], 2, axis=1)], axis=1)
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for symbols in [["Li"]] * 10 + [["C", "O"]] * 10:
        residue = topology.add_residue("LIT" if symbols == ["Li"] else "TFS", chain)
        atoms = [
            topology.add_atom(symbol, mdtraj.element.get_by_symbol(symbol), residue)
            for symbol in symbols
        ]
        for atom in atoms[1:]:
            topology.add_bond(atoms[0], atom)
    trajectory = make_trajectory(steps, CUBIC, ["Li"] * 10 + ["C", "O"] * 10)
    trajectory.topology = topology
    prefix = write_run(trajectory, tmp_path / "nvt", temperature_k=300)
    out = tmp_path / "c.json"
    options = ["--reference", "cell", "--json", out]
    analyze("conductivity", prefix, "--charges", "Li=1,TFS=-1", *options)
    content = json.loads(out.read_text())["results"]["all"]
    assert content["species"] == ["Li", "TFS"]
    each = np.array(content["self_part"]["value"])
    unit = 1.602176634e-19**2 * 1e-6 / (1e-27 * 1.380649e-23 * 300)
    np.testing.assert_allclose(each, unit * 10 / 27 * 2e-3, rtol=0.2)


def test_bad_input_is_said_in_one_line(gas, tmp_path, capsys):
    prefix, _ = gas
    xtc, pdb = f"{prefix}.xtc", f"{prefix}.pdb"
    missing = str(tmp_path / "missing")
    assert missing in error_of(capsys, "rdf", missing, pdb, "Na-Cl")
    assert "topology after" in error_of(capsys, "rdf", xtc, missing, "Na-Cl")
    assert "pairs such as Na-O, found 'NaCl'" in error_of(capsys, "rdf", prefix, "NaCl")
    for pair, words in (("Na-Xx", "'element Xx' is empty"), ("a b:Na", "selection")):
        assert words in error_of(capsys, "rdf", prefix, pair, "--r-max", 1)
    assert "triplets" in error_of(capsys, "angles", prefix, "Na-Cl")
    assert "r_max" in error_of(capsys, "rdf", prefix, "Na-Cl", "--r-max", 2)
    late = error_of(capsys, "diffusion", prefix, "--start", 100)
    assert "found the last at 39 ps" in late
    assert ".h5" in error_of(capsys, "vacf", prefix)
    assert "CSV" in error_of(
        capsys, "stability", pdb, pdb, "--plot", tmp_path / "x.png"
    )

    (tmp_path / "pt.json").write_text('{"method": "parallel-tempering"}')
    assert "write_temperature" in error_of(capsys, "rdf", tmp_path / "pt", "Na-Cl")
    (tmp_path / "empty.xtc").write_bytes(b"")
    empty = error_of(capsys, "rdf", tmp_path / "empty.xtc", pdb, "Na-Cl")
    assert "expected" in empty and "empty.xtc" in empty
    other = make_trajectory(np.zeros((1, 3, 3)), CUBIC, ["O", "H", "H"])
    other.save_pdb(tmp_path / "other.pdb")
    assert "other.pdb" in error_of(capsys, "rdf", xtc, tmp_path / "other.pdb", "O-H")

    taken = tmp_path / "taken.json"
    taken.write_text("mine")
    for option in ("--json", "--csv"):
        assert "--force" in error_of(capsys, "rdf", prefix, "Na-Cl", option, taken)
    assert taken.read_text() == "mine"
    assert ".png" in error_of(capsys, "rdf", prefix, "Na-Cl", "--plot", "g.foo")
