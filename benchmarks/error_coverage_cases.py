# SPDX-License-Identifier: MIT
"""Trajectories of known answers: each case gives value, error and truth by name."""

import numpy as np
from analysis_helpers import (
    CUBIC,
    autoregressive,
    langevin,
    make_trajectory,
    random_walk,
    two_states,
    uniform_gas,
)
from scipy.constants import Boltzmann, elementary_charge, epsilon_0, gas_constant
from scipy.stats import chi

from openmm_allegro import analysis

BOX = 30 * np.eye(3)
# e² / (k_B T) at 300 K: S/m of one charge per nm³ that diffuses with 1 nm²/ps
FLOW = elementary_charge**2 * 1e21 / (Boltzmann * 300)


def ideal_gas(rng):
    trajectory = make_trajectory(uniform_gas(CUBIC, 100, 60, rng), CUBIC, ["Ar"] * 60)
    return _radial(trajectory)


def persistent_gas(rng):
    """An ideal gas in which an atom stays for 5 frames on average, then jumps."""
    gas = uniform_gas(CUBIC, 600, 40, rng)
    for i in range(1, 600):
        stays = rng.random(40) > 0.2
        gas[i, stays] = gas[i - 1, stays]
    return _radial(make_trajectory(gas, CUBIC, ["Ar"] * 40))


def _radial(trajectory):
    (found,) = analysis.radial_distributions(
        trajectory, {"": ("all", "all")}, r_max=1.2, bin_width=0.1
    ).values()
    force = analysis.potential_of_mean_force(found, 300)
    n = trajectory.n_atoms - 1
    spheres = 4 / 3 * np.pi * (found.r + 0.05) ** 3 / 27
    return {
        "g(r)": (found.g[4:], found.g_error[4:], 1.0),
        "coordination number": (
            found.number[4:],
            found.number_error[4:],
            n * spheres[4:],
        ),
        "potential of mean force": (force.potential[-6:], force.error[-6:], 0.0),
    }


def dimers(rng):
    first = uniform_gas(CUBIC, 40, 30, rng)
    arms = rng.normal(size=first.shape)
    arms *= 0.25 / np.linalg.norm(arms, axis=-1, keepdims=True)
    positions = np.concatenate([first, first + arms], axis=1)
    trajectory = make_trajectory(positions, CUBIC, ["C"] * 30 + ["O"] * 30)
    found = analysis.structure_factor(
        trajectory, 30.0, bin_width=3.0, vectors_per_bin=20
    )
    wave = np.sinc(found.q * 0.25 / np.pi)
    partial = found.partial["C-O"]
    return {
        "S(q) of all atoms": (found.number.value, found.number.error, 1 + wave),
        "S(q) of C-O": (partial.value, partial.error, 1 + 2 * wave),
    }


def neighbours(rng):
    trajectory = make_trajectory(uniform_gas(CUBIC, 50, 60, rng), CUBIC, ["O"] * 60)
    found = analysis.angle_distribution(trajectory, "all", "all", "all", 0.7, n_bins=6)
    edges = np.radians(np.arange(0, 181, 30))
    exact = -np.diff(np.cos(edges)) / 60
    return {"angles": (found.density, found.error, exact)}


def walk(rng):
    trajectory = make_trajectory(random_walk(400, 40, 1e-3, rng), BOX, ["Li"] * 40)
    found = analysis.diffusion(trajectory, "all", remove_drift=False)
    return {"D from MSD": (found.coefficient, found.error, 1e-5)}


def langevin_msd(rng):
    """Ballistic for 5 frames: the window must be found."""
    positions, _ = langevin(600, 40, 1e-3, 5.0, 1.0, rng)
    trajectory = make_trajectory(positions, BOX, ["Li"] * 40)
    found = analysis.diffusion(trajectory, "all", remove_drift=False)
    return {"D from MSD": (found.coefficient, found.error, 1e-5)}


def hops(rng):
    """Atoms that rattle in a cage and hop 0.35 nm every 50 frames."""
    jumps = rng.poisson(0.02, (600, 24, 1)) * rng.choice([-1, 1], (600, 24, 3))
    paths = np.cumsum(jumps, axis=0) * 0.35 / np.sqrt(3)
    paths = paths + 0.05 * rng.normal(size=paths.shape)
    trajectory = make_trajectory(paths, BOX, ["Li"] * 24)
    found = analysis.diffusion(trajectory, "all", remove_drift=False)
    # <n²> of a Poisson number n of mean 0.02
    exact = (0.02 + 0.02**2) * 0.35**2 / 6 * 1e-2
    return {"D from MSD": (found.coefficient, found.error, exact)}


def caged(rng):
    """Atoms that rattle and hop once in a run: they do not leave their cage."""
    jumps = np.sqrt(rng.poisson(1 / 300, (300, 24, 1))) * rng.normal(size=(300, 24, 3))
    rattling = [autoregressive(300, 5, rng) for _ in range(72)]
    paths = np.cumsum(jumps, axis=0) * 0.35 / np.sqrt(3)
    paths = paths + 0.05 * np.stack(rattling, axis=1).reshape(paths.shape)
    trajectory = make_trajectory(paths, BOX, ["Li"] * 24)
    found = analysis.diffusion(trajectory, "all", remove_drift=False)
    return {"D from MSD": (found.coefficient, found.error, 0.35**2 / 1800 * 1e-2)}


def short_series(rng):
    """As long as its own correlation time, and ten times as long."""
    same, longer = autoregressive(400, 400, rng), autoregressive(400, 40, rng)
    return {
        "mean of one correlation time": (*analysis.series_mean(same), 0.0),
        "mean of ten": (*analysis.series_mean(longer), 0.0),
    }


def short_velocities(rng):
    """An integral that ends after half the decay of the velocities."""
    _, velocities = langevin(400, 10, 2e-3, 78.0, 1.0, rng)
    found = analysis.green_kubo_diffusion(velocities, 1.0, max_lag=39.0)
    return {"Green-Kubo D": (*found.coefficient, 2e-5)}


def lines(rng):
    temperatures = np.array([300, 350, 400, 500])
    exact = 3e-3 * np.exp(-25.0 / (1e-3 * gas_constant * temperatures))
    errors = exact * np.array([0.1, 0.05, 0.05, 0.03])
    line = analysis.arrhenius(temperatures, rng.normal(exact, errors), errors)
    replicas = analysis.replica_mean([(rng.normal(5, 0.3), 0.3) for _ in range(4)])
    return {
        "activation energy": (*line.activation_energy, 25.0),
        "mean of 4 replicas": (*replicas, 5.0),
    }


def langevin_velocities(rng):
    tau, time_step = 0.2, 0.02
    _, velocities = langevin(8000, 10, 2e-3, tau, time_step, rng)
    function = analysis.velocity_autocorrelation(velocities, time_step, max_lag=0.8)
    exact = 3 * 2e-3 / tau * np.exp(-function.lag_times / tau)
    integral = analysis.green_kubo_diffusion(velocities, time_step, max_lag=4.0)
    spectrum = analysis.density_of_states(
        velocities, np.ones(10), time_step, resolution=0.15, n_blocks=10
    )
    low = (spectrum.frequency > 0.5) & (spectrum.frequency < 3)
    states = 12 * tau / (1 + (2 * np.pi * spectrum.frequency[low] * tau) ** 2)
    charges = np.array([1.0, -1.0] * 5)
    current = analysis.green_kubo_conductivity(
        velocities, charges, 300, 27.0, time_step, max_lag=4.0
    )
    return {
        "VACF": (function.values[:30], function.error[:30], exact[:30]),
        "Green-Kubo D": (*integral.coefficient, 2e-5),
        "density of states": (spectrum.density[low], spectrum.error[low], states),
        "Green-Kubo conductivity": (*current.coefficient, FLOW * 10 * 2e-3 / 27),
    }


def paired_ions(rng):
    """Na and Cl of D = 3e-3 and 5e-3 nm²/ps, of which pairs share 1e-3."""
    own, other, common = (random_walk(2000, 15, 1.0, rng) for _ in range(3))
    own = np.sqrt(2e-3) * own + np.sqrt(1e-3) * common
    other = np.sqrt(4e-3) * other + np.sqrt(1e-3) * common
    trajectory = make_trajectory(
        np.concatenate([own, other], axis=1), BOX, ["Na"] * 15 + ["Cl"] * 15
    )
    found = analysis.conductivity(trajectory, {"Na": 1, "Cl": -1}, 300, reference=None)
    exact = FLOW * 15 / 27000 * np.array([[3e-3, -1e-3], [-1e-3, 5e-3]])
    return {
        "Einstein conductivity": (*found.einstein, exact.sum()),
        "Nernst-Einstein": (*found.nernst_einstein, np.trace(exact)),
        "Haven ratio": (*found.haven_ratio, 8 / 6),
        "transference": (*found.transference, np.array([2 / 6, 4 / 6])),
        "Onsager matrix": (*found.matrix, exact),
    }


def langevin_ions(rng):
    positions, _ = langevin(4000, 20, 2e-3, 4.0, 1.0, rng)
    trajectory = make_trajectory(positions, BOX, ["Na", "Cl"] * 10)
    found = analysis.conductivity(trajectory, {"Na": 1, "Cl": -1}, 300, reference=None)
    exact = FLOW * 20 * 2e-3 / 27000
    return {
        "Einstein conductivity": (*found.einstein, exact),
        "Nernst-Einstein": (*found.nernst_einstein, exact),
    }


def contacts(rng):
    """Ten pairs that part with 0.05 and meet with 0.02 a step."""
    n_frames, n = 3000, 10
    states = two_states(n_frames, n, 0.05, 0.02, rng)
    starts, stops, pairs = [], [], []
    for i, state in enumerate(states.T):
        edges = np.diff(state, prepend=0, append=0)
        starts.append(np.flatnonzero(edges == 1))
        stops.append(np.flatnonzero(edges == -1))
        pairs.append(np.tile([i, n + i], (len(starts[-1]), 1)))
    history = analysis.Contacts(
        np.concatenate(pairs),
        np.concatenate(starts),
        np.concatenate(stops),
        n_frames,
        1.0,
        n,
    )
    found = analysis.survival(history, max_lag=150.0, n_blocks=10)
    some = (found.lag_times > 0) & (found.lag_times < 40)
    steps = found.lag_times[some]
    bound = 2 / 7
    return {
        "lifetime": (*found.lifetime, -1 / np.log(0.95)),
        "continuous survival": (
            found.continuous[some],
            found.continuous_error[some],
            0.95**steps,
        ),
        "intermittent survival": (
            found.intermittent[some],
            found.intermittent_error[some],
            bound + (1 - bound) * 0.93**steps,
        ),
        "residence time": (*found.residence_time, 0.5 + 0.93 / 0.07),
    }


def association(rng):
    """Eight Na-Cl pairs, each together or apart, that change their mind slowly."""
    states = two_states(1000, 8, 0.1, 0.1, rng)
    sites = np.stack(np.meshgrid(*[[0.0, 2.0]] * 3), -1).reshape(-1, 3)
    partner = sites + np.where(states, 0.3, 0.8)[..., None] * np.array([1.0, 0, 0])
    positions = np.concatenate([np.broadcast_to(sites, partner.shape), partner], axis=1)
    trajectory = make_trajectory(positions, 4 * np.eye(3), ["Na"] * 8 + ["Cl"] * 8)
    found = analysis.speciation(trajectory, "element Na", {"Cl": ("element Cl", 0.4)})
    sizes = analysis.clusters(trajectory, "element Na", "element Cl", 0.4)
    return {
        "speciation": (*found[1,], 0.5),
        "mean cluster size": (*sizes.mean_size, 1.5),
    }


def displacements(rng):
    walk = random_walk(1000, 20, 1e-3, rng)
    mixed = walk * np.where(np.arange(20) < 10, 1, 2)[:, None]
    found = analysis.van_hove_self(walk, 1.0, [2.0], 0.2, bin_width=0.02)
    edges = np.append(found.r - 0.01, found.r[-1] + 0.01)
    exact = np.diff(chi(3).cdf(edges / np.sqrt(4e-3))) / 0.02
    alpha = analysis.non_gaussian_parameter(mixed, 1.0, max_lag=20.0)
    # Fast enough to forget its arrangement within a block.
    gas = random_walk(400, 20, 0.05, rng) + uniform_gas(CUBIC, 1, 20, rng)
    moved = make_trajectory(gas, CUBIC, ["Ar"] * 20)
    distinct = analysis.van_hove_distinct(
        moved, "all", "all", [2.0], r_max=1.2, bin_width=0.3, n_origins=200
    )
    return {
        "van Hove, self": (found.values[0, 1:8], found.error[0, 1:8], exact[1:8]),
        "van Hove, distinct": (distinct.values[0, 1:], distinct.error[0, 1:], 1.0),
        "non-Gaussian parameter": (alpha.values, alpha.error, 8.5 / 2.5**2 - 1),
    }


def fluctuations(rng):
    first, second = (autoregressive(2000, 5, rng) for _ in range(2))
    variance = 5e-5 * Boltzmann * 300 * 27 / (1e-27 * 1e5)
    volumes = 27 + np.sqrt(variance) * first
    spread = 20e-3 * gas_constant * 300
    energies = spread * (0.6 * first + 0.8 * second)
    edges = np.cbrt(volumes[:, None, None]) * np.eye(3)
    trajectory = make_trajectory(np.zeros((2000, 1, 3)), edges, ["O"])
    exact = 0.6 * spread * np.sqrt(variance) / (1e-3 * gas_constant * 300**2 * 27)
    # <1 / V> of a Gaussian V, to second order
    mass = 15.99943 * 1.66053878 / 27 * (1 + variance / 27**2)
    temperature = 300 + 5 * second
    times = np.arange(2000.0)
    check = analysis.check_temperature(times, temperature, 300, 7200)
    return {
        "density": (*analysis.density(trajectory), mass),
        "compressibility": (*analysis.compressibility(volumes, 300), 5e-5),
        "heat capacity": (*analysis.heat_capacity(energies, 300), 400 * gas_constant),
        "thermal expansion": (
            *analysis.thermal_expansion(volumes, energies, 300),
            exact,
        ),
        "mean temperature": (*check.mean, 300.0),
        "variance of the temperature": (*check.variance_ratio, 1.0),
        "drift": (*check.drift, 0.0),
    }


def dipoles(rng):
    """Six dipoles that turn slowly: each component of the arm forgets in 5 frames."""
    arms = np.stack([autoregressive(1000, 5, rng) for _ in range(18)], axis=1)
    arms = 0.03 * arms.reshape(1000, 6, 3)
    centers = np.broadcast_to(3 * rng.random((1, 6, 3)), arms.shape)
    positions = np.stack([centers, centers + arms], axis=2).reshape(1000, 12, 3)
    trajectory = make_trajectory(positions, CUBIC, ["H", "F"] * 6)
    atoms = list(trajectory.topology.atoms)
    for i in range(0, 12, 2):
        trajectory.topology.add_bond(atoms[i], atoms[i + 1])
    charges = np.array([0.5, -0.5] * 6)
    square = (0.5 * elementary_charge * 0.03e-9) ** 2
    exact = 1 + 18 * square / (3 * epsilon_0 * Boltzmann * 300 * 27e-27)
    found = analysis.dielectric_constant(trajectory, charges, 300)
    return {"dielectric constant": (*found, exact)}


CASES = {
    case.__name__: case
    for case in (
        ideal_gas,
        persistent_gas,
        dimers,
        neighbours,
        walk,
        langevin_msd,
        hops,
        caged,
        short_series,
        short_velocities,
        lines,
        langevin_velocities,
        paired_ions,
        langevin_ions,
        contacts,
        association,
        displacements,
        fluctuations,
        dipoles,
    )
}
