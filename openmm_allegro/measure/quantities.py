# SPDX-License-Identifier: MIT
"""All quantities, in the order of the command's help."""

from . import (
    angles,
    arrhenius,
    charge_structure,
    conductivity,
    dielectric,
    diffusion,
    dipoles,
    displacements,
    free_energy,
    infrared,
    jumps,
    nuclei,
    rdf,
    series,
    speciation,
    stability,
    structure_factor,
    survival,
    thermodynamics,
    velocities,
)
from .quantity import Quantity

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        rdf.QUANTITY,
        structure_factor.QUANTITY,
        charge_structure.QUANTITY,
        angles.QUANTITY,
        diffusion.QUANTITY,
        displacements.VAN_HOVE,
        displacements.NON_GAUSSIAN,
        velocities.VACF,
        velocities.DENSITY_OF_STATES,
        velocities.GREEN_KUBO,
        conductivity.QUANTITY,
        dipoles.QUANTITY,
        dielectric.QUANTITY,
        infrared.QUANTITY,
        nuclei.QUANTITY,
        survival.QUANTITY,
        jumps.QUANTITY,
        speciation.SPECIATION,
        speciation.CLUSTERS,
        free_energy.QUANTITY,
        arrhenius.QUANTITY,
        series.QUANTITY,
        thermodynamics.QUANTITY,
        stability.QUANTITY,
    )
}
