# SPDX-License-Identifier: MIT
"""Structure, transport and thermodynamics from trajectories, without torch or OpenMM.

A name is imported when it is first used, and its module with it: SciPy, freud, mdtraj
and matplotlib take a second to load.
"""

from ..utils.lazy import lazy_names

_NAMES = {
    "dynamics.conductivity": (
        "Conductivity",
        "conductivity",
        "green_kubo_conductivity",
        "nernst_einstein",
    ),
    "dynamics.contacts": ("Contacts", "contacts"),
    "dynamics.correlation": ("Correlation", "GreenKubo"),
    "dynamics.extrapolation": ("Arrhenius", "arrhenius", "yeh_hummer_correction"),
    "dynamics.infrared": ("Infrared", "infrared_spectrum"),
    "dynamics.kinetics": ("Survival", "survival"),
    "dynamics.transport": ("Diffusion", "diffusion", "mean_square_displacement"),
    "dynamics.unwrap": ("Paths", "follow", "unwrap", "unwrap_molecules"),
    "dynamics.van_hove": (
        "VanHove",
        "non_gaussian_parameter",
        "van_hove_distinct",
        "van_hove_self",
    ),
    "dynamics.velocities": (
        "Spectrum",
        "Velocities",
        "density_of_states",
        "green_kubo_diffusion",
        "read_velocities",
        "velocity_autocorrelation",
    ),
    "dipoles": ("MolecularDipoles", "molecular_dipoles"),
    "figures.charges": (
        "plot_charge_structure",
        "plot_dipoles",
        "plot_infrared",
        "plot_running_dielectric",
        "plot_screening",
    ),
    "figures.dynamics": (
        "plot_arrhenius",
        "plot_arrhenius_panels",
        "plot_density_of_states",
        "plot_green_kubo",
        "plot_msd",
        "plot_non_gaussian",
        "plot_vacf",
        "plot_van_hove",
    ),
    "figures.free_energy": ("plot_overlap", "plot_profiles", "plot_surface"),
    "figures.ions": (
        "plot_clusters",
        "plot_conductivity",
        "plot_speciation",
        "plot_survival",
    ),
    "figures.solids": ("plot_jumps", "plot_residence", "plot_sites"),
    "figures.structure": (
        "plot_angles",
        "plot_potential",
        "plot_rdf",
        "plot_structure_factor",
    ),
    "figures.temperatures": ("plot_temperatures",),
    "figures.traces": ("plot_kinetic_energies", "plot_series", "plot_temperature"),
    "free_energy.axes": ("Axis", "make_axis"),
    "free_energy.basins": (
        "Basin",
        "basin_difference",
        "basins",
        "supported_basins",
    ),
    "free_energy.hills": ("Hills", "bias_offsets", "hills_surface", "sum_hills"),
    "free_energy.surface": ("Surface", "reweighted_surface"),
    "free_energy.windows": ("Windows", "combine_windows"),
    "solids.density": ("density_sites",),
    "solids.host": ("HostPaths", "follow_in_host"),
    "solids.jumps": ("Stays", "find_stays"),
    "solids.placement": ("place_sites",),
    "solids.rates": ("Jumps", "Residence", "jumps"),
    "solids.sites": ("SiteTree", "Sites", "core_radii"),
    "stability": (
        "Bonds",
        "TemperatureCheck",
        "bond_lengths",
        "check_temperature",
        "drift",
    ),
    "statistics": (
        "Estimate",
        "block_mean",
        "jackknife",
        "replica_mean",
        "series_mean",
    ),
    "structure.angles": ("AngleDistribution", "angle_distribution"),
    "structure.charge_structure": ("ChargeStructure", "charge_structure_factor"),
    "structure.coordination": (
        "Coordination",
        "PotentialOfMeanForce",
        "coordination_number",
        "potential_of_mean_force",
    ),
    "structure.rdf": (
        "RDF",
        "RadialDistribution",
        "element_pairs",
        "radial_distributions",
        "rdf",
    ),
    "structure.speciation": ("Clusters", "clusters", "speciation"),
    "structure.structure_factor": ("StructureFactor", "structure_factor"),
    "thermodynamics": (
        "compressibility",
        "density",
        "dielectric_constant",
        "heat_capacity",
        "thermal_expansion",
    ),
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _NAMES)
