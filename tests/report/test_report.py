# SPDX-License-Identifier: MIT
"""The page about a run: whole, offline, escaped, and true to the analysis."""

import base64
import json
import re

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj")

from analysis_helpers import TRICLINIC, autoregressive, langevin  # noqa: E402
from report_helpers import (  # noqa: E402
    CUBIC,
    Page,
    salt_water,
    walk,
    write_run,
    write_velocities,
)

from openmm_allegro.analysis import (  # noqa: E402
    Survival,
    bond_lengths,
    conductivity,
    diffusion,
    green_kubo_diffusion,
    read_velocities,
)
from openmm_allegro.analysis.structure import rdf  # noqa: E402
from openmm_allegro.analysis.structure.rdf import Histogram  # noqa: E402
from openmm_allegro.cli.main import main  # noqa: E402
from openmm_allegro.measure import shells  # noqa: E402
from openmm_allegro.measure.judgement import judge_contacts  # noqa: E402
from openmm_allegro.measure.measurement import Measurement  # noqa: E402
from openmm_allegro.report import kinetics, report  # noqa: E402
from openmm_allegro.report.html import measured  # noqa: E402
from openmm_allegro.report.kinetics import _thermostat  # noqa: E402
from openmm_allegro.report.production import (  # noqa: E402
    Findings,
    Production,
    make_production,
)
from openmm_allegro.report.structure import structure_section  # noqa: E402
from openmm_allegro.report.viewer import MAX_ATOMS, gather, pack_scene  # noqa: E402
from openmm_allegro.runs.charges import formal_charges  # noqa: E402
from openmm_allegro.runs.energies import (  # noqa: E402
    equilibration,
)
from openmm_allegro.runs.run import read_run  # noqa: E402
from openmm_allegro.runs.species import find_kinds  # noqa: E402

pytestmark = pytest.mark.usefixtures("read_here")
START = 30.0


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A finished run of salt water with velocities, 150 ps."""
    topology = salt_water()
    prefix = write_run(tmp_path_factory.mktemp("runs") / "nvt", walk(topology, 300))
    rng = np.random.default_rng(2)
    _, velocities = langevin(400, topology.n_atoms, 0.002, 0.02, 0.005, rng)
    write_velocities(prefix.with_suffix(".h5"), topology, velocities, 0.005, start=10)
    return prefix


@pytest.fixture(scope="module")
def page(prefix):
    path = report(prefix, start=START)
    assert path == prefix.with_suffix(".html")
    return Page(path.read_text())


def test_page_is_whole_and_needs_no_other_file(page):
    names = [attributes.get("id") for _, attributes in page.elements]
    for tag, attributes in page.elements:
        assert not {"srcset", "action", "data"} & set(attributes)
        if "src" in attributes:
            assert attributes["src"].startswith("data:image/svg+xml;base64,")
        if "href" in attributes:
            href = attributes["href"]
            assert href[1:] in names or href.startswith("data:text/")
        if tag == "img":
            assert len(attributes["alt"]) > 10
    assert not re.search(r"url\(|@import|https?:", "".join(page.styles))
    assert not re.search(r"https?:|import\s*\(|fetch\(", "".join(page.scripts))
    assert sum(tag == "img" for tag, _ in page.elements) >= 10


def test_page_has_the_numbers_of_the_analysis(page, prefix):
    trajectory = mdtraj.load(prefix.with_suffix(".xtc"), top=prefix.with_suffix(".pdb"))
    trajectory = trajectory[trajectory.time >= START]
    for selection in ("element O", "element Na", "element Cl"):
        found = diffusion(trajectory, selection)
        assert measured(found.coefficient, found.error, 1e5) in page.text
    found = conductivity(trajectory, {"Na": 1, "Cl": -1}, 300.0)
    assert measured(*found.einstein) in page.text
    assert measured(*found.nernst_einstein) in page.text
    assert "Charges are formal ones" in page.text
    assert f"{bond_lengths(trajectory).longest.max():.4f}" in page.text
    fast = read_velocities(prefix.with_suffix(".h5"))
    oxygen = fast.values[:, trajectory.topology.select("element O")]
    found = green_kubo_diffusion(oxygen, fast.time_step, max_lag=39 * fast.time_step)
    assert measured(*found.coefficient, 1e5) in page.text


def test_figures_and_tables_can_be_saved(page, prefix):
    """Tables with all digits and units; figures by a script from the page's own."""
    links = [a for _, a in page.elements if a.get("class", "").startswith("download")]
    images = sum(tag == "img" for tag, _ in page.elements)
    assert sum("href" not in a for a in links) == images
    tables = [
        base64.b64decode(a["href"].partition(",")[2]).decode().splitlines()
        for a in links
        if a.get("download", "").endswith(".csv")
    ]
    assert len(tables) == 1 + sum(tag == "table" for tag, _ in page.elements)
    species = "species,number,D (10⁻⁵ cm²/s),error of D (10⁻⁵ cm²/s)"
    (rows,) = [rows for rows in tables if rows[0].startswith(species)]
    trajectory = mdtraj.load(prefix.with_suffix(".xtc"), top=prefix.with_suffix(".pdb"))
    found = diffusion(trajectory[trajectory.time >= START], "element Na")
    (row,) = [row.split(",") for row in rows if row.startswith("Na,")]
    saved = np.array(row[2:4], dtype=float)
    np.testing.assert_allclose(
        saved, [1e5 * found.coefficient, 1e5 * found.error], rtol=1e-12
    )
    assert ["Temperature", "300 K"] in [row.split(",") for row in tables[0]]


def test_page_says_what_was_run_and_why_parts_are_missing(page):
    assert "12 water · 4 Na · 4 Cl" in page.text
    assert f"from {START:g} ps on (as asked)" in page.text
    assert "--start 30" in page.text
    assert "D of Na, Cl is of fewer than 10 particles" in page.text
    # Molecules that walk at random have no shells.
    assert "Not computed: expected" in page.text
    assert "found no clear" in page.text


def test_frames_of_the_viewer_decode_to_the_positions(page, prefix):
    (content,) = [s for s in page.scripts if s.lstrip().startswith("{")]
    scene = json.loads(content)
    trajectory = mdtraj.load(prefix.with_suffix(".xtc"), top=prefix.with_suffix(".pdb"))
    frames = np.isin(np.round(trajectory.time, 4), np.round(scene["times"], 4))
    trajectory = trajectory[frames]
    numbers = np.frombuffer(base64.b64decode(scene["positions"]), dtype="<i2")
    found = numbers.reshape(trajectory.xyz.shape) * scene["scale"]
    cells = np.array(scene["cells"])
    found = found + 0.5 * cells.sum(axis=1)[:, None]
    cells_apart = (found - trajectory.xyz) @ np.linalg.inv(cells)
    apart = (cells_apart - np.round(cells_apart)) @ cells
    # Half a step of the integers, and what float32 makes of paths of some nm.
    assert np.abs(apart).max() < 0.5 * scene["scale"] + 3e-6
    first, second = np.array(scene["bonds"]).T
    bonds = np.linalg.norm(found[:, first] - found[:, second], axis=-1)
    np.testing.assert_allclose(bonds, 0.0957, atol=3e-3)  # XTC has 1e-3 nm
    assert scene["scale"] < 1e-4


@pytest.mark.parametrize("cell", [CUBIC, TRICLINIC], ids=["cubic", "triclinic"])
def test_molecules_of_the_viewer_are_whole_and_centred_in_the_cell(cell):
    trajectory = walk(salt_water(), 20, cell, step=0.3)
    # Wrapped atom by atom, as some programs write them.
    inverse = np.linalg.inv(cell)
    wrapped = trajectory.xyz - np.floor(trajectory.xyz @ inverse) @ cell
    trajectory.xyz = wrapped.astype(np.float32)
    cells = np.broadcast_to(cell, (20, 3, 3))
    kinds = find_kinds(trajectory.topology)
    found = gather(trajectory, kinds, cells)
    for kind in kinds:
        centers = found[:, np.array(kind.molecules)].mean(axis=2) @ inverse
        assert centers.min() > -1e-5 and centers.max() < 1 + 1e-5
    waters = found[:, np.array(kinds[0].molecules)]
    bonds = np.linalg.norm(waters[:, :, 1:] - waters[:, :, :1], axis=-1)
    np.testing.assert_allclose(bonds, 0.0957, atol=1e-3)


def test_page_of_frames_without_a_cell_says_what_needs_one(tmp_path, undrawn):
    trajectory = walk(salt_water(), 60)
    trajectory.unitcell_vectors = None
    text = Page(report(write_run(tmp_path / "run", trajectory)).read_text()).text
    reason = "Not computed: expected a trajectory with a unit cell, found none"
    assert f"Diffusion {reason}" in text and f"Structure factor {reason}" in text


def test_large_systems_are_thinned_for_the_viewer():
    trajectory = walk(salt_water(3000, 5), 3)
    scene, said = pack_scene(trajectory)
    assert len(scene["elements"]) <= MAX_ATOMS
    assert "1,663 of 3,000 water" in said
    shown = [scene["kinds"][i][0] for i in scene["elements"]]
    assert shown.count("Na") == shown.count("Cl") == 5
    assert shown.count("H") == 2 * shown.count("O")
    assert len(json.dumps(scene)) < 4_000_000


def test_minimum_beyond_second_neighbours_is_no_shell(tmp_path):
    """Neighbours at r and 1.7 r without a gap between them: as O–O of hot water."""
    rng = np.random.default_rng(0)
    edges = np.linspace(0, 0.9, 181)
    r = 0.5 * (edges[1:] + edges[:-1])
    g = np.where(r < 0.3, np.exp(-(((r - 0.3) / 0.02) ** 2)) * 2.5, 1.0)
    g += np.where(r >= 0.3, 1.5 * np.exp(-(((r - 0.3) / 0.04) ** 2)), 0.0)
    g -= np.where((r > 0.5) & (r < 0.7), 0.3 * np.sin((r - 0.5) * np.pi / 0.2), 0.0)
    ideal = np.diff(edges**3)[None].repeat(10, axis=0) * 1e6
    counts = rng.poisson(np.maximum(ideal * g, 0))
    found = Histogram(edges, counts, ideal, np.full(10, 100.0))
    with pytest.raises(ValueError, match="beyond second neighbours"):
        shells.first_shell(found)
    gap = np.maximum(g - np.exp(-(((r - 0.38) / 0.03) ** 2)), 0.1)
    found = found._replace(counts=rng.poisson(np.maximum(ideal * gap, 0)))
    assert 0.35 < shells.first_shell(found).r_max < 0.42


@pytest.mark.parametrize(("edge", "r_max"), [(2.0, 1.0), (4.0, 1.5)])
def test_pairs_are_counted_to_half_the_box_or_the_bound(
    edge, r_max, tmp_path, monkeypatch
):
    """All pairs of a large system would take minutes."""
    asked = []

    def count(source, groups, r_max, bin_width, **more):
        asked.extend(set(r_max))
        raise ValueError("expected nothing more")

    monkeypatch.setattr(rdf, "histograms", count)
    prefix = write_run(tmp_path / "nvt", walk(salt_water(3, 1), 3, np.eye(3) * edge))
    production = make_production(read_run(prefix), tmp_path, start=0.0)
    page = structure_section(production, Findings())
    assert asked and asked == [pytest.approx(r_max)] * len(asked)
    assert "Not computed: expected nothing more" in page


@pytest.mark.parametrize(("edge", "cubic"), [(3.0, True), (3.03, False)])
def test_the_measurements_decide_what_is_cubic_and_neutral(
    edge, cubic, tmp_path, undrawn
):
    cell = np.diag([3.0, 3.0, edge])
    prefix = write_run(tmp_path / "nvt", walk(salt_water(20, 4), 200, cell))
    charges = None if cubic else "Na=1,Cl=-0.9"
    production = make_production(read_run(prefix), tmp_path, charges=charges, start=0.0)
    (label, result), *_ = production.measure("diffusion").results.items()
    assert (result["box_length"] is not None) == cubic, label
    assert production.measure("conductivity").results["all"]["neutral"] == cubic
    findings = Findings()
    page = kinetics.kinetics_section(production, findings)
    assert ("In an infinite one it would be larger" in page) == cubic
    assert ("no correction for its size is made" in page) != cubic
    assert any("add up to" in text for _, text in findings.alerts) != cubic


def test_survival_with_hardly_a_break_is_not_drawn(monkeypatch):
    """Its error would hide the others; that what is left of C(t) is told stays."""
    results = {
        label: dict.fromkeys(Survival._fields, 0.0)
        | {
            "lifetime": (1.0, 0.1),
            "residence_time": (2.0, 0.1),
            "remaining": 0.2,
            "lower_bound": True,
            "n_breaks": breaks,
            "lag_times": np.arange(3.0),
            "radii": (0.25, 0.33),
        }
        for label, breaks in {"Na-O": 50, "Na-Cl": 3}.items()
    }
    few = {name: results["Na-Cl"][name] for name in Survival._fields}
    drawn = []
    monkeypatch.setattr(kinetics, "figure", lambda *a: drawn.append(a[2]) or "")
    judged = judge_contacts("Na-Cl", Survival(**few))
    measured = {"survival": Measurement([], results, {}, warnings=judged)}
    production = Production(None, None, None, None, measured=measured)
    text = kinetics._residence(production)
    assert len(drawn) == 1 and "Na–O" in drawn[0] and "Na–Cl" not in drawn[0]
    assert text.count("above 2.0") == 2 and "Na–Cl: 3 breaks tell little" in text


def test_existing_output_and_missing_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no .*nothing\.json and no folder"):
        report(tmp_path / "nothing")
    prefix = write_run(tmp_path / "nvt")
    with pytest.raises(
        FileNotFoundError, match=r"expected protocol\.json.* give one: nvt"
    ):
        report(tmp_path)
    (tmp_path / "nvt.html").write_text("kept")
    with pytest.raises(FileExistsError, match="found one"):
        report(prefix)
    assert (tmp_path / "nvt.html").read_text() == "kept"
    assert report(prefix, tmp_path / "new" / "page.html").is_file()
    with pytest.raises(FileExistsError, match=r"a folder at .*nvt\.html, found a file"):
        report(prefix, tmp_path / "nvt.html" / "page.html")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"expected a JSON record in .*bad\.json"):
        report(tmp_path / "bad")


def test_charges_that_do_not_fit_are_an_error(tmp_path):
    prefix = write_run(tmp_path / "nvt", walk(salt_water(3, 1), 12))
    message = r"expected charges of .*molecules \(water, Na, Cl\), found 'K'"
    with pytest.raises(ValueError, match=message):
        report(prefix, charges={"K": 1})


def test_stochastic_thermostats_slow_motion():
    assert _thermostat({"integrator": "nose-hoover"}) is None
    assert "baoab slows motion" in str(_thermostat({"integrator": "baoab"}))
    record = {"integrator": "new", "stochastic_thermostat": True}
    assert "new slows motion" in str(_thermostat(record))
    assert _thermostat(record | {"stochastic_thermostat": False}) is None


def test_formal_charges_must_cancel():
    topology = salt_water(2, 2)
    assert formal_charges(find_kinds(topology)) == {"Na": 1, "Cl": -1}
    topology = topology.subset(range(topology.n_atoms - 1))
    with pytest.raises(ValueError, match="found a sum of \\+1"):
        formal_charges(find_kinds(topology))


def test_equilibration_leaves_out_what_relaxes():
    rng = np.random.default_rng(0)
    noise = autoregressive(2000, 3, rng)
    assert equilibration(noise) < 0.2
    times = np.arange(2000)
    assert 0.2 < equilibration(noise + 30 * np.exp(-times / 150)) < 0.5


def test_command(tmp_path, capsys):
    prefix = write_run(tmp_path / "nvt", model=["a.safetensors", "b.safetensors"])
    output = tmp_path / "page.html"
    words = ["report", str(prefix), "--output", str(output), "--charges", "Na=1,Cl=-1"]
    assert main(words) == 0
    assert str(output) in capsys.readouterr().out
    text = Page(output.read_text()).text
    assert "a.safetensors, b.safetensors" in text
    assert "--charges Na=1,Cl=-1" in text
    assert main(words) == 2
    assert "expected no file yet" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "--charges", "Na"])
