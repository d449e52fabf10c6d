# SPDX-License-Identifier: MIT
"""Short runs of known truth: errors that hold it, warnings, and what is withheld."""

import json

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj")

from analysis_helpers import (  # noqa: E402
    autoregressive,
    langevin,
    make_trajectory,
    random_walk,
    two_states,
)
from cli_helpers import analyze, analyze_error  # noqa: E402
from dipole_helpers import write_charges, write_dipoles  # noqa: E402
from report_helpers import (  # noqa: E402
    Page,
    lattice,
    salt_water,
    walk,
    write_run,
    write_velocities,
)

from openmm_allegro import analysis  # noqa: E402
from openmm_allegro.analysis.statistics import (  # noqa: E402
    ENOUGH,
    ENOUGH_OF_VARIANCE,
    FEW,
    independent_values,
    series_covariance,
    series_mean,
)
from openmm_allegro.measure.quantities import QUANTITIES  # noqa: E402
from openmm_allegro.report import report  # noqa: E402
from openmm_allegro.runs.run import find_runs  # noqa: E402
from openmm_allegro.runs.source import Source  # noqa: E402
from openmm_allegro.runs.window import Window  # noqa: E402

pytestmark = pytest.mark.usefixtures("read_here")
BOX = 30 * np.eye(3)
SEEDS = 24


def still_flying(rng, steps):
    """Langevin particles; the longest lag is so many of their relaxation times."""
    positions, _ = langevin(200, 20, 1e-3, 40 / steps, 1.0, rng)
    return positions, 1e-5


def caged(rng, hops):
    """Particles that rattle and hop 0.35 nm so many times in a run."""
    rate = hops / 300
    jumps = np.sqrt(rng.poisson(rate, (300, 20, 1))) * rng.normal(size=(300, 20, 3))
    rattling = [autoregressive(300, 5, rng) for _ in range(60)]
    paths = np.cumsum(jumps, axis=0) * 0.35 / np.sqrt(3)
    paths += 0.05 * np.stack(rattling, axis=1).reshape(paths.shape)
    return paths, rate * 0.35**2 / 6 * 1e-2


def walking(rng, atoms):
    return random_walk(300, atoms, 1e-3, rng), 1e-5


@pytest.mark.parametrize(
    "motion, number, regimes, least",
    [
        (still_flying, 0.3, {"ballistic"}, None),
        (still_flying, 1.0, {"ballistic"}, None),
        (still_flying, 5.0, {"faster", "diffusive"}, 0.7),
        (still_flying, 30.0, {"diffusive"}, 0.5),
        (caged, 0.1, {"caged"}, 0.9),
        (caged, 1.0, {"caged"}, 0.9),
        (caged, 20.0, {"diffusive"}, 0.5),
        (walking, 20, {"diffusive"}, 0.5),
        (walking, 2, {"diffusive"}, 0.7),
    ],
)
def test_errors_of_diffusion_hold_the_truth(motion, number, regimes, least):
    """In every regime; free flight has no error that could, and is withheld."""
    distances, names = [], set()
    for seed in range(SEEDS):
        paths, exact = motion(np.random.default_rng(seed), number)
        trajectory = make_trajectory(paths, BOX, ["Li"] * paths.shape[1])
        found = analysis.diffusion(trajectory, "all", remove_drift=False)
        names.add(found.regime)
        distances.append(abs(found.coefficient - exact) / found.error)
    assert names <= regimes
    distances = np.array(distances)
    if least is None:
        assert not distances.any()  # the error is infinite
        return
    assert np.mean(distances < 1) >= least
    assert np.mean(distances > 2) < 0.2


def test_a_conductivity_of_caged_ions_is_wide_and_of_flying_ions_none(tmp_path):
    rng = np.random.default_rng(1)
    paths, _ = caged(rng, 0.5)
    trajectory = make_trajectory(paths, BOX, ["Na", "Cl"] * 10)
    found = analysis.conductivity(trajectory, {"Na": 1, "Cl": -1}, 300, reference=None)
    assert found.regimes == ("caged", "caged")
    assert found.nernst_einstein.error >= abs(found.nernst_einstein.value)
    assert np.all(found.self_part.error >= np.abs(found.self_part.value))
    assert found.transference.error.min() > 0.3
    flying, _ = still_flying(rng, 1.0)
    trajectory = make_trajectory(flying, BOX, ["Na", "Cl"] * 10)
    found = analysis.conductivity(trajectory, {"Na": 1, "Cl": -1}, 300, reference=None)
    assert np.isinf(found.nernst_einstein.error) and np.isinf(found.einstein.error)
    slow, _ = walking(rng, 20)
    trajectory = make_trajectory(4 * slow, BOX, ["Na", "Cl"] * 10)
    found = analysis.conductivity(trajectory, {"Na": 1, "Cl": -1}, 300, reference=None)
    assert found.regimes == ("diffusive", "diffusive")
    assert found.nernst_einstein.error < 0.3 * found.nernst_einstein.value


@pytest.mark.parametrize("length", [0.1, 0.3, 1.0, 3.0, 30.0, 200.0])
def test_series_shorter_than_their_correlation_time(length):
    """The length in correlation times: a mean and a variance off are never unsaid."""
    tau = 500 / length
    decay, unsaid, of_mean, of_variance = np.exp(-1 / tau), 0, [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        kicks = rng.normal(size=500) * np.sqrt(1 - decay**2)
        values = np.empty(500)
        values[0] = rng.normal()
        for i in range(1, 500):
            values[i] = decay * values[i - 1] + kicks[i]
        independent = independent_values(values)
        mean, variance = series_mean(values), series_covariance(values)
        far_mean = abs(mean.value) > 2 * mean.error
        far_variance = abs(variance.value - 1) > 2 * variance.error
        unsaid += far_mean and independent >= ENOUGH
        unsaid += far_variance and independent >= ENOUGH_OF_VARIANCE
        of_mean.append(abs(mean.value) < mean.error)
        if independent >= FEW:  # what is not withheld
            of_variance.append(abs(variance.value - 1) < variance.error)
    assert unsaid <= 0.15 * SEEDS
    assert np.mean(of_mean) >= (0.3 if length < 0.3 else 0.5)
    if length >= 30:
        assert np.mean(of_variance) >= 0.5


def test_an_integral_that_has_not_ended_holds_what_is_missing():
    for steps in (0.1, 0.5, 2.0):
        inside = []
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            _, velocities = langevin(400, 10, 2e-3, 39 / steps, 1.0, rng)
            found = analysis.green_kubo_diffusion(velocities, 1.0, max_lag=39.0)
            assert not found.finished or steps > 1
            inside.append(abs(found.coefficient.value - 2e-5) < found.coefficient.error)
        assert np.mean(inside) > 0.6


def test_contacts_that_outlast_the_run():
    """Of exp(-t / 200) in 100 frames: the residence time is far beyond them."""
    inside = []
    for seed in range(SEEDS):
        states = two_states(100, 200, 0.005, 0.0001, np.random.default_rng(seed))
        columns = [np.diff(s, prepend=0, append=0) for s in states.T]
        starts = [np.flatnonzero(c == 1) for c in columns]
        stops = [np.flatnonzero(c == -1) for c in columns]
        pairs = [[i, 200 + i] for i, s in enumerate(starts) for _ in s]
        history = analysis.Contacts(
            np.array(pairs), np.concatenate(starts), np.concatenate(stops), 100, 1.0,
            40_000,
        )  # fmt: skip
        found = analysis.survival(history, max_lag=18.0)
        assert found.remaining > 0.05
        inside.append(abs(found.residence_time.value - 200) < found.residence_time[1])
    assert np.mean(inside) > 0.6


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run that is too short for anything, and one that is long enough for most."""
    folder = tmp_path_factory.mktemp("judged")
    topology = salt_water(21, 3)
    pressed = {"ensemble": "npt", "pressure_bar": 1.0}
    short = write_run(
        folder / "short", walk(topology, 60, step=0.01), rows=15, **pressed
    )
    # The volume creeps: no run that short shows how far it fluctuates.
    table = short.with_suffix(".csv").read_text().splitlines()
    table = [line + "," + (f"{8 + 0.001 * i}" if i else '"Box Volume (nm^3)"')
             for i, line in enumerate(table)]  # fmt: skip
    short.with_suffix(".csv").write_text("\n".join(table) + "\n")
    creeping = np.linspace(0, 1, 60)[:, None]
    charges = (1 + creeping) * ([-0.6, 0.3, 0.3] * 21 + [0.7, -0.7] * 3)
    write_charges(short.with_suffix(".charges"), 0.5 * np.arange(60), charges)
    times = 0.02 * np.arange(60)
    write_dipoles(short.with_suffix(".dipoles.csv"), times, creeping * np.ones(3))
    rng = np.random.default_rng(2)
    _, slow = langevin(60, topology.n_atoms, 0.002, 20.0, 0.02, rng)
    write_velocities(short.with_suffix(".h5"), topology, slow, 0.02, start=0.02)
    _, fast = langevin(
        900, topology.n_atoms, 0.002, 0.02, 0.005, np.random.default_rng(3)
    )
    masses = np.array([atom.element.mass for atom in topology.atoms])
    fast *= np.sqrt(16 / masses)[:, None]  # all of one temperature
    long = write_run(folder / "long", walk(topology, 600, step=0.05))
    write_velocities(long.with_suffix(".h5"), topology, fast, 0.005, start=2)
    staying = write_run(folder / "staying", lattice(topology, 300))
    return {"short": short, "long": long, "staying": staying}


ASKED = {
    "rdf": ["Na-O", "--shell", 0.5],
    "angles": ["O-Na-O", "--shell", 0.7],
    "survival": ["Na-O", "--shell", 0.5],
    "speciation": ["Na-O", "--shell", 0.5],
    "clusters": ["Na-Cl", "--shell", 0.5],
    "van-hove": ["--times", 12],
    "vacf": ["--max-lag", 0.08],
    "green-kubo": ["--max-lag", 0.08],
    "density-of-states": [],
    "conductivity": ["--blocks", 3, "--max-lag", 6],
}
# Quantities of which a short run shows as much as it is long, or that need no run, or
# one with variables.
# Of several runs, or of files that these runs do not have; or without a warning.
NOT_JUDGED = {
    *("arrhenius", "series", "non-gaussian", "structure-factor", "free-energy"),
    "kinetic-energy",
}


@pytest.mark.parametrize("name", sorted(set(QUANTITIES) - NOT_JUDGED))
def test_every_quantity_says_that_a_run_is_too_short(runs, name, tmp_path, capsys):
    out = tmp_path / "out.json"
    options = [runs["short"], *ASKED.get(name, []), "--start", 0, "--json", out]
    analyze(name, *options)
    warnings = json.loads(out.read_text())["warnings"]
    assert warnings and all(isinstance(text, str) for text in warnings)
    printed = capsys.readouterr().out
    assert all(f"Warning: {text}" in printed for text in warnings)
    source = Source(find_runs([str(runs["short"])])[0], Window(start=0.0))
    if name not in ASKED:
        assert QUANTITIES[name].measure(source).warnings == warnings


@pytest.mark.parametrize(
    "name, run",
    [
        ("diffusion", "long"),
        ("conductivity", "long"),
        ("rdf", "staying"),
        ("stability", "long"),
        ("thermodynamics", "long"),
        ("vacf", "long"),
        ("green-kubo", "long"),
        ("non-gaussian", "long"),
        ("structure-factor", "staying"),
    ],
)
def test_a_run_that_is_long_enough_has_no_warnings(runs, name, run, tmp_path):
    out = tmp_path / "out.json"
    asked = ["O"] if name in ("diffusion", "non-gaussian", "green-kubo") else []
    # around three ions noise leaves the end of the shell unknown, and a warning says so
    asked += ["O-O"] if name == "rdf" else []
    asked += ["--q-max", 30] if name == "structure-factor" else []
    analyze(name, runs[run], *asked, "--start", 0, "--json", out)
    warnings = json.loads(out.read_text())["warnings"]
    assert [w for w in warnings if "Einstein conductivity is known" not in w] == []


def test_the_page_and_the_command_judge_alike(runs, tmp_path, undrawn):
    page = Page(report(runs["short"], start=0.0).read_text()).text
    for name in ("diffusion", "thermodynamics", "non-gaussian"):
        out = tmp_path / f"{name}.json"
        analyze(name, runs["short"], "--start", 0, "--json", out)
        for text in json.loads(out.read_text())["warnings"]:
            # pages name no item where all atoms are meant
            words = " ".join(text.removeprefix("all: ").split())
            assert words.lower() in " ".join(page.split()).lower()
    assert "the run is too short for the compressibility" in page


def test_a_compressibility_of_a_creeping_volume_is_withheld(runs, tmp_path):
    out = tmp_path / "out.json"
    analyze("thermodynamics", runs["short"], "--start", 0, "--json", out)
    content = json.loads(out.read_text())
    assert not {"compressibility", "thermal_expansion"} & set(content["results"]["all"])
    notes = " ".join(content["notes"])
    assert "at least 10 independent values of the volume" in notes
    assert "compressibility of all" in content["withheld"]
    # The density that it crept through is in the error.
    row = next(r for r in content["table"] if r["quantity"] == "volume")
    assert row["error"] > 0.01


def test_free_flight_and_frames_far_apart_are_errors(tmp_path, capsys, undrawn):
    rng = np.random.default_rng(5)
    flying, _ = still_flying(rng, 0.5)
    trajectory = make_trajectory(
        flying, 3 * np.eye(3), ["Na", "Cl"] * 10, time_step=0.5
    )
    prefix = write_run(tmp_path / "flying", trajectory)
    message = analyze_error(capsys, "diffusion", prefix, "Na", "--keep-drift")
    assert "as t^" in message and "no diffusion coefficient can be told" in message
    message = analyze_error(
        *(capsys, "conductivity", prefix, "--reference", "cell"),
    )
    assert "no conductivity can be told" in message
    page = Page(report(prefix).read_text()).text
    assert "Not computed: expected displacements" in page
    steps = random_walk(200, 20, 0.3, rng)
    far = make_trajectory(steps % 2.0, 2 * np.eye(3), ["Na", "Cl"] * 10, time_step=0.5)
    message = analyze_error(
        capsys, "diffusion", write_run(tmp_path / "far", far), "Na", "--keep-drift"
    )
    assert "give frames at shorter intervals" in message


def test_a_line_that_misses_its_points(tmp_path, capsys):
    """χ² far above its degrees of freedom: wider errors, a warning, eV."""
    points = {300: 1.0, 330: 3.0, 360: 3.2, 400: 9.0, 450: 9.5}
    given = [f"{t}={v}±{0.1 * v}" for t, v in points.items()]
    out = tmp_path / "a.json"
    analyze("arrhenius", *given, "--json", out)
    content = json.loads(out.read_text())
    line = content["results"]["all"]
    assert line["degrees_of_freedom"] == 3 and line["p_value"] < 1e-4
    assert line["scale"] == pytest.approx(np.sqrt(line["chi_squared"] / 3))
    (warning,) = content["warnings"]
    assert "χ²" in warning and "3 degrees of freedom" in warning
    assert f"Warning: {warning}" in capsys.readouterr().out
    value, error = line["activation_energy"].values()
    assert line["activation_energy_ev"] == pytest.approx(
        [value / 96.4853, error / 96.4853], rel=1e-5
    )
    row = next(r for r in content["table"] if r["unit"] == "eV")
    assert row["value"] == pytest.approx(value / 96.4853, rel=1e-5)
    # Of errors three times too small, about two in three hold the truth all the same.
    kelvin, rng = np.array(list(points), dtype=float), np.random.default_rng(4)
    exact = np.exp(-20 / (8.314462618e-3 * kelvin))
    inside = []
    for _ in range(300):
        fit = analysis.arrhenius(kelvin, exact * rng.normal(1, 0.15, 5), 0.05 * exact)
        energy = fit.activation_energy
        inside.append(abs(energy.value - 20) < energy.error)
    assert 0.5 < np.mean(inside) < 0.75
    # A line through two points has no residuals.
    analyze("arrhenius", *given[:2], "--json", tmp_path / "two.json")
    content = json.loads((tmp_path / "two.json").read_text())
    assert "two temperatures" in content["warnings"][0]
    assert content["results"]["all"]["p_value"] == 1
    # Points on a line are not warned of.
    straight = [f"{t}={np.exp(-2400 / t)}±{0.05 * np.exp(-2400 / t)}" for t in points]
    analyze("arrhenius", *straight, "--json", tmp_path / "line.json")
    assert json.loads((tmp_path / "line.json").read_text())["warnings"] == []
