# SPDX-License-Identifier: MIT
"""g(r) and mean square displacements of a series' page, by temperature."""

import base64
import re

import pytest

pytest.importorskip("mdtraj")

from report_helpers import salt_water, walk, write_run

from openmm_allegro.report.production import make_production
from openmm_allegro.report.series_curves import curves_section
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
