# SPDX-License-Identifier: MIT
"""Structure and transport from trajectories: mdtraj and NumPy, no torch, no OpenMM."""

from .dynamics.conductivity import (
    Conductivity,
    conductivity,
    green_kubo_conductivity,
    nernst_einstein,
)
from .dynamics.contacts import Contacts, contacts
from .dynamics.correlation import Correlation, GreenKubo
from .dynamics.extrapolation import (
    Arrhenius,
    InfiniteBox,
    arrhenius,
    infinite_box,
    yeh_hummer_correction,
)
from .dynamics.kinetics import Survival, survival
from .dynamics.transport import Diffusion, diffusion, mean_square_displacement
from .dynamics.unwrap import Paths, follow, unwrap, unwrap_molecules
from .dynamics.van_hove import (
    VanHove,
    non_gaussian_parameter,
    van_hove_distinct,
    van_hove_self,
)
from .dynamics.velocities import (
    Spectrum,
    Velocities,
    density_of_states,
    green_kubo_diffusion,
    read_velocities,
    velocity_autocorrelation,
)
from .figures.dynamics import (
    plot_arrhenius,
    plot_density_of_states,
    plot_green_kubo,
    plot_non_gaussian,
    plot_series,
    plot_vacf,
    plot_van_hove,
)
from .figures.ions import plot_conductivity, plot_survival
from .figures.plots import plot_msd, plot_rdf, plot_temperature
from .figures.structure import (
    plot_angles,
    plot_clusters,
    plot_potential,
    plot_speciation,
    plot_structure_factor,
)
from .stability import Bonds, TemperatureCheck, bond_lengths, check_temperature, drift
from .statistics import Estimate, block_mean, jackknife, replica_mean, series_mean
from .structure.angles import AngleDistribution, angle_distribution
from .structure.coordination import (
    Coordination,
    PotentialOfMeanForce,
    coordination_number,
    potential_of_mean_force,
)
from .structure.rdf import (
    RDF,
    RadialDistribution,
    element_pairs,
    radial_distributions,
    rdf,
)
from .structure.speciation import Clusters, clusters, speciation
from .structure.structure_factor import (
    StructureFactor,
    fourier_of_rdf,
    structure_factor,
)
from .thermodynamics import (
    compressibility,
    density,
    dielectric_constant,
    heat_capacity,
    thermal_expansion,
)

__all__ = [
    "RDF",
    "AngleDistribution",
    "Arrhenius",
    "Bonds",
    "Clusters",
    "Conductivity",
    "Contacts",
    "Coordination",
    "Correlation",
    "Diffusion",
    "Estimate",
    "GreenKubo",
    "InfiniteBox",
    "Paths",
    "PotentialOfMeanForce",
    "RadialDistribution",
    "Spectrum",
    "StructureFactor",
    "Survival",
    "TemperatureCheck",
    "VanHove",
    "Velocities",
    "angle_distribution",
    "arrhenius",
    "block_mean",
    "bond_lengths",
    "check_temperature",
    "clusters",
    "compressibility",
    "conductivity",
    "contacts",
    "coordination_number",
    "density",
    "density_of_states",
    "dielectric_constant",
    "diffusion",
    "drift",
    "element_pairs",
    "follow",
    "fourier_of_rdf",
    "green_kubo_conductivity",
    "green_kubo_diffusion",
    "heat_capacity",
    "infinite_box",
    "jackknife",
    "mean_square_displacement",
    "nernst_einstein",
    "non_gaussian_parameter",
    "plot_angles",
    "plot_arrhenius",
    "plot_clusters",
    "plot_conductivity",
    "plot_density_of_states",
    "plot_green_kubo",
    "plot_msd",
    "plot_non_gaussian",
    "plot_potential",
    "plot_rdf",
    "plot_series",
    "plot_speciation",
    "plot_structure_factor",
    "plot_survival",
    "plot_temperature",
    "plot_vacf",
    "plot_van_hove",
    "potential_of_mean_force",
    "radial_distributions",
    "rdf",
    "read_velocities",
    "replica_mean",
    "series_mean",
    "speciation",
    "structure_factor",
    "survival",
    "thermal_expansion",
    "unwrap",
    "unwrap_molecules",
    "van_hove_distinct",
    "van_hove_self",
    "velocity_autocorrelation",
    "yeh_hummer_correction",
]
