# SPDX-License-Identifier: MIT
"""Jumps of runs and of series of temperatures, as the command measures them."""

import json
import shutil
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from cli_helpers import check_json
from kmc_helpers import CUBIC, TRICLINIC, solid, walk

from openmm_allegro.cli.main import main
from openmm_allegro.measure.jumps import JumpsSettings
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.measure.series import SeriesSettings, name_rate
from openmm_allegro.report import report
from openmm_allegro.report import series as series_of_page
from openmm_allegro.report.further import further_parts
from openmm_allegro.report.production import make_production
from openmm_allegro.runs.crystal import read_crystal
from openmm_allegro.runs.run import Run, read_run
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.window import Window

pytestmark = pytest.mark.usefixtures("read_here")

STEP = 0.2  # ps
ENERGY, ATTEMPTS = 0.2, 1.0  # eV; 1/ps to each neighbour
KIND = "Li1-Li1, below 1 nm"
RATE = f"rate of jumps of Li, {KIND}"
CIF = """data_cell
_cell_length_a {a}
_cell_length_b {b}
_cell_length_c {c}
_cell_angle_alpha {alpha}
_cell_angle_beta {beta}
_cell_angle_gamma {gamma}
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Li1 Li 0.3 0.3 0.3
Cl1 Cl 0.8 0.8 0.8
"""


def rate_at(kelvin):
    return ATTEMPTS * np.exp(-ENERGY / (8.617333e-5 * kelvin))


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Folder of a series at 500 and 700 K, in a triclinic cell, and its sites."""
    from ase.geometry import cell_to_cellpar

    folder = tmp_path_factory.mktemp("series")
    for number, kelvin in enumerate((700, 500)):
        place = folder / f"{kelvin}K"
        place.mkdir()
        steps = walk(40, 500, rate_at(kelvin), STEP, seed=number + 1)
        trajectory = solid(steps, TRICLINIC, size=5, drift=1e-3, time_step=STEP)
        trajectory.save_xtc(str(place / "1-nvt.xtc"))
        trajectory[0].save_pdb(str(place / "1-nvt.pdb"))
        record = {"temperature_k": kelvin, "ensemble": "nvt", "timestep_fs": 1.0}
        record |= {"steps": 120_000, "completed_steps": 120_000, "seed": 1}
        (place / "1-nvt.json").write_text(json.dumps(record))
        (place / "protocol.json").write_text(json.dumps({"stages": ["1-nvt"]}))
    record = {"temperatures_k": [700, 500], "folders": ["700K", "500K"]}
    (folder / "series.json").write_text(json.dumps(record))
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    cell = dict(zip(names, cell_to_cellpar(10.2 * TRICLINIC), strict=True))
    (folder / "sites.cif").write_text(CIF.format(**cell))
    return folder


def test_the_command_measures_jumps(series, capsys):
    prefix, output = series / "700K" / "1-nvt", series / "jumps.json"
    words = ["analyze", "jumps", str(prefix), "--sites", str(series / "sites.cif")]
    for name in ("plot", "plot-residence", "plot-sites"):
        words += [f"--{name}", str(series / f"{name}.png")]
    words += ["--json", str(output), "--csv", str(series / "jumps.csv")]
    assert main([*words, "--start", "0", "--lengths", "1"]) == 0
    text = capsys.readouterr().out
    assert "Li1-Li1, below 1 nm" in text and "The lattice drifted by 0.58 nm" in text
    check_json(output)
    content = json.loads(output.read_text())
    result = content["results"]["Li"]
    rate, error = result["rates"]["value"][0], result["rates"]["error"][0]
    assert rate == pytest.approx(6 * rate_at(700), abs=3 * error + 0.03 * rate)
    # walkers that do not know of each other
    for name in ("correlation_factor", "haven_ratio"):
        value, error = result[name].values()
        assert value == pytest.approx(1, abs=3 * error + 0.03) and error < 0.2
    squares = (np.linalg.norm(TRICLINIC, axis=1) ** 2).sum() / 3
    value, error = result["tracer_diffusion"].values()
    assert value == pytest.approx(rate_at(700) * squares * 1e-2, abs=3 * error)
    assert len(result["sites"]["fractional"]) == 125
    assert result["host_distance"] < 0.01 and result["inside"] > 0.9
    assert (series / "plot-sites.png").stat().st_size > 10_000
    header, first, *_ = (series / "jumps.csv").read_text().splitlines()
    assert header == "item,time (ps),stays that last,error"
    assert first.startswith("Li Li1,0,1")


def test_pairs_that_jump_together_have_half_the_haven_ratio():
    steps = walk(60, 500, 0.1, STEP, seed=3, together=2)
    trajectory = solid(steps, CUBIC, size=5, time_step=STEP)
    source = Source([Run("kmc")], Window(start=0.0))
    source.frames = lambda *words, **more: Loaded(trajectory)
    measurement = QUANTITIES["jumps"].compute(
        source, {"Li": "element Li"}, QUANTITIES["jumps"].settings()
    )
    value, error = measurement.results["Li"]["haven_ratio"]
    assert value == pytest.approx(0.5, abs=3 * error) and error < 0.1
    # two ions at each site that is held
    assert any("two sites may count as one" in text for text in measurement.warnings)


class Loaded:
    """A trajectory in memory, as frames of a run."""

    def __init__(self, trajectory):
        self.topology, self._trajectory = trajectory.topology, trajectory

    def __iter__(self):
        return iter([self._trajectory])


@pytest.fixture(scope="module")
def measurement(series):
    settings = SeriesSettings(
        sites=str(series / "sites.cif"),
        lengths=(1.0,),
        start=0.0,
        at=(600.0,),
        blocks=4,
    )
    return QUANTITIES["series"].measure(None, [str(series), "Li"], settings)


def test_a_series_has_the_activation_energy_of_its_rates(measurement):
    rates = measurement.results[RATE]
    value, error = rates["activation_energy_ev"]
    # frames hide some jumps at the higher temperature
    assert value == pytest.approx(ENERGY, abs=3 * error + 0.006) and error < 0.02
    kj, ev = rates["activation_energy"][0], rates["activation_energy_ev"][0]
    assert kj == pytest.approx(96.48533 * ev)
    predicted = rates["predicted"][0]["value"]
    assert predicted == pytest.approx(6 * rate_at(600), rel=0.1)
    tracer = measurement.results["D of Li"]["activation_energy_ev"]
    assert tracer[0] == pytest.approx(ENERGY, abs=3 * tracer[1])
    # σT of D: N e² / (V k), with D's line
    at_700 = measurement.results["700 K"]
    density = 40 / (125 * np.linalg.det(TRICLINIC) * 1e-27)
    exact = density * 1.602176634e-19**2 / (1.380649e-23 * 700) * 1e-4
    ratio = at_700["conductivity"][0] / at_700["charge_diffusion"].value
    assert ratio == pytest.approx(exact, rel=1e-4)
    assert measurement.units[RATE] == "1/ps"
    # sites that a density has shown have no kinds that a reader knows
    assert name_rate("Li", "site-site") == "rate of jumps of Li"
    assert name_rate("Li", "site-site, 0.30 nm") == "rate of jumps of Li, 0.30 nm"


def test_pages_show_jumps_and_series(series, measurement, tmp_path, monkeypatch):
    asked = []
    made = SimpleNamespace(measure=lambda *words: asked.append(words) or measurement)
    monkeypatch.setattr(series_of_page, "QUANTITY", made)
    # of all frames they take seconds; tests/report/test_series_curves.py has them
    monkeypatch.setattr(series_of_page, "curves_section", lambda runs: None)
    page = report(series, jumps=JumpsSettings(sites=str(series / "sites.cif")))
    assert page == series / "report.html"
    assert asked[0][2].sites == str(series / "sites.cif")
    text = page.read_text()
    for words in ("Activation energies", "By temperature", "500 K", "700 K"):
        assert words in text
    assert f"--sites {series / 'sites.cif'}" in text
    with pytest.raises(ValueError, match=r"with charges.*found the series"):
        report(series, overwrite=True, charges="Li=1")
    # the page of one run shows them where ions move through a lattice
    run = read_run(series / "500K" / "1-nvt")
    sites = JumpsSettings(sites=str(series / "sites.cif"), lengths=(1.0,))
    production = make_production(run, tmp_path, start=0.0, asked={"jumps": sites})
    parts = "".join(map(str, further_parts(production, "kinetics")))
    assert KIND in parts and "<figure" in parts


@pytest.mark.parametrize("name", ["POSCAR", "sites.pdb", "sites.cif"])
def test_sites_of_other_files(series, tmp_path, name):
    known = read_crystal(series / "sites.cif")
    atoms = ase.Atoms(
        known.symbols, cell=10 * known.cell, scaled_positions=known.fractional, pbc=True
    )
    ase.io.write(tmp_path / name, atoms)
    read = read_crystal(tmp_path / name)
    np.testing.assert_allclose(read.fractional, known.fractional, atol=1e-3)
    lengths = [np.linalg.norm(x.cell, axis=1) for x in (read, known)]
    np.testing.assert_allclose(*lengths, atol=1e-3)
    assert list(read.symbols) == ["Li", "Cl"]


def test_what_is_no_series_is_refused(series, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="folder of a series of temperatures"):
        QUANTITIES["series"].measure(None, [str(tmp_path)])
    (tmp_path / "series.json").write_text((series / "series.json").read_text())
    with pytest.raises(ValueError, match="two temperatures at least"):
        QUANTITIES["series"].measure(None, [str(tmp_path)])
    prefix = str(series / "700K" / "1-nvt")
    assert main(["analyze", "jumps", prefix, "--cages", "X"]) == 2
    assert "expected --sites FILE with --cages" in capsys.readouterr().err
    assert main(["analyze", "jumps", prefix, "Li", "--host", "all"]) == 2
    assert "without common atoms" in capsys.readouterr().err


def test_a_series_too_short_to_measure_has_a_page(series, tmp_path):
    path = report(series, tmp_path / "page.html", start=99.5)
    page = path.read_text()
    assert "500 K" in page and "700 K" in page
    assert "Not computed: " in page and "--start 99.5" in page
    assert "Radial distribution functions of" in page


def test_a_series_tells_temperatures_that_thermostats_did_not_reach(series, tmp_path):
    folder = tmp_path / "hot"
    shutil.copytree(series, folder)
    rng = np.random.default_rng(1)
    for kelvin in (500, 700):
        time = np.arange(0.0, 100.0, STEP)
        kinetic = 15.0 * (kelvin + 60.0 + 5.0 * rng.normal(size=len(time)))
        table = {
            "Step": (1000 * time).astype(int),
            "Time (ps)": time,
            "Potential Energy (kJ/mole)": -kinetic,
            "Kinetic Energy (kJ/mole)": kinetic,
            "Total Energy (kJ/mole)": 0.0 * time,
            "Temperature (K)": kinetic / 15.0,
        }
        lines = [",".join(f'"{name}"' for name in table)]
        lines += [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
        (folder / f"{kelvin}K" / "1-nvt.csv").write_text("\n".join(lines) + "\n")
    settings = SeriesSettings(sites=str(series / "sites.cif"))
    measured = QUANTITIES["series"].measure(None, [str(folder), "Li"], settings)
    means = [row.value for row in measured.rows if row.quantity == "temperature"]
    np.testing.assert_allclose(means, [560.0, 760.0], atol=2.0)
    assert sum("K of the thermostat" in text for text in measured.warnings) == 2
