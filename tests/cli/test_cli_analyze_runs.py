# SPDX-License-Identifier: MIT
"""``analyze`` of velocities, energies and several temperatures, in closed form."""

import json

import mdtraj
import numpy as np
import pytest
from analysis_helpers import CUBIC, autoregressive, langevin, make_trajectory
from cli_helpers import analyze, rows_of, write_run
from cli_helpers import analyze_error as error_of
from mdtraj.formats import HDF5TrajectoryFile

from openmm_allegro import analysis
from openmm_allegro.cli.main import main

pytestmark = pytest.mark.usefixtures("read_here")

UNIT = 1.602176634e-19**2 * 1e-6 / (1e-27 * 1.380649e-23 * 300)
COLUMNS = {
    "Step": "step",
    "Time (ps)": "time",
    "Potential Energy (kJ/mole)": "potential",
    "Kinetic Energy (kJ/mole)": "kinetic",
    "Total Energy (kJ/mole)": "total",
    "Temperature (K)": "temperature",
    "Box Volume (nm^3)": "volume",
}
R = 8.31446261815324e-3


def write_energies(prefix, temperatures, total, volumes, dof):
    """CSV as StateDataReporter writes it, every 0.1 ps; with half a line at the end."""
    kinetic = 0.5 * dof * R * temperatures
    lines = ["#" + ",".join(f'"{name}"' for name in COLUMNS)]
    for i, values in enumerate(zip(temperatures, kinetic, total, volumes, strict=True)):
        t, k, e, v = map(float, values)
        row = [i + 1, 0.1 * (i + 1), e - k, k, e, t, v]
        lines.append(",".join(map(repr, row)))
    lines.append("2001,200.")
    prefix.with_name(prefix.name + ".csv").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def ions(tmp_path_factory):
    """Ten free Langevin ions of each sign, D = 2e-3 nm²/ps, τ = 0.4 ps, with .h5."""
    tau, time_step = 0.4, 0.04
    positions, velocities = langevin(
        12_000, 20, 2e-3, tau, time_step, np.random.default_rng(9)
    )
    trajectory = make_trajectory(
        positions, CUBIC, ["Na", "Cl"] * 10, time_step=time_step
    )
    prefix = tmp_path_factory.mktemp("ions") / "nvt"
    write_run(trajectory, prefix, temperature_k=300.0)
    with HDF5TrajectoryFile(f"{prefix}.h5", "w", force_overwrite=True) as file:
        file.topology = trajectory.topology
        file.write(
            trajectory.xyz,
            time=trajectory.time,
            cell_lengths=trajectory.unitcell_lengths,
            cell_angles=trajectory.unitcell_angles,
            velocities=velocities.astype(np.float32),
        )
    return str(prefix), velocities


def test_velocities_of_langevin_ions(ions, tmp_path):
    prefix, velocities = ions
    out, figure = tmp_path / "v.json", tmp_path / "v.png"
    options = ["--keep-drift", "--json", out, "--plot", figure, "--force"]
    analyze("vacf", prefix, "Na", "--max-lag", 2, *options)
    content = json.loads(out.read_text())
    found = content["results"]["Na"]
    # Of one velocity, Na and Cl are of two temperatures, as their masses.
    warm = rows_of(out)["Na", "kinetic temperature"]
    exact = 22.99 * 2e-3 / 0.4 / R
    assert abs(warm["value"] - exact) < 3 * warm["error"] < 0.1 * exact
    (warning,) = content["warnings"]
    assert warning.startswith("Na: the kinetic") and "below that of all" in warning
    exact = 3 * 2e-3 / 0.4 * np.exp(-np.array(found["lag_times"]) / 0.4)
    assert np.mean(np.abs(found["values"] - exact) < 3 * np.array(found["error"])) > 0.8
    analyze("green-kubo", prefix, "ions=all", "--max-lag", 8, "--cutoff", 4, *options)
    row = rows_of(out)["ions", "D"]
    assert abs(row["value"] - 2e-5) < 3 * row["error"]
    assert row["error"] < 2e-6
    analyze("density-of-states", prefix, "Na", "--resolution", 0.5, *options)
    found = json.loads(out.read_text())["results"]["Na"]
    nu = np.array(found["frequency"])
    exact = 12 * 0.4 / (1 + (2 * np.pi * nu * 0.4) ** 2)
    some = (nu > 1) & (nu < 6)
    np.testing.assert_allclose(np.array(found["density"])[some], exact[some], rtol=0.2)
    assert figure.stat().st_size > 1000

    # Dropping the beginning drops it of the velocities too.
    late = ["--start", 360.0, "--max-lag", 2]
    analyze("vacf", f"{prefix}.h5", "Na", *late, *options)
    expected = analysis.velocity_autocorrelation(
        velocities[9000:, ::2], 0.04, max_lag=2.0
    )
    found = json.loads(out.read_text())["results"]["Na"]
    np.testing.assert_allclose(found["values"], expected.values, rtol=1e-3, atol=1e-6)


def test_conductivity_from_velocities_too(ions, tmp_path, capsys):
    prefix, _ = ions
    out, figure = tmp_path / "c.json", tmp_path / "gk.png"
    analyze(
        *("conductivity", prefix, "--charges", "Na=1,Cl=-1", "--max-lag", 12),
        *("--cutoff", 4, "--json", out, "--plot-green-kubo", figure),
    )
    rows = rows_of(out)
    exact = UNIT * 20 * 2e-3 / 27
    for name in ("conductivity", "conductivity, Green-Kubo"):
        assert abs(rows["all", name]["value"] - exact) < 3 * rows["all", name]["error"]
    assert figure.stat().st_size > 1000
    assert "--force" in error_of(
        *(capsys, "conductivity", prefix, "--charges", "Na=1,Cl=-1"),
        *("--plot-green-kubo", figure),
    )
    bare = [f"{prefix}.xtc", f"{prefix}.pdb", "--charges", "Na=1,Cl=-1"]
    bare += ["--temperature", 300, "--plot-green-kubo", tmp_path / "x.png"]
    assert "--velocities" in error_of(capsys, "conductivity", *bare)


def test_arrhenius_of_numbers_and_of_files(tmp_path, capsys):
    temperatures = np.array([280.0, 300.0, 330.0, 360.0])
    values = 3e-3 * np.exp(-15.0 / (R * temperatures))
    given = [f"{t}={v}±{0.02 * v}" for t, v in zip(temperatures, values, strict=True)]
    out, figure = tmp_path / "a.json", tmp_path / "a.png"
    options = ["--json", out, "--plot", figure, "--at", "298.15", "--force"]
    analyze("arrhenius", *given, "--unit", "cm²/s", *options)
    rows = rows_of(out)
    row = rows["all", "activation energy"]
    assert row["value"] == pytest.approx(15.0)
    assert 0 < row["error"] < 1
    at_298 = 3e-3 * np.exp(-15.0 / (R * 298.15))
    assert rows["all", "at 298.15 K"]["value"] == pytest.approx(at_298)
    assert rows["all", "at 298.15 K"]["unit"] == "cm²/s"
    assert figure.stat().st_size > 1000

    files = []
    for t, v in zip(temperatures, values, strict=True):
        table = [
            {"item": item, "quantity": "D", "value": f * v, "error": 0.02 * v} | unit
            for item, f in (("Na", 1), ("Cl", 2))
            for unit in ({"unit": "cm²/s"},)
        ]
        files.append(tmp_path / f"{t:g}.json")
        files[-1].write_text(json.dumps({"temperature_k": t, "table": table}))
    analyze("arrhenius", *files, *options)
    rows = rows_of(out)
    for item in ("Na", "Cl"):
        assert rows[item, "activation energy"]["value"] == pytest.approx(15.0)
        assert rows[item, "at 298.15 K"]["unit"] == "cm²/s"
    analyze("arrhenius", *files, "--item", "Cl", *options)
    assert {item for item, _ in rows_of(out)} == {"Cl"}

    assert "no file" in error_of(capsys, "arrhenius", tmp_path / "missing.json")
    assert "of K in" in error_of(capsys, "arrhenius", *files, "--item", "K")
    assert "two different" in error_of(capsys, "arrhenius", given[0])
    files[0].write_text("{}")
    assert "analyze --json wrote" in error_of(capsys, "arrhenius", *files)


@pytest.fixture(scope="module")
def energies(tmp_path_factory):
    """10 Na and 10 Cl whose energy and volume fluctuate by known amounts."""
    rng = np.random.default_rng(10)
    n, dof = 2000, 57
    prefix = tmp_path_factory.mktemp("energies") / "npt"
    positions = rng.random((12, 20, 3)) * 3
    trajectory = make_trajectory(positions, CUBIC, ["Na"] * 10 + ["Cl"] * 10)
    write_run(
        *(trajectory, prefix),
        **{"temperature_k": 300.0, "ensemble": "npt", "pressure_bar": 1.0, "atoms": 20},
    )
    temperatures = 300 * (1 + np.sqrt(2 / dof) * autoregressive(n, 3, rng))
    total = -5000 + 20 * autoregressive(n, 3, rng)
    volumes = 27 + 0.3 * autoregressive(n, 3, rng)
    write_energies(prefix, temperatures, total, volumes, dof)
    return prefix


def test_thermodynamics_of_known_fluctuations(energies, tmp_path, capsys):
    out, figure = tmp_path / "t.json", tmp_path / "t.png"
    options = ["--json", out, "--plot", figure, "--force"]
    analyze("thermodynamics", energies, *options)
    rows = rows_of(out)
    mass = 10 * (22.98977 + 35.453)
    row = rows["all", "density"]
    assert row["value"] == pytest.approx(mass / 27 * 1.66054, rel=2e-3)
    assert row["unit"] == "kg/m³"
    kappa = 0.09 * 1e-27 * 1e5 / (1.380649e-23 * 300 * 27)
    heat = 400 / (R * 300**2) * 1e3 / mass
    for name, exact in (("compressibility", kappa), ("heat capacity, C_P", heat)):
        assert (
            abs(rows["all", name]["value"] - exact) < 3.5 * rows["all", name]["error"]
        )
        assert rows["all", name]["error"] < 0.2 * exact
    expansion = rows["all", "thermal expansion"]
    assert abs(expansion["value"]) < 4 * expansion["error"]
    assert figure.stat().st_size > 1000

    # Of the energies alone there is no mass, and of NVT no compressibility.
    bare = [f"{energies}.csv", "--ensemble", "nvt", "--temperature", 300]
    analyze("thermodynamics", *bare, *options)
    rows = rows_of(out)
    assert {name for _, name in rows} == {"heat capacity, C_V"}
    assert rows["all", "heat capacity, C_V"]["unit"] == "J/(K mol)"
    capsys.readouterr()
    analyze("thermodynamics", f"{energies}.xtc", f"{energies}.pdb")
    assert "--ensemble is not known" in capsys.readouterr().out
    bare = [bare[0], "--ensemble", "npt", "--temperature", 300]
    assert "--pressure" in error_of(capsys, "thermodynamics", *bare)


def test_fluctuations_of_a_run_that_sampled_no_ensemble_are_withheld(tmp_path, capsys):
    """Temperatures that vary half as much, or an energy that hardly does, tell none."""
    rng = np.random.default_rng(4)
    trajectory = make_trajectory(rng.random((3, 20, 3)), CUBIC, ["Na", "Cl"] * 10)
    fields = {"temperature_k": 300.0, "ensemble": "npt", "pressure_bar": 1.0}
    volumes = 27 + 0.3 * autoregressive(2000, 3, rng)
    for name, width, spread in (("half", 0.5, 20), ("still", 1.0, 1)):
        prefix = write_run(trajectory, tmp_path / name, **fields, atoms=20)
        noise = autoregressive(2000, 3, rng)
        temperatures = 300 * (1 + np.sqrt(width * 2 / 57) * noise)
        total = -5000 + spread * autoregressive(2000, 3, rng)
        write_energies(tmp_path / name, temperatures, total, volumes, 57)
        out = tmp_path / f"{name}-measured.json"
        analyze("thermodynamics", prefix, "--json", out)
        names = {quantity for _, quantity in rows_of(out)}
        assert "heat capacity, C_P" not in names and "density" in names
        assert ("compressibility" in names) == (name == "still")
        warnings = json.loads(out.read_text())["warnings"]
        assert any("heat capacity C_P is withheld" in text for text in warnings)
        printed = capsys.readouterr().out
        half = "times that variance" in printed
        assert half == (name == "half")
        assert half or "which the kinetic energy alone gives" in printed
        analyze("stability", prefix)
        printed = capsys.readouterr().out
        assert ("exchanged too little energy" in printed) == half


@pytest.mark.parametrize("periodic", [True, False])
def test_heat_capacity_of_a_run_whose_energies_hold_no_volume(periodic, tmp_path):
    """NVT runs write such files: the volume is that of the frames, or there is none."""
    still = np.zeros((3, 1, 3))
    trajectory = make_trajectory(still, CUBIC, ["Ar"], time_step=20.0)
    if not periodic:
        trajectory.unitcell_lengths = trajectory.unitcell_angles = None
    prefix = write_run(trajectory, tmp_path / "nvt", ensemble="nvt", temperature_k=300)
    energy = 20 * np.random.default_rng(3).normal(size=500)
    lines = [f"{0.1 * i},{e}" for i, e in enumerate(energy)]
    head = '#"Time (ps)","Total Energy (kJ/mole)"'
    (tmp_path / "nvt.csv").write_text("\n".join([head, *lines]))
    analyze("thermodynamics", prefix, "--json", tmp_path / "t.json")
    rows = rows_of(tmp_path / "t.json")
    capacity = rows["all", "heat capacity, C_V"]
    exact = 400 / (R * 300**2) * 1e3 / 39.948
    assert abs(capacity["value"] - exact) < 4 * capacity["error"]
    assert (("all", "density") in rows) == periodic


def test_dielectric_constant_of_turning_dipoles(tmp_path):
    """Dipoles μ in random directions: ε = 1 + N μ² / (3 ε0 V k T)."""
    rng = np.random.default_rng(11)
    n, frames = 30, 400
    direction = rng.normal(size=(frames, n, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    middle = rng.random((1, n, 3)) * 3
    positions = np.stack([middle + 0.05 * direction, middle - 0.05 * direction], 2)
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(n):
        residue = topology.add_residue("DIP", chain)
        pair = [
            topology.add_atom(s, mdtraj.element.get_by_symbol(s), residue)
            for s in ("F", "H")
        ]
        topology.add_bond(*pair)
    trajectory = make_trajectory(
        positions.reshape(frames, -1, 3), CUBIC, ["F", "H"] * n
    )
    trajectory.topology = topology
    prefix = write_run(trajectory, tmp_path / "nvt", temperature_k=300)
    out = tmp_path / "e.json"
    analyze("thermodynamics", prefix, "--charges", "F=-0.5,H=0.5", "--json", out)
    row = rows_of(out)["all", "dielectric constant"]
    moment = 0.5 * 0.1e-9 * 1.602176634e-19
    exact = 1 + n * moment**2 / (3 * 8.8541878e-12 * 27e-27 * 1.380649e-23 * 300)
    assert abs(row["value"] - exact) < 3 * row["error"]
    assert row["error"] < 0.1 * (exact - 1)


def test_stability_of_a_run(energies, tmp_path, capsys):
    out, figure = tmp_path / "s.json", tmp_path / "s.png"
    options = ["--json", out, "--plot", figure, "--force"]
    analyze("stability", energies, *options)
    rows, content = rows_of(out), json.loads(out.read_text())
    temperature = rows["all", "temperature"]
    assert abs(temperature["value"] - 300) < 3 * temperature["error"]
    ratio = rows["all", "variance over canonical"]
    assert abs(ratio["value"] - 1) < 3 * ratio["error"]
    drift = rows["all", "drift of the energy"]
    assert abs(drift["value"]) < 3 * drift["error"]
    assert drift["unit"] == "kJ/(mol ps) per atom"
    assert content["results"]["all"]["temperature"]["degrees_of_freedom"] == 57
    assert "No bonds" in capsys.readouterr().out
    analyze("stability", energies, "--trace", "energy", *options)

    events = energies.with_name("npt.events.csv")
    events.write_text("step,time_ps,watchdog,action,message\n9,0.9,Close,warn,near\n")
    analyze("stability", f"{energies}.csv", "--temperature", 310)
    printed = capsys.readouterr().out
    events.unlink()
    assert "1 events of watchdogs" in printed and "Close" in printed
    assert "off 310 K by" in printed
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    assert '"Time (ps)"' in error_of(capsys, "stability", tmp_path / "no.csv")
    for quantity in ("stability", "thermodynamics"):
        message = error_of(capsys, quantity, energies, "nothing.csv")
        assert "expected runs and their files alone, found nothing.csv" in message


def test_stability_says_which_column_is_missing(tmp_path, capsys):
    path = tmp_path / "e.csv"
    path.write_text('#"Time (ps)","Temperature (K)"\n0.1,300\n0.2,301\n')
    message = error_of(capsys, "stability", path)
    assert "Total Energy" in message and "found Time (ps), Temperature" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("rdf", "--start", 0, "--r-max", -1),
            "above 0 and up to 1.5 nm, half the smallest",
        ),
        (("rdf", "--bin-width", -1), "expected --bin-width above 0 nm, found -1.0 nm"),
        (("rdf", "--stride", 0), "expected --stride of at least 1, found 0"),
        (("rdf", "--shell", "0.3,0"), "--shell above 0 nm, found 0.0 nm in 0.3,0.0"),
        (("structure-factor", "--seed", -1), "--seed of at least 0, found -1"),
        (
            ("structure-factor", "--start", 0, "--isotopes", "Na=99"),
            "expected isotopes of Na among 23, found Na=99",
        ),
    ],
)
def test_options_are_named_as_they_were_given(energies, capsys, arguments, words):
    assert words in error_of(capsys, arguments[0], energies, *arguments[1:])


def test_examples_of_several_numbers_fit_the_option(energies, capsys):
    with pytest.raises(SystemExit):
        main(["analyze", "rdf", str(energies), "--shell", "0.3;0.4"])
    words = "a number in nm, or several like 0.36,0.32, found '0.3;0.4'"
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("limit", [0, -1, 1])
def test_stability_needs_a_limit_above_one(energies, capsys, limit):
    message = error_of(capsys, "stability", energies, "--limit", limit)
    assert "limit above 1, found" in message


def test_energies_with_another_header_are_an_error_beside_frames(tmp_path, capsys):
    prefix = tmp_path / "nve"
    trajectory = make_trajectory(np.zeros((3, 2, 3)), CUBIC, ["O", "H"])
    trajectory.topology.add_bond(*trajectory.topology.atoms)
    write_run(trajectory, prefix)
    prefix.with_suffix(".csv").write_text("a,b\n1,2\n")
    assert '"Time (ps)"' in error_of(capsys, "stability", prefix)


def test_a_stop_before_the_start_that_was_chosen(energies, capsys):
    message = error_of(capsys, "stability", f"{energies}.csv", "--stop", 0.2)
    assert "expected --stop after the start of" in message
    assert "found 0.2 ps; --start 0 takes all before it" in message


def test_stability_finds_the_bond_that_breaks(tmp_path, capsys):
    length = np.full(30, 0.1)
    length[20:] = 0.2
    positions = np.zeros((30, 2, 3))
    positions[:, 1, 0] = length
    trajectory = make_trajectory(positions, CUBIC, ["O", "H"])
    trajectory.topology.add_bond(*trajectory.topology.atoms)
    prefix = tmp_path / "nve"
    write_run(trajectory, prefix, ensemble="nve")
    trajectory[0].save_pdb(f"{prefix}.pdb")
    out = tmp_path / "s.json"
    analyze("stability", prefix, "--json", out)
    rows = rows_of(out)
    assert rows["all", "broken"]["value"] == 1
    assert rows["all", "first broken at"]["value"] == pytest.approx(20.0)
    # Without energies there is no curve.
    message = error_of(capsys, "stability", prefix, "--csv", tmp_path / "s.csv")
    assert "expected curves to write" in message
