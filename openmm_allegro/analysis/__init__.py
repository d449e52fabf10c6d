# SPDX-License-Identifier: MIT
"""Structure and transport from trajectories: mdtraj and NumPy, no torch, no OpenMM."""

from .angles import (
    AngleDistribution,
    angle_distribution,
)
from .conductivity import (
    Conductivity,
    conductivity,
    green_kubo_conductivity,
    nernst_einstein,
)
from .contacts import (
    Contacts,
    contacts,
)
from .coordination import (
    Coordination,
    PotentialOfMeanForce,
    coordination_number,
    potential_of_mean_force,
)
from .correlation import (
    Correlation,
    GreenKubo,
)
from .errors import (
    Estimate,
    block_mean,
    jackknife,
    replica_mean,
    series_mean,
)
from .extrapolation import (
    Arrhenius,
    InfiniteBox,
    arrhenius,
    infinite_box,
    yeh_hummer_correction,
)
from .kinetics import (
    Survival,
    survival,
)
from .plots import (
    plot_msd,
    plot_rdf,
    plot_temperature,
)
from .rdf import (
    RDF,
    RadialDistribution,
    element_pairs,
    radial_distributions,
    rdf,
)
from .speciation import (
    Clusters,
    clusters,
    speciation,
)
from .structure_factor import (
    StructureFactor,
    fourier_of_rdf,
    structure_factor,
)
from .transport import (
    Diffusion,
    diffusion,
    mean_square_displacement,
)
from .unwrap import (
    Paths,
    follow,
    unwrap,
    unwrap_molecules,
)
from .velocities import (
    Spectrum,
    Velocities,
    density_of_states,
    green_kubo_diffusion,
    read_velocities,
    velocity_autocorrelation,
)

__all__ = [
    "RDF",
    "AngleDistribution",
    "Arrhenius",
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
    "Velocities",
    "angle_distribution",
    "arrhenius",
    "block_mean",
    "clusters",
    "conductivity",
    "contacts",
    "coordination_number",
    "density_of_states",
    "diffusion",
    "element_pairs",
    "follow",
    "fourier_of_rdf",
    "green_kubo_conductivity",
    "green_kubo_diffusion",
    "infinite_box",
    "jackknife",
    "mean_square_displacement",
    "nernst_einstein",
    "plot_msd",
    "plot_rdf",
    "plot_temperature",
    "potential_of_mean_force",
    "radial_distributions",
    "rdf",
    "read_velocities",
    "replica_mean",
    "series_mean",
    "speciation",
    "structure_factor",
    "survival",
    "unwrap",
    "unwrap_molecules",
    "velocity_autocorrelation",
    "yeh_hummer_correction",
]
