# SPDX-License-Identifier: MIT
"""Quantities of charges: from files of runs, with numbers that are known."""

import json

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj")

from analysis_helpers import assert_png, autoregressive  # noqa: E402
from cli_helpers import analyze, analyze_error  # noqa: E402
from dipole_helpers import (  # noqa: E402
    with_charges,
    write_charges,
    write_dipoles,
)
from report_helpers import Page, salt_water, walk, write_run  # noqa: E402
from scipy.constants import Boltzmann, elementary_charge, epsilon_0  # noqa: E402

from openmm_allegro.measure.quantities import QUANTITIES  # noqa: E402
from openmm_allegro.report import report  # noqa: E402
from openmm_allegro.runs.run import read_run  # noqa: E402
from openmm_allegro.runs.source import Source  # noqa: E402
from openmm_allegro.runs.window import Window  # noqa: E402

pytestmark = pytest.mark.usefixtures("read_here")
WATER, FRAMES = [-0.6, 0.3, 0.3], 150
# ε - 1 of a dipole whose components have a variance of 1 e² nm² in 8 nm³ at 300 K.
INCREMENT = elementary_charge**2 * 1e-18
INCREMENT /= epsilon_0 * 8e-27 * Boltzmann * 300


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A run of 12 waters and 8 ions, whose model gave charges to every other frame."""
    rng = np.random.default_rng(41)
    folder = tmp_path_factory.mktemp("charged")
    topology = salt_water()
    prefix = write_run(folder / "nvt", walk(topology, FRAMES), charges="learned")
    start = np.array(WATER * 12 + [0.7] * 4 + [-0.7] * 4)
    scale = 1 + 0.05 * rng.normal(size=(FRAMES, 1))
    every = scale * start
    times = 0.5 * np.arange(FRAMES)
    write_charges(folder / "nvt.charges", times[::2], every[::2])
    times = 0.02 * np.arange(1, 15_001)
    dipoles = 0.3 * np.array([autoregressive(15_000, 25, rng) for _ in "xyz"]).T
    currents = 3.0 * rng.normal(size=dipoles.shape)
    write_dipoles(
        *(folder / "nvt.dipoles.csv", times, dipoles, currents),
        {"Cl": -0.7, "H": 0.3, "Na": 0.7, "O": -0.6},
    )
    return prefix


@pytest.fixture
def source(prefix):
    return Source([read_run(prefix)], Window(start=0.0))


def rows_of(measurement):
    return {(row.item, row.quantity): row for row in measurement.rows}


def test_dipoles_are_of_frames_with_charges(source):
    measurement = QUANTITIES["dipoles"].measure(source)
    rows = rows_of(measurement)
    value = rows["water", "dipole moment"]
    # by hand: 0.3 e × |(0.0957 - 0.024, 0.0927) nm|, in D
    single = 0.3 * np.hypot(0.0957 - 0.024, 0.0927) * 48.032
    assert value.value == pytest.approx(single, rel=0.02) and value.unit == "D"
    assert rows["water", "spread"].value == pytest.approx(0.05 * single, rel=0.2)
    assert "in 75 frames" in measurement.results["water"]["origin_of_charges"]
    assert any("screened by the electrons" in note for note in measurement.notes)
    given = QUANTITIES["dipoles"]
    asked = given.settings(charges="O=-0.8476,H=0.4238,Na=1,Cl=-1")
    rows = rows_of(given.measure(source, None, asked))
    assert rows["water", "dipole moment"].value == pytest.approx(
        single * 0.4238 / 0.3, rel=1e-4
    )
    with pytest.raises(ValueError, match="charges of the atoms of water, found 0"):
        given.measure(source, None, given.settings(charges="formal"))


def test_screening_of_the_charges_that_are_asked_for(source):
    """Walking molecules are at random: S_zz is the number of ions times z² over N."""
    quantity = QUANTITIES["charge-structure"]
    options = {"q_max": 8.0, "blocks": 5}
    formal = quantity.settings(charges="formal", **options)
    measurement = quantity.measure(source, None, formal)
    result = measurement.results["all"]
    assert result["uncorrelated"] == pytest.approx(8 / 44)
    assert "formal" in result["origin_of_charges"]
    assert np.mean(result["factor"].value) == pytest.approx(8 / 44, rel=0.3)
    assert any("ions alone have the limit ε" in note for note in measurement.notes)
    model = quantity.measure(source, None, quantity.settings(**options))
    squared = (8 * 0.49 + 12 * (0.36 + 2 * 0.09)) / 44
    assert model.results["all"]["uncorrelated"] == pytest.approx(squared, rel=0.05)
    assert any("a conductor to 1" in note for note in model.notes)
    assert rows_of(model)["all", "smallest q"].value == pytest.approx(np.pi)


def test_dielectric_constant_and_charges(source):
    quantity = QUANTITIES["dielectric"]
    measurement = quantity.measure(source)
    rows = rows_of(measurement)
    constant = rows["all", "dielectric constant"]
    expected = 1 + INCREMENT * 0.3**2
    assert abs(constant.value - expected) < 3 * constant.error < 0.5 * expected
    assert rows["all", "mean charge of Na"].value == pytest.approx(0.7)
    assert any("There are ions (Na, Cl)" in note for note in measurement.notes)
    assert measurement.warnings == []
    screened = quantity.measure(source, None, quantity.settings(electronic=1.8))
    assert rows_of(screened)["all", "dielectric constant"].value == pytest.approx(
        1.8 * constant.value
    )


def test_infrared_has_dipoles_and_currents(source):
    quantity = QUANTITIES["infrared"]
    measurement = quantity.measure(source, None, quantity.settings(resolution=0.2))
    spectrum = measurement.results["all"]
    # At low frequency what is absorbed is the white current: 3 × 3² × 0.02 ps.
    flat = 3 * 3.0**2 * 0.02 * elementary_charge**2 * 1e-6 / 100
    flat /= 6 * epsilon_0 * 299792458 * 8e-27 * Boltzmann * 300
    z = (spectrum["absorption"][0] - flat) / spectrum["error"][0]
    assert abs(z) < 4
    assert spectrum["frequency"][-1] == pytest.approx(25, abs=0.3)
    text = " ".join(measurement.notes)
    assert "harmonic quantum correction" in text and "has a thermostat" in text
    assert "Frames every 20 fs show vibrations up to 834 cm⁻¹" in text


def test_the_command_draws_and_writes(prefix, tmp_path):
    for name, more in (
        ("dipoles", ["--blocks", 5]),
        ("dielectric", []),
        ("infrared", []),
        ("charge-structure", ["--q-max", 8, "--plot-factor", tmp_path / "factor.png"]),
    ):
        paths = [tmp_path / f"{name}.{end}" for end in ("png", "csv", "json")]
        files = [x for pair in zip(("--plot", "--csv", "--json"), paths, strict=True)
                 for x in pair]  # fmt: skip
        analyze(name, prefix, "--start", 0, *more, *files)
        assert_png(paths[0])
        assert len(paths[1].read_text().splitlines()) > 4
        assert json.loads(paths[2].read_text())["table"]
    assert_png(tmp_path / "factor.png")


def test_conductivity_keeps_formal_charges(prefix, tmp_path):
    """The same numbers with and without the files of a model's charges."""
    written = []
    for name in ("with", "without"):
        folder = tmp_path / name
        folder.mkdir()
        for file in prefix.parent.glob("nvt.*"):
            if name == "with" or not file.name.endswith((".charges", ".dipoles.csv")):
                (folder / file.name).write_bytes(file.read_bytes())
        analyze("conductivity", folder / "nvt", "--json", folder / "out.json")
        written.append(json.loads((folder / "out.json").read_text())["results"]["all"])
    assert written[0] == written[1]
    assert written[0]["charges"] == {"Na": 1, "Cl": -1}
    assert "formal ones" in written[0]["origin_of_charges"]


def test_ions_that_a_model_embeds_keep_formal_charges(prefix, tmp_path):
    """The System has charges of the waters and of chloride alone."""
    openmm = pytest.importorskip("openmm")
    for file in prefix.parent.glob("nvt.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    system = openmm.System()
    for mass in [16.0, 1.0, 1.0] * 12 + [23.0] * 4 + [35.4] * 4:
        system.addParticle(mass)
    with_charges(system, [-0.8, 0.4, 0.4] * 12 + [0.0] * 4 + [-1.0] * 4)
    xml = openmm.XmlSerializer.serialize(system)
    (tmp_path / "nvt.system.xml").write_text(xml.replace('method="0"', 'method="4"'))
    analyze("conductivity", tmp_path / "nvt", "--json", tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())["results"]["all"]
    assert result["charges"] == {"Na": 1, "Cl": -1}
    (tmp_path / "nvt.charges").unlink()
    source = Source([read_run(tmp_path / "nvt")], Window(start=0.0))
    with pytest.raises(ValueError, match="lack the atoms of its model"):
        QUANTITIES["charge-structure"].measure(source)


def test_the_page_has_a_section_of_charges(prefix, tmp_path, undrawn):
    page = Page(report(prefix, tmp_path / "page.html", start=0).read_text()).text
    assert "The model's charges (learned) are its own." in page
    for text in ("Dipole moments of molecules", "Static dielectric constant",
                 "Infrared spectrum", "Charge structure factor"):  # fmt: skip
        assert text in page
    assert "screening at q = 0" in page and "dielectric constant" in page


def test_what_is_missing_or_damaged_is_said(prefix, tmp_path, capsys):
    bare = write_run(tmp_path / "bare", walk(salt_water(), 30))
    for name, file in (("dielectric", "dipoles.csv"), ("infrared", "dipoles.csv")):
        message = analyze_error(capsys, name, bare)
        assert f"a file .{file} that simulate writes" in message
    message = analyze_error(capsys, "dipoles", bare, "--charges", "model")
    assert "a file .charges that simulate writes" in message
    charges, times = bare.with_suffix(".charges"), 0.5 * np.arange(30)
    write_charges(charges, times + 0.2, np.ones((30, 44)))
    assert "charges at none of the times" in analyze_error(capsys, "dipoles", bare)
    write_charges(charges, times, np.ones((30, 43)))
    message = analyze_error(capsys, "charge-structure", bare)
    assert "charges of 44 atoms" in message and "those of 43" in message
    charges.write_bytes(b"nothing")
    message = analyze_error(capsys, "charge-structure", bare)
    assert "expected charges of atoms over time" in message
    table = bare.with_suffix(".dipoles.csv")
    series = np.random.default_rng(1).normal(size=(400, 3))
    write_dipoles(table, 0.02 * np.arange(400), series, volume=None)
    assert "no volumes" in analyze_error(capsys, "dielectric", bare)
    again = np.append(0.02 * np.arange(200), 0.02 * np.arange(200))
    write_dipoles(table, again, series)
    assert "come again later" in analyze_error(capsys, "infrared", bare)
    analyze("infrared", bare, "--start", 0, "--drop-repeated", "--resolution", 5)
    table.write_text(table.read_text().replace("Dipole X", "Dipole U"))
    assert "Dipole X (e nm)" in analyze_error(capsys, "infrared", bare)
