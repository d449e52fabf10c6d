# SPDX-License-Identifier: MIT
"""Umbrella windows: of a spring in closed form, from frames, killed and refused."""

import json
import logging

import mdtraj
import numpy as np
import openmm
import pytest
from bias_helpers import KT, chain_system
from cli_helpers import check_json
from openmm import app, unit

from openmm_allegro.bias import Metadynamics, Restraint, Variable
from openmm_allegro.cli.main import main
from openmm_allegro.measure.free_energy import FreeEnergySettings, measure_free_energy
from openmm_allegro.report.free_energy import free_energy_section
from openmm_allegro.report.production import Findings, make_production
from openmm_allegro.runs.run import read_stages
from openmm_allegro.runs.source import Source
from openmm_allegro.simulate import Stage, Umbrella, run, run_umbrella
from openmm_allegro.simulate.protocol_file import read_protocol, read_settings
from openmm_allegro.simulate.series_file import read_series

D = Variable("d", "distance", atoms=(0, 1))
TURN = Variable("turn", "dihedral", atoms=(0, 1, 2, 3))
# the spring of the chain: 2000 kJ/mol/nm² about 3 Å
CENTERS = (2.8, 3.0, 3.2)
WINDOWS = Umbrella(("d",), CENTERS, (20.0,), steps=8000, equilibration_steps=400)
COMMON = {"timestep_fs": 10.0, "friction_per_ps": 10.0, "variable_interval": 20}
COMMON |= {"report_interval": 4000}
PLAIN = {"platform": "Reference", "seed": 3, "progress": False}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Folder of windows of the chain's first spring."""
    folder = tmp_path_factory.mktemp("umbrella") / "u"
    run_umbrella(
        *chain_system(), WINDOWS, folder, variables=[D], settings=COMMON, **PLAIN
    )
    return folder


def test_windows_are_those_of_a_spring(windows, tmp_path, capsys):
    """F = 10 (r - 3)² - 2 R T ln r in Å, within errors, by the command."""
    out = [str(tmp_path / name) for name in ("f.json", "f.png", "o.png", "f.csv")]
    command = ["analyze", "free-energy", str(windows), "--radial", "--json", out[0]]
    command += ["--plot", out[1], "--plot-overlap", out[2], "--csv", out[3]]
    main([*command, "--limits", "2.5,3.5", "--bins", "10"])
    printed = capsys.readouterr().out
    assert "minimum 1" in printed and "least overlap" in printed
    assert "pymbar" not in printed
    check_json(out[0])
    result = json.loads((tmp_path / "f.json").read_text())["results"]["d"]
    r, values, errors = (
        np.array(result[name], dtype=float)
        for name in ("centers", "free_energy", "error")
    )
    truth = 10.0 * (r[0] - 3.0) ** 2
    away = (values - truth) - np.mean(values - truth)
    known = np.isfinite(errors)
    assert known.sum() >= 8
    assert np.abs(away[known] / errors[known]).max() < 4.5
    assert np.sqrt(np.mean((away[known] / errors[known]) ** 2)) < 2.0
    # 400 steps of 10 fs each are left out
    assert result["windows"] == ["d 2.8", "d 3", "d 3.2"]
    notes = json.loads((tmp_path / "f.json").read_text())["notes"]
    assert "after equilibration of 4 to 4 ps" in notes[0]


def test_page_of_windows(windows, tmp_path):
    """The page of the protocol has their free energy and their overlap."""
    runs, findings = read_stages(windows), Findings()
    production = make_production(runs[-1], tmp_path)
    html = str(free_energy_section(runs, production, findings))
    assert "Overlap of 3 umbrella windows" in html and "minimum 1" in html
    assert html.count("data:image/svg+xml") == 2
    assert free_energy_section(runs[:1], production, findings) is None


def test_windows_continue(windows):
    """Each window begins where the one before ended, and is not run again."""
    names = sorted(path.stem for path in windows.glob("*.xtc"))
    assert names == ["1-window1", "2-window2", "3-window3"]
    first = np.genfromtxt(
        windows / "2-window2.variables.csv", delimiter=",", names=True
    )
    assert abs(first["d_angstrom"][0] - 3.0) < 0.6
    before = (windows / "3-window3.xtc").stat().st_mtime_ns
    run_umbrella(
        *chain_system(),
        WINDOWS,
        windows,
        variables=[D],
        settings=COMMON,
        resume=True,
        **PLAIN,
    )
    assert (windows / "3-window3.xtc").stat().st_mtime_ns == before


def test_windows_from_frames(tmp_path):
    """A window begins with the frame that is nearest to it, across ±180° too."""
    topology, positions, system = chain_system()
    frames = np.array([_turned(positions, x) for x in (-170.0, 60.0, -60.0)])
    trajectory = mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology))
    trajectory.unitcell_lengths = np.full((3, 3), 3.0)
    trajectory.unitcell_angles = np.full((3, 3), 90.0)
    trajectory.save_xtc(str(tmp_path / "pull.xtc"))
    umbrella = Umbrella(
        ("turn",), (175.0, 50.0), (400.0,), 10, 5, str(tmp_path / "pull.xtc")
    )
    common = {"variable_interval": 1, "report_interval": 10, "timestep_fs": 0.1}
    what = topology, positions, system, umbrella, tmp_path / "u"
    run_umbrella(*what, variables=[TURN], settings=common, **PLAIN)
    for number, angle in ((1, -170.0), (2, 60.0)):
        path = tmp_path / "u" / f"{number}-window{number}.variables.csv"
        first = np.genfromtxt(path, delimiter=",", names=True)["turn_deg"][0]
        assert first == pytest.approx(angle, abs=3.0)
    trajectory.unitcell_lengths = np.full((3, 3), 2.9)
    trajectory.save_xtc(str(tmp_path / "pull.xtc"))
    with pytest.raises(ValueError, match=r"a box of \[2.9"):
        run_umbrella(*what, variables=[TURN], settings=common, overwrite=True, **PLAIN)


def _turned(positions, angle):
    """The chain with a dihedral, in degrees."""
    system = chain_system()[2]
    force = openmm.CustomTorsionForce("1000*(1 - cos(theta - t))")
    force.addGlobalParameter("t", np.radians(angle))
    force.addTorsion(0, 1, 2, 3)
    system.addForce(force)
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context)
    return context.getState(positions=True).getPositions(asNumpy=True)._value


def test_stages_before_windows(tmp_path):
    """They are no windows; runs that were stopped are told, limits checked."""
    umbrella = Umbrella(("d",), (2.9, 3.1), (50.0,), 600, 200)
    folder, common = tmp_path / "u", COMMON | {"report_interval": 20}
    heat = Stage("heat", 100, temperature_k=(10.0, 300.0), **common)
    settings = common | {"draw_velocities": True}
    what = *chain_system(), umbrella, folder
    more = {"variables": [TURN, D], "restraints": [Restraint("turn", 0.0, 0.1)]}
    run_umbrella(*what, stages=[heat], settings=settings, **more, **PLAIN)
    found = measure_free_energy(
        Source(read_stages(folder)), (), FreeEnergySettings(bins=4)
    )
    assert list(found.results) == ["d"]
    assert [w.rpartition(" ")[2] for w in found.results["d"]["windows"]] == [
        "2.9",
        "3.1",
    ]
    assert any("Left out" in note and "1-heat" in note for note in found.notes)
    assert not any("not ended" in warning for warning in found.warnings)
    path = folder / "3-window2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"finished": False}))
    source = Source(read_stages(folder))
    found = measure_free_energy(source, ["d"], FreeEnergySettings(bins=4))
    assert any("1 of 2 runs in windows have not" in text for text in found.warnings)
    with pytest.raises(ValueError, match="samples within 20 to 30 of d"):
        measure_free_energy(source, ["d"], FreeEnergySettings(limits=(20.0, 30.0)))
    with pytest.raises(ValueError, match=r"kind 'distance'.*found turn of dihedral"):
        measure_free_energy(source, ["turn"], FreeEnergySettings(radial=True))


TOML = """
[system]
topology = "chain.pdb"
system = "chain.xml"
[run]
timestep_fs = 2.0
report_interval = 10
variable_interval = 2
[[variables]]
name = "d"
kind = "distance"
atoms = [0, 1]
[umbrella]
variables = ["d"]
centers = [2.9, 3.1, 6.0]
force_constants = [100.0]
steps = 20
equilibration_steps = 10
"""


def test_table_of_a_protocol(tmp_path, caplog, capsys):
    """Windows of a TOML run, gaps between them are told, before and after."""
    topology, positions, system = chain_system()
    with open(tmp_path / "chain.pdb", "w") as file:
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    (tmp_path / "chain.xml").write_text(openmm.XmlSerializer.serialize(system))
    (tmp_path / "u.toml").write_text(TOML)
    with caplog.at_level(logging.WARNING):
        settings = read_settings(tmp_path / "u.toml")
    assert "1 of 3 umbrella windows (window3)" in caplog.text
    assert [stage.name for stage in settings.stages] == [
        f"window{i}" for i in (1, 2, 3)
    ]
    assert settings.sampling.restraints[2].center == 6.0
    protocol = read_protocol(tmp_path / "u.toml")
    assert protocol.prepared.notes["equilibration_steps"] == 10
    main(["simulate", str(tmp_path / "u.toml"), "--output", str(tmp_path / "out")])
    record = json.loads((tmp_path / "out" / "2-window2.json").read_text())
    assert record["equilibration_steps"] == 10
    assert record["restraints"][0]["center"] == 3.1
    (tmp_path / "s.toml").write_text(f"{TOML}[series]\ntemperatures_k = [300, 400]\n")
    with pytest.raises(ValueError, match=r"\[umbrella\] and \[series\]"):
        read_series(tmp_path / "s.toml")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"centers": (3.0,)}, "at least two centers"),
        ({"centers": (3.0, 3.0)}, "each once"),
        ({"centers": ((3.0, 1.0), (4.0, 1.0))}, "1 values for each center"),
        ({"force_constants": (1.0, 2.0)}, "a force constant for each of 1"),
        ({"variables": ()}, "at least one variable"),
        ({"equilibration_steps": 8000}, "below steps = 8000"),
        ({"force_constants": (-1.0,)}, "above 0"),
    ],
)
def test_bad_settings(change, match):
    known = {n: getattr(WINDOWS, n) for n in ("variables", "centers", "steps")}
    known |= {"force_constants": (20.0,), "equilibration_steps": 400}
    with pytest.raises(ValueError, match=match):
        Umbrella(**known | change)


def test_windows_at_one_place_of_a_dihedral_are_refused(tmp_path):
    """-180 and 180 degrees are the same; the numbers of a distance are not."""
    windows = Umbrella(("turn",), (-180, 0, 180), (20.0,), 100, 0)
    match = "window1 and window3 at the same one, -180 and 180: dihedrals"
    with pytest.raises(ValueError, match=match):
        run_umbrella(*chain_system(), windows, tmp_path / "u", variables=[TURN])
    assert not (tmp_path / "u").exists()


def test_a_bias_that_never_acts_is_refused(tmp_path):
    bias = Metadynamics(
        variables=("d",), pace=100, widths=(0.1,), lower=(0,), upper=(9,)
    )
    with pytest.raises(ValueError, match="a pace of at most steps = 99, found 100"):
        run(
            *chain_system(),
            tmp_path / "x",
            steps=99,
            variables=[D],
            bias=bias,
            **PLAIN,
        )
    assert not list(tmp_path.iterdir())


def test_unknown_variable(tmp_path):
    with pytest.raises(ValueError, match="restraint of d: expected a variable"):
        run_umbrella(
            *chain_system(), WINDOWS, tmp_path / "u", variables=[TURN], settings=COMMON
        )


def test_thermal_energy():
    """RT of the analysis is kT of the simulation."""
    from openmm_allegro.units import GAS_CONSTANT

    assert GAS_CONSTANT * 300.0 == pytest.approx(KT, rel=1e-9)
