# SPDX-License-Identifier: MIT
"""g(r) and mean square displacements of a series' page, by temperature."""

import base64
import re
from types import SimpleNamespace

import pytest

pytest.importorskip("mdtraj")

from report_helpers import salt_water, walk, write_run

from openmm_allegro.measure.measurement import Measurement, Row
from openmm_allegro.measure.series_runs import Temperature
from openmm_allegro.report.methods import Paper
from openmm_allegro.report.production import make_production
from openmm_allegro.report.series import energy_tiles
from openmm_allegro.report.series_curves import curves_section
from openmm_allegro.report.series_methods import stage_words
from openmm_allegro.report.structure import _coordination
from openmm_allegro.runs.run import read_run

pytestmark = pytest.mark.usefixtures("undrawn", "read_here")


def test_curves_are_drawn_by_temperature_and_saved_as_csv(tmp_path):
    productions = {}
    for kelvin, step in ((500, 0.02), (600, 0.04)):
        frames = walk(salt_water(), 30, step=step, seed=kelvin)
        prefix = write_run(tmp_path / f"{kelvin}", frames, temperature=float(kelvin))
        productions[f"{kelvin} K"] = make_production(
            read_run(prefix), tmp_path, start=0.0
        )
    page = curves_section(productions)
    figures = re.findall(r"<figure.*?</figure>", page)
    assert ["Na" in x and "by temperature" in x for x in figures] == [True, True]
    links = [re.search(r"csv;charset=utf-8;base64,([^\"]+)", x)[1] for x in figures]
    rdf, msd = (base64.b64decode(link).decode().splitlines() for link in links)
    assert rdf[0] == "of,temperature (K),r (nm),g,error of g"
    assert msd[0] == "of,temperature (K),lag time (ps),MSD (nm²),error of MSD (nm²)"
    for lines in (rdf, msd):
        assert {line.split(",")[-4] for line in lines[1:]} == {"500", "600"}
    # steps twice as long go four times as far
    first = {
        line.split(",")[1]: float(line.split(",")[3])
        for line in reversed(msd)
        if line.startswith("Na,")
    }
    assert first["600"] / first["500"] == pytest.approx(4, rel=0.3)


def test_what_cannot_be_measured_is_said_once(tmp_path):
    productions = {
        f"{kelvin} K": make_production(
            read_run(write_run(tmp_path / f"{kelvin}", walk(salt_water(), 1))),
            tmp_path,
            start=0.0,
        )
        for kelvin in (500, 600)
    }
    page = curves_section(productions)
    assert page.count("500 K, 600 K: not computed, expected") == 1
    assert "Radial distribution functions of" in page  # of one frame, without errors


def test_tiles_are_of_energies_that_are_known_best_first():
    name = "activation energy in eV"
    rows = [
        Row("D of Li", name, 0.10, 0.25, "eV"),
        Row("σT of Li", name, 0.20, 0.05, "eV"),
        Row("D of Li by jumps", name, 0.30, 0.02, "eV"),
        Row("rate of jumps of Li", name, 0.3, 0.01, "eV"),
    ]
    shown = energy_tiles(Measurement(rows, {}, {"rate of jumps of Li": "1/ps"}))
    items = re.findall(r"activation energy, ([^<]+)", shown)
    assert items == ["D of Li by jumps", "σT of Li"]


def test_shells_on_a_page_are_those_of_analyze_with_the_error_of_their_radius():
    rows = [
        Row("Na-O", "highest within molecules, at", 0.11, None, "nm"),
        Row("Na-O", "first peak between molecules", 0.24, None, "nm"),
        Row("Na-O", "g at the peak", 7.5, None, ""),
        Row("Na-O", "coordination number between molecules", 5.7, 0.1, ""),
        Row("Na-O", "within", 0.31, 0.02, "nm"),
        Row("Na-O", "more neighbours", 0.17, None, "per 0.01 nm"),
    ]
    measured = Measurement(rows, {}, {})
    shown = _coordination(SimpleNamespace(measure=lambda name: measured))
    assert "<td" in shown and "0.310 ± 0.020" in shown and "5.70 ± 0.10" in shown
    assert "within (nm)" in shown and "coordination number" in shown


def test_stages_of_a_series_are_told_once_beside_numbers_of_minimisations(tmp_path):
    temperatures = []
    for kelvin, iterations in ((500.0, 12), (600.0, 13)):
        done = {"energy_kj_mol": 0.0, "rms_force_kj_mol_nm": 2000.0}
        done = {"before": done | {"largest_force_kj_mol_nm": 3e4}}
        done |= {"after": done["before"], "tolerance_kj_mol_nm": 1000.0}
        done |= {"iterations": iterations, "most_iterations": 200}
        given = {"temperature": kelvin, "minimization": done}
        run = read_run(write_run(tmp_path / f"{kelvin:g}" / "nvt", **given))
        temperatures.append(Temperature(kelvin, [run], run))
    words = " ".join(stage_words(Paper(), temperatures))
    assert words.startswith("At each temperature by itself: Stage nvt had")
    assert words.count("Energies were minimised first.") == 1
    words = " ".join(stage_words(Paper(), [temperatures[0], temperatures[0]]))
    assert "minimised first: 12 iterations of L-BFGS" in words
