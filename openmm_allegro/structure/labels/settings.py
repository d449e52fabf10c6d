# SPDX-License-Identifier: MIT
"""Settings of labels: their names in a file, and their units."""

from dataclasses import dataclass

from ...units import (
    ENERGY_UNITS_IN_EV,
    FORCE_UNITS_IN_EV_PER_ANGSTROM,
    LENGTH_UNITS_IN_ANGSTROM,
    STRESS_UNITS_IN_EV_PER_ANGSTROM3,
)
from ...utils.settings import check_settings, documented, setting


@documented
@dataclass(frozen=True)
class LabelSettings:
    """Names and units of labels in files of structures.

    Raises
    ------
    ValueError
        If a unit is unknown, or keys are given for both stress and virial.
    """

    energy_key: str | None = setting(
        None,
        about="Name of the energies in the files; a usual one, such as REF_energy, is "
        "found",
        metavar="NAME",
    )
    forces_key: str | None = setting(
        None, about="Name of the forces, found like that of energies", metavar="NAME"
    )
    stress_key: str | None = setting(
        None,
        about="Name of the stresses (positive under tension), found like that of "
        "energies",
        metavar="NAME",
    )
    virial_key: str | None = setting(
        None,
        about="Name of the virials (minus stress times volume) to take stresses from",
        metavar="NAME",
    )
    dipole_key: str | None = setting(
        None,
        about="Name of the dipole moments (e times the unit of length), `dipole` if "
        "not given; for models with charges",
        metavar="NAME",
    )
    charges_key: str | None = setting(
        None,
        about="Name of the charges of atoms (e), `charges` if not given; likewise",
        metavar="NAME",
    )
    energy_unit: str = setting(
        "eV",
        about="Unit of energies and virials, also in forces and stresses",
        choices=tuple(ENERGY_UNITS_IN_EV),
    )
    length_unit: str = setting(
        "angstrom",
        about="Unit of positions and cells, also in forces and stresses",
        choices=tuple(LENGTH_UNITS_IN_ANGSTROM),
    )
    forces_unit: str | None = setting(
        None,
        about="Unit of forces, where it is not energy_unit/length_unit",
        choices=tuple(FORCE_UNITS_IN_EV_PER_ANGSTROM),
    )
    stress_unit: str | None = setting(
        None,
        about="Unit of stresses, where it is not energy_unit/length_unit³",
        choices=tuple(STRESS_UNITS_IN_EV_PER_ANGSTROM3),
    )
    use_weights: bool = setting(
        True,
        about="Weigh frames in the loss by config_weight, weight and "
        "config_energy_weight, config_forces_weight, config_stress_weight of the files",
    )

    def __post_init__(self) -> None:
        check_settings(self, "labels")
        if self.stress_key and self.virial_key:
            raise ValueError(
                "labels: expected stress_key or virial_key, found both: "
                f"{self.stress_key!r} and {self.virial_key!r}"
            )

    @property
    def energy_factor(self) -> float:
        """eV in a unit of energy."""
        return ENERGY_UNITS_IN_EV[self.energy_unit]

    @property
    def length_factor(self) -> float:
        """Å in a unit of length."""
        return LENGTH_UNITS_IN_ANGSTROM[self.length_unit]

    @property
    def forces_factor(self) -> float:
        """eV/Å in a unit of force."""
        unit = self.forces_unit or f"{self.energy_unit}/{self.length_unit}"
        return FORCE_UNITS_IN_EV_PER_ANGSTROM[unit]

    @property
    def stress_factor(self) -> float:
        """eV/Å³ in a unit of stress."""
        if self.stress_unit:
            return STRESS_UNITS_IN_EV_PER_ANGSTROM3[self.stress_unit]
        return self.energy_factor / self.length_factor**3

    @property
    def has_units(self) -> bool:
        """True if a unit is another than eV and Å."""
        factors = (self.energy_factor, self.length_factor)
        return (*factors, self.forces_factor, self.stress_factor) != (1, 1, 1, 1)
