# SPDX-License-Identifier: MIT
"""Series of temperatures that are short, or still running."""

import json

import matplotlib.figure
import numpy as np
import pytest
from kmc_helpers import CUBIC, solid, walk

from openmm_allegro.analysis import arrhenius
from openmm_allegro.analysis.figures.dynamics import _draw_lines
from openmm_allegro.measure.judgement import judge_range
from openmm_allegro.measure.jumps import JumpsSettings
from openmm_allegro.measure.measurement import Measurement, Row
from openmm_allegro.measure.quantities import QUANTITIES
from openmm_allegro.measure.series import SeriesSettings
from openmm_allegro.measure.series_runs import read_series
from openmm_allegro.report.html import options_of
from openmm_allegro.report.series import energy_tiles
from openmm_allegro.runs.run import read_run
from openmm_allegro.runs.source import Source
from openmm_allegro.runs.window import Window

pytestmark = pytest.mark.usefixtures("read_here")

STEP = 0.02  # ps
FRAMES = 47
# Jumps to each neighbour, per ps: none at the lowest temperature.
RATES = {400: 1e-9, 500: 0.15, 600: 0.5, 700: 0.8}


def write_stage(place, name, kelvin, trajectory=None):
    record = {"temperature_k": kelvin, "ensemble": "nvt", "timestep_fs": 1.0}
    record |= {"steps": 1000}
    if trajectory is not None:
        trajectory.save_xtc(str(place / f"{name}.xtc"))
        trajectory[0].save_pdb(str(place / f"{name}.pdb"))
        record |= {"completed_steps": 1000}
    (place / f"{name}.json").write_text(json.dumps(record))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A series whose 1000 K have equilibrated, and whose 1200 K have not begun."""
    folder = tmp_path_factory.mktemp("short")
    levels = [*RATES, 1000, 1200]
    for kelvin in levels:
        place = folder / f"{kelvin}K"
        place.mkdir()
        (place / "protocol.json").write_text('{"stages": ["1-equil", "2-nvt"]}')
        trajectory = None
        if kelvin < 1200:
            steps = walk(20, FRAMES, RATES.get(kelvin, 0.5), STEP, seed=kelvin)
            trajectory = solid(steps, CUBIC, time_step=STEP)
        write_stage(place, "1-equil", kelvin, trajectory)
        write_stage(place, "2-nvt", kelvin, trajectory if kelvin < 1000 else None)
    record = {"temperatures_k": levels, "folders": [f"{k}K" for k in levels]}
    (folder / "series.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="module")
def measured(folder):
    settings = SeriesSettings(start=0.0, core=0.09)
    return QUANTITIES["series"].measure(None, [str(folder), "Li"], settings)


def test_all_temperatures_have_the_same_stage(folder, measured):
    series = read_series(folder)
    assert [x.run.stage for x in series.temperatures] == 4 * ["2-nvt"]
    assert series.warnings == [
        "Left out, without frames of 2-nvt, which is measured at the others: 1000 K, "
        "1200 K."
    ]
    assert series.warnings[0] in measured.warnings
    # of what is still equilibrating, one is told so
    equilibration = read_series(folder, "1-equil").temperatures
    assert [x.kelvin for x in equilibration] == [400, 500, 600, 700, 1000]


def test_a_temperature_that_cannot_be_measured_is_left_out_by_name(measured):
    assert "400 K" not in measured.results and "700 K" in measured.results
    assert any(
        text.startswith("400 K: left out, expected jumps between sites, found none")
        for text in measured.warnings
    )


def test_a_series_that_has_begun_at_one_temperature_says_so(folder, tmp_path):
    for name in ("600K", "1200K"):
        (tmp_path / name).symlink_to(folder / name)
    record = {"temperatures_k": [600, 1200], "folders": ["600K", "1200K"]}
    (tmp_path / "series.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"at 600 K alone of 600 K, 1200 K; analyze "):
        read_series(tmp_path)
    (tmp_path / "600K").unlink()
    (tmp_path / "600K").symlink_to(folder / "1200K")
    with pytest.raises(ValueError, match="found them at none of 600 K, 1200 K"):
        read_series(tmp_path)


def test_series_in_equilibration_are_told_to_be(folder, tmp_path):
    (tmp_path / "600K").symlink_to(folder / "1000K")
    (tmp_path / "700K").symlink_to(folder / "1000K")
    record = {"temperatures_k": [600, 700], "folders": ["600K", "700K"]}
    (tmp_path / "series.json").write_text(json.dumps(record))
    series = read_series(tmp_path)
    assert [x.run.stage for x in series.temperatures] == 2 * ["1-equil"]
    assert "no temperature has frames of 2-nvt" in series.warnings[0]


def test_rates_of_a_short_run_are_not_known(folder, measured):
    """Maxima of the density of a picosecond are where ions happened to be."""
    for kelvin in (500, 600, 700):
        result = measured.results[f"{kelvin} K"]
        assert "sparse" in result["doubts"]
        for value, error in (
            result["jump_diffusion"],
            *zip(*result["rates"], strict=True),
        ):
            assert error >= value > 0
    texts = "\n".join(measured.warnings)
    assert "too short for sites of the density" in texts
    assert "longer than the 0.94 ps that are measured" in texts
    assert "D of Li by jumps" in texts and "known to half its value at best" in texts
    energy = measured.results["D of Li by jumps"]["activation_energy"]
    assert energy.error > 0.5 * energy.value
    assert "by jumps" not in (energy_tiles(measured) or "")
    # of few jumps the errors of one run hold 0 too, and a sentence says so
    source = Source([read_run(folder / "500K" / "2-nvt")], Window(start=0.0, stop=0.5))
    one = QUANTITIES["jumps"].measure(source, {"Li": "element Li"}, JumpsSettings())
    assert any("little of rates; the errors" in text for text in one.warnings)


def test_tiles_have_no_number_of_jumps_that_are_in_doubt():
    rows = [
        Row(f"D of Li{more}", "activation energy in eV", 0.2, 0.01, "eV")
        for more in ("", " by jumps")
    ]
    for doubts, number in (((), 2), (("brief",), 1)):
        made = Measurement(rows, {"600 K": {"doubts": doubts}}, {})
        assert energy_tiles(made).count("activation energy") == number


def test_d_of_single_ions_does_not_need_that_of_the_charge(measured):
    result = measured.results["600 K"]
    assert result["charge_diffusion"] is None and result["tracer_diffusion"].value > 0
    reasons = [text for text in measured.warnings if "no D of the charge" in text]
    assert reasons and "up to 0.06 ps" in reasons[0]
    assert not any("no D of single ions" in text for text in measured.warnings)


def test_pages_say_whose_options_warnings_name():
    shown = options_of("openmm-allegro analyze", ["Give a longer --max-lag."])
    assert "<code>openmm-allegro analyze</code>" in shown
    assert options_of("openmm-allegro analyze", ["Too hot."]) is None


def test_a_range_instead_of_an_error_is_told():
    ramp = np.linspace(500.0, 700.0, 100)
    (text,) = judge_range("temperature", ramp)
    assert "is the range of the series, of 2" in text
    assert judge_range("temperature", np.random.default_rng(1).normal(size=100)) == []


def test_bands_of_lines_are_those_of_the_logarithm():
    temperatures, values = np.array([600.0, 800, 1000]), np.array([1.0, 2.0, 3.0])
    errors = np.array([0.2, 2.0, 4.5])
    line = arrhenius(temperatures, values, errors)
    axes = matplotlib.figure.Figure().subplots()
    _draw_lines(axes, {"Li": (temperatures, values, errors, line)}, "D")
    band = axes.collections[-1].get_paths()[0].vertices
    assert band[:, 1].min() > 0
    at_1000 = band[np.isclose(band[:, 0], 1.0), 1]
    value, error = line.at(1000.0)
    assert np.log(at_1000.max() / value) == pytest.approx(error / value, rel=1e-6)
    assert np.log(at_1000.min() / value) == pytest.approx(-error / value, rel=1e-6)
    bounds = axes.lines[-2].get_xdata()  # errors that reach 0
    np.testing.assert_allclose(bounds, [1000 / 800, 1.0])
