# SPDX-License-Identifier: MIT
"""The solid electrolytes of systems/: crystals as they should be, fair comparisons."""

import json
import shutil
import sys
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from openmm import app

from openmm_allegro import load_model

mdtraj = pytest.importorskip("mdtraj")
pytest.importorskip("scipy")

from openmm_allegro.analysis.solids.host import HostPaths  # noqa: E402
from openmm_allegro.analysis.solids.placement import place_sites  # noqa: E402
from openmm_allegro.analysis.solids.sites import SiteTree  # noqa: E402
from openmm_allegro.runs.crystal import read_crystal  # noqa: E402

SYSTEMS = Path(__file__).parents[2] / "systems"


def coordination(atoms, center, neighbor, radius):
    """Neighbours of each atom of one element within a radius (Å)."""
    i, j = neighbor_list("ij", atoms, radius)
    symbols = np.array(atoms.get_chemical_symbols())
    chosen = (symbols[i] == center) & (symbols[j] == neighbor)
    return np.bincount(i[chosen], minlength=len(atoms))[symbols == center]


def free_anions(atoms):
    """Symbols of the anions that no P holds, those on 4a and those on 4c apart."""
    symbols = np.array(atoms.get_chemical_symbols())
    distances = atoms.get_all_distances(mic=True)[:, symbols == "P"].min(1)
    free = np.isin(symbols, ["S", "Cl"]) & (distances > 3)
    # a/2 from P on 4a, sqrt(3) a/4 on 4c
    return symbols[free & (distances > 4.7)], symbols[free & (distances < 4.7)]


@pytest.mark.parametrize("disorder", [0.0, 0.5, 1.0])
def test_argyrodite(load_script, disorder):
    atoms = load_script("li6ps5cl", "build").build(disorder, seed=3)
    assert atoms.get_chemical_formula() == "Cl32Li192P32S160"
    assert (coordination(atoms, "P", "S", 2.2) == 4).all()
    on_a, on_c = free_anions(atoms)
    assert len(on_a) == len(on_c) == 32
    assert (on_a == "S").sum() == (on_c == "Cl").sum() == 32 * disorder
    assert neighbor_list("d", atoms, 2.5).min() > 2.0
    distances = neighbor_list("d", atoms, {("Li", "Li"): 2.2})
    assert len(distances) == 0  # one Li for each pair of 48h sites


def test_argyrodite_seeds(load_script):
    build = load_script("li6ps5cl", "build").build
    # test_committed_boxes_are_the_scripts has the same seed twice
    assert build(0.5, 1) != build(0.5, 2)
    with pytest.raises(ValueError, match="disorder from 0 to 1, found 50"):
        build(50)


def test_small_argyrodite_and_its_sites(load_script):
    """The dodecahedron is the same crystal; all its Li are on sites of the CIF."""
    atoms = load_script("li6ps5cl", "build").build(0.5, small=True)
    assert atoms.get_chemical_formula() == "Cl8Li48P8S40"
    assert (coordination(atoms, "P", "S", 2.2) == 4).all()
    crystal = read_crystal(SYSTEMS / "li6ps5cl" / "sites.cif")
    symbols = np.array(atoms.get_chemical_symbols())
    host = symbols != "Li"
    fractional = atoms.get_scaled_positions()
    numbers = np.arange(len(atoms))
    cell = np.array(atoms.cell) / 10
    paths = HostPaths(
        fractional[None, ~host],
        *(numbers[~host], numbers[host], fractional[host]),
        *(0.0, 0.0, cell, 0.1),
    )
    sites, distance = place_sites(crystal, "Li", paths, symbols[host], cage="Cl4c")
    assert len(sites.kinds) == 96 and distance < 1e-3
    inside = np.round(sites.cages % 1, 3) % 1
    _, numbers = np.unique(inside, axis=0, return_counts=True)
    assert len(numbers) == 8 and (numbers == 12).all()
    at, distances, _ = SiteTree(sites).nearest(paths.fractional[0])
    assert distances.max() < 1e-3 and len(set(at)) == 48


def test_lithium_phosphate(load_script):
    atoms = load_script("li3po4", "build").build()
    assert atoms.get_chemical_formula() == "Li48O64P16"
    np.testing.assert_allclose(atoms.cell.lengths(), (12.23, 10.4788, 9.7108))
    assert (coordination(atoms, "P", "O", 1.8) == 4).all()
    assert (coordination(atoms, "Li", "O", 2.3) == 4).all()
    assert (coordination(atoms, "O", "P", 1.8) == 1).all()


@pytest.mark.parametrize("cells", [(1, 1, 1), (2, 1, 1)])
def test_lgps(load_script, cells):
    build = load_script("lgps", "build").build
    atoms = build(cells, seed=2)
    n = np.prod(cells)
    assert dict(atoms.symbols.formula.count()) == {
        "Li": 20 * n,
        "Ge": 2 * n,
        "P": 4 * n,
        "S": 24 * n,
    }
    for element in ("P", "Ge"):
        assert (coordination(atoms, element, "S", 2.2) == 4).all()
    assert (coordination(atoms, "Li", "S", 2.75) >= 3).all()
    closest = neighbor_list("d", atoms, {("Li", "Li"): 2.2, ("Li", "P"): 2.6})
    assert len(closest) == 0
    assert build(cells, 1) == build(cells, 1)
    assert build(cells, 1) != build(cells, 2)


def test_lgps_relaxes_to_the_lowest_energies_of_its_training_data(load_script):
    """-4.312 to -4.310 eV an atom for the ten lowest of 2,100 frames."""
    from ase.optimize import LBFGS

    from openmm_allegro.interop.ase import AllegroCalculator

    atoms = load_script("lgps", "build").build()
    atoms.calc = AllegroCalculator(SYSTEMS / "lgps" / "lgps.safetensors")
    LBFGS(atoms, logfile=None).run(fmax=0.1, steps=100)
    assert atoms.get_potential_energy() / len(atoms) == pytest.approx(-4.31, abs=0.01)
    volume = atoms.get_volume() / len(atoms)
    assert 19.6 < volume < 31.9  # Å³, of the training data
    for element in ("P", "Ge"):
        assert (coordination(atoms, element, "S", 2.5) == 4).all()


@pytest.mark.parametrize("cells", [(0, 1, 1), (1, 1), (1.5, 1, 1)])
def test_lgps_of_no_cells(load_script, cells):
    with pytest.raises(ValueError, match="three whole numbers of cells above 0, found"):
        load_script("lgps", "build").build(cells)


@pytest.mark.parametrize("drift", [(0.03, -0.02, 0.01), (0.3, 0.2, 0.45)])
def test_distance_from_sites_of_a_crystal(load_script, drift):
    figures = load_script("li3po4", "figures")
    crystal = mdtraj.load(SYSTEMS / "li3po4" / "crystal.pdb")
    moved = mdtraj.load(SYSTEMS / "li3po4" / "crystal.pdb")
    random = np.random.default_rng(0)
    chosen = moved.topology.select("element O")
    moved.xyz[0, chosen] = moved.xyz[0, random.permutation(chosen)]
    moved.xyz += drift  # all together
    moved.xyz[0, moved.topology.select("element Li")[:12], 2] += 0.12
    moved.xyz += random.normal(0, 0.002, moved.xyz.shape)
    moved.xyz[0] += moved.unitcell_lengths[0] * random.integers(-1, 2, (128, 3))
    for element, rms, part in (("P", 0, 1), ("O", 0, 1), ("Li", 1.2 / 2, 0.75)):
        found = figures.on_sites(moved, crystal)[element]
        rattled = np.hypot(rms, 0.02 * np.sqrt(3))
        assert found == pytest.approx((rattled, part), abs=0.02)


def test_committed_boxes_are_the_scripts(load_script):
    for folder, name, arguments in (
        ("li3po4", "crystal", ()),
        ("li6ps5cl", "data_50", (0.5,)),
        ("li6ps5cl", "aimd_0", (0.0, 1, 10.1562)),
        ("li6ps5cl", "aimd_50", (0.5, 1, 10.1562)),
        ("li6ps5cl", "aimd_100", (1.0, 1, 10.1562)),
        ("li6ps5cl", "small_50", (0.5, 1, 9.925213, True)),
    ):
        atoms = load_script(folder, "build").build(*arguments)
        pdb = app.PDBFile(str(SYSTEMS / folder / f"{name}.pdb"))
        found = 10 * np.array(pdb.positions._value)
        np.testing.assert_allclose(found, atoms.get_positions(), atol=6e-4)
        symbols = [a.element.symbol for a in pdb.topology.atoms()]
        assert symbols == atoms.get_chemical_symbols()


def test_small_model_has_no_more_weights_than_the_papers():
    """9,058, one layer, one even feature, l_max 1, 4 Å, envelope exponent 48."""
    folder = SYSTEMS / "li3po4"
    model = load_model(folder / "small.safetensors")
    config = model.config
    assert sum(p.numel() for p in model.energy.parameters()) <= 9058
    assert (config.num_layers, config.num_tensor_features, config.l_max) == (1, 1, 1)
    assert (config.cutoff, config.envelope_p, config.parity) == (4.0, 48.0, False)
    metrics = json.loads((folder / "small_metrics.json").read_text())
    assert metrics["forces_mae"] <= 75


def test_split_of_the_glass_is_in_time(load_script, monkeypatch, tmp_path):
    prepare = load_script("li3po4", "prepare")
    monkeypatch.setattr(prepare, "HERE", tmp_path)
    frame = ase.Atoms("Li", cell=[4] * 3, pbc=True)

    def frames(source, times):
        for time in times:
            frame.info = {"src": source, "time_fs": time}
            yield frame.copy()

    glass = [*frames("melt3000K", range(20, 1420, 20))]
    glass += frames("quench600K", range(10, 5440, 10))
    ase.io.write(tmp_path / "glass.extxyz", glass)
    ase.io.write(tmp_path / "crystal.extxyz", [*frames("rattle", [0] * 3)])
    monkeypatch.setattr(sys, "argv", ["prepare.py", str(tmp_path)])
    prepare.main()
    times = {}
    for part in ("train", "validation", "test"):
        read = ase.io.read(tmp_path / "data" / f"{part}.extxyz", ":")
        times[part] = [a.info["time_fs"] for a in read if a.info["src"] == "quench600K"]
    assert max(times["train"]) < min(times["validation"]) - 50
    assert max(times["validation"]) < min(times["test"]) - 100
    assert len(times["test"]) == 224


def test_difference_of_curves(load_script):
    solids = load_script("li3po4", "solids")
    x = np.linspace(0, 10, 1001)
    found = solids.difference(x, np.full_like(x, 1.5), np.full_like(x, 2.0))
    assert found["integral"] == pytest.approx(0.5 * 10.01)
    assert found["relative"] == pytest.approx(0.25)
    assert solids.difference(x, np.sin(x), np.sin(x))["integral"] == 0


def test_msd_of_a_random_walk_through_boundaries(load_script):
    solids = load_script("li3po4", "solids")
    random = np.random.default_rng(0)
    n_frames, n_atoms, step = 2000, 50, 0.01  # nm a frame and direction
    paths = np.cumsum(random.normal(0, step, (n_frames, n_atoms, 3)), axis=0)
    paths += 10 * random.random(n_atoms)[:, None]
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for index in range(n_atoms + 1):
        element = mdtraj.element.lithium if index < n_atoms else mdtraj.element.iodine
        topology.add_atom("X", element, topology.add_residue("X", chain))
    # an atom that stays; its mass hardly lets the others move the centre of mass
    paths = np.concatenate((paths, np.zeros((n_frames, 1, 3))), axis=1)
    trajectory = mdtraj.Trajectory(
        paths % 1.0,
        topology,
        time=0.1 * np.arange(n_frames),
        unitcell_lengths=np.ones((n_frames, 3)),
        unitcell_angles=np.full((n_frames, 3), 90.0),
    )
    lags, msd, error = solids.run_msd(trajectory, "element Li", 5.0, 5)
    assert lags[-1] == pytest.approx(5.0) and msd[0] < 1e-12
    moved = n_atoms * 6.94 / (n_atoms * 6.94 + 126.9)
    # in the frame of the centre of mass, in Å²
    factor = 1 - 2 * moved / n_atoms + moved**2 / n_atoms
    expected = 3 * (100 * step**2) * factor * np.arange(51)
    assert (abs(msd - expected)[1:] < 4 * error[1:] + 0.01 * expected[1:]).all()
    once = solids.run_msd(trajectory, "element Li", 5.0, blocks=1)
    assert np.isnan(once[2]).all()
    with pytest.raises(ValueError, match=r"stretches longer than 50.0 ps, found some"):
        solids.run_msd(trajectory, "element Li", 50.0, 5)


def write_run(folder, prefix, atoms, times, seed, step=0.003):
    """A trajectory of atoms that rattle, Li that walks, as a run leaves it."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    solids = sys.modules["solids"]
    solids.write_pdb(atoms, folder / f"{prefix}.pdb")
    walks = random.normal(0, step, (len(times), len(atoms), 3)).cumsum(0)
    still = np.array(atoms.get_chemical_symbols()) != "Li"
    walks[:, still] = random.normal(0, 0.005, walks[:, still].shape)
    mdtraj.Trajectory(
        atoms.get_positions() / 10 + walks,
        mdtraj.Topology.from_openmm(solids.topology_of(atoms)),
        time=times,
        unitcell_lengths=np.tile(atoms.cell.lengths() / 10, (len(times), 1)),
        unitcell_angles=np.full((len(times), 3), 90.0),
    ).save_xtc(str(folder / f"{prefix}.xtc"))


def test_figures_of_li6ps5cl(load_script, monkeypatch, tmp_path):
    """A run that is the reference differs by nothing; missing ones are left out."""
    build = load_script("li6ps5cl", "build")
    figures = load_script("li6ps5cl", "figures")
    monkeypatch.setattr(figures, "OUTPUT", tmp_path)
    monkeypatch.setattr(figures, "HERE", tmp_path)
    times = 0.1 * np.arange(150)
    for key in figures.NVT[:1] + figures.NVT[3:6]:
        atoms = build.build(key[1] / 100)
        name = figures.nvt_name(*key)
        step = 0.003 * (key[0] / 500) ** 2
        write_run(tmp_path / name, "2-nvt", atoms, times, key[0], step)
    name = f"npt_{figures.NPT[0][0]}K_{figures.NPT[0][1]:.0f}bar"
    write_run(tmp_path / name, "2-npt", build.build(0.5), times, 1)
    run = figures._load(figures.nvt_name(*figures.NVT[0]), "nvt")
    curves = [
        figures.rdf(run, *(f"element {x}" for x in pair.split("-")), r_max=0.9)
        for pair in figures.PAIRS
    ]
    table = np.transpose([10 * curves[0].r, *(c.g for c in curves)])
    lags, msd, _ = figures.run_msd(run, "element Li", 7.0, 1)
    moved = np.transpose([np.arange(len(lags)), msd + 0.5, np.full(len(lags), 1.0)])
    for disorder in (0, 50, 100):
        stem = tmp_path / f"aimd_Li6PS5Cl_{disorder}p"
        header = "r_A," + ",".join(f"g_{pair}" for pair in figures.PAIRS)
        np.savetxt(f"{stem}_rdf.csv", table, delimiter=",", header=header)
        np.savetxt(f"{stem}_Li_msd.csv", moved, delimiter=",", header="lag,msd,std")
    rows = [f"{10 * k} {0.002 * 10 * k}" for k in range(501)]
    (tmp_path / "aimd_msd_dft.dat").write_text("dft data\n" + "\n".join(rows) + "\n")
    monkeypatch.setattr(sys, "argv", ["figures.py", "--reference", str(tmp_path)])
    figures.main()
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["g(r) at 500 K"]) == {f"{p}, 50 %" for p in figures.PAIRS}
    assert all(x["relative"] < 1e-3 for x in results["g(r) at 500 K"].values())
    found = results["MSD of Li"]["500 K, 50 %"]["7.0 ps"]
    assert found["aimd_A2"] - found["ours_A2"] == pytest.approx(0.5, abs=2e-3)
    assert found["inside_spread"] is True
    slope = results["MSD of Li"]["600 K, 50 %, slope from 1 to 5 ps"]
    assert slope["aimd_A2_per_ps"] == pytest.approx(2.0, rel=1e-3)
    # a walk of 3 D t: 1.5 step² / interval in one direction's terms
    d = results["diffusion"]["500 K, 50 %, cell of the data"]["D_1e-5_cm2_s"]
    assert d[0] == pytest.approx(0.5 * 0.003**2 / 0.1 * 1e3, abs=5 * d[1])
    assert results["diffusion"]["activation_energy_eV"][0] > 0
    assert results["lattice"][0]["a_A"] == pytest.approx(9.925, abs=1e-3)
    for name in ("rdf", "msd", "arrhenius"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


_GLASS = []  # what is written the first time


def write_glass(atoms, path):
    """Write atoms that rattle, in place of the teacher's trajectory."""
    if not _GLASS:
        random, frames = np.random.default_rng(9), []
        for index in range(543):
            frame = atoms.copy()
            frame.positions += random.normal(0, 0.05, frame.positions.shape)
            frame.info = {"src": "quench600K", "time_fs": 10 * (index + 1)}
            frames.append(frame)
        ase.io.write(path, frames)
        _GLASS.append(path.read_bytes())
    path.write_bytes(_GLASS[0])


def test_longer_melts_of_li3po4(load_script, monkeypatch, tmp_path):
    """Tetrahedra, walks and energies as they were made; short runs are left out."""
    atoms = load_script("li3po4", "build").build()
    melts = load_script("li3po4", "melts")
    shutil.copy(SYSTEMS / "li3po4" / "small.safetensors", tmp_path)
    monkeypatch.setattr(melts, "HERE", tmp_path)
    runs = tmp_path / "runs"
    command = ["melts.py", "--teacher", str(tmp_path), "--runs", str(runs)]
    monkeypatch.setattr(sys, "argv", command)
    write_glass(atoms, tmp_path / "glass.extxyz")
    with pytest.raises(SystemExit, match=r"expected runs in .*runs, found none"):
        melts.main()
    atoms.calc = melts.AllegroCalculator(tmp_path / "small.safetensors")
    at_rest = atoms.get_potential_energy() * melts.EV_TO_KJ_PER_MOL
    higher = at_rest + 0.05 * len(atoms) * melts.EV_TO_KJ_PER_MOL
    for seed, frames in ((1, 700), (2, 300)):
        folder = runs / "small" / f"run_{seed}"
        write_run(folder, "3-nvt", atoms, 0.05 * np.arange(1, frames + 1), seed)
        # hot until the frames that count
        energies = [0.0] * 199 + [higher] * (frames - 199)
        rows = ["Potential Energy (kJ/mole)", *map(repr, energies)]
        (folder / "3-nvt.csv").write_text("\n".join(rows) + "\n")
    melts.main()
    found = json.loads((tmp_path / "melts.json").read_text())
    assert list(found) == ["small, run_1"]
    row = found["small, run_1"]
    assert row["angles_O-P-O_a_frame"] == 96
    walk = 3 * (melts.LAG / 0.05) * 0.03**2  # Å²
    assert row["MSD_of_Li_at_10_ps_A2"] == pytest.approx(walk, rel=0.2)
    energy = row["energy_less_crystal_at_rest_eV_per_atom"]
    assert energy == pytest.approx(0.05, abs=1e-4)
    assert row["relative_difference_of_g"] > 0.05
    assert 0 <= row["P_within_1_A_of_crystal"] <= 1


def test_figures_of_li3po4(load_script, monkeypatch, tmp_path):
    build = load_script("li3po4", "build")
    figures = load_script("li3po4", "figures")
    monkeypatch.setattr(figures, "OUTPUT", tmp_path)
    monkeypatch.setattr(figures, "HERE", tmp_path)
    atoms = build.build()
    for seed in (1, 2, 3):
        times = 0.05 * np.arange(750 if seed < 3 else 300)
        folder = tmp_path / "small" / f"run_{seed}"
        write_run(folder, "2-nvt", atoms, times, seed)
    write_glass(atoms, tmp_path / "glass.extxyz")
    monkeypatch.setattr(sys, "argv", ["figures.py", "--teacher", str(tmp_path)])
    figures.main()
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["structure"]["small"]["runs"] == 2  # the third is too short
    tetrahedra = results["structure"]["small"]["O–P–O"]
    assert tetrahedra["relative_at_the_teachers_age"] < 0.15
    assert tetrahedra["relative_to_unseen_frames"] < 0.15
    memory = results["memory of the crystal"]
    assert memory["teacher"]["P"]["part_within_1_A"] == 1  # as write_glass made it
    assert memory["at random"]["P"]["part_within_1_A"] < 0.2
    entries = [k for k in results["Li"]["small"] if k.startswith("MSD at")]
    assert len(entries) == 2
    for name in ("structure", "msd"):
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
