# SPDX-License-Identifier: MIT
"""Settings of what a simulation begins with, and of a force field, declared once."""

from dataclasses import dataclass
from typing import Any

from ..topology.elements import Naming
from ..topology.styles import STYLES
from ..utils.settings import check_settings, documented, setting, setting_of

NONBONDED_METHODS = (
    *("auto", "NoCutoff", "CutoffNonPeriodic", "CutoffPeriodic"),
    *("Ewald", "PME", "LJPME"),
)
# Names of OpenMM's constraints.
CONSTRAINTS = {
    "none": None,
    "h-bonds": "HBonds",
    "all-bonds": "AllBonds",
    "h-angles": "HAngles",
}


@dataclass(frozen=True)
class InputsConfig:
    """What a topology file may not say; keys of the ``[system]`` table."""

    positions: str = setting(
        "",
        about="File of positions and box: of a topology that has none (prmtop, top, "
        "psf), or in the place of its own; .state.xml of a run, which has velocities "
        "too, or a trajectory with frame",
        metavar="FILE",
    )
    frame: int | None = setting(
        None,
        about="Frame to begin with, of a file of several, from 0 on; -1 is the last",
        metavar="N",
    )
    atom_style: str | None = setting(
        None,
        about="Style of the atoms of LAMMPS data that do not state it",
        choices=STYLES,
    )
    bonds: str = setting(
        "file",
        about="Bonds, which tell a barostat the molecules: those of the file, or those "
        "that distances below 1.2 sums of covalent radii show, but of metals",
        choices=("file", "distances"),
    )
    box_nm: tuple[float, ...] = setting(
        (),
        about="Periodic box in the place of the file's: three lengths, or three "
        "lengths and three angles in degrees",
        unit="nm",
        above=0,
        option="box",
        metavar="A,B,C",
        example="2.5,2.5,2.5",
    )
    elements: dict[str, str] = setting_of(Naming, "elements", default={})


@dataclass(frozen=True)
class ForceFieldConfig:
    """A force field for a model of kind delta, or around a region of a model."""

    forcefield: tuple[str, ...] = setting(
        (),
        about="Force field: files of openmm.app.ForceField, OpenMM's own by name "
        "(amber14-all.xml,amber14/tip3pfb.xml), or the XML of one System; by default "
        "that of a prmtop, top or psf file",
        metavar="XML,...",
        example="amber14-all.xml,amber14/tip3pfb.xml",
    )
    nonbonded_method: str = setting(
        "auto",
        about="Sums of the force field over pairs; auto is PME with a box, else "
        "NoCutoff",
        choices=NONBONDED_METHODS,
    )
    nonbonded_cutoff_nm: float = setting(
        1.0,
        about="Cutoff of the force field",
        unit="nm",
        above=0,
        option="nonbonded-cutoff",
    )
    switch_distance_nm: float | None = setting(
        None,
        about="Distance from which Lennard-Jones interactions are switched off; none "
        "if not given",
        unit="nm",
        above=0,
        option="switch-distance",
    )
    constraints: str = setting(
        "none",
        about="Bonds of the force field at fixed lengths; those in the region of a "
        "model are free",
        choices=tuple(CONSTRAINTS),
    )
    rigid_water: bool = setting(
        True, about="Hold the water of the force field rigid, but in the model's region"
    )
    ewald_tolerance: float = setting(
        5e-4, about="Error tolerance of the force field's Ewald sums", above=0, below=1
    )
    parameters: tuple[str, ...] = setting(
        (),
        about="Files of parameters of CHARMM's force field, for a psf",
        metavar="PRM,...",
    )
    gromacs_include: str = setting(
        "",
        about="Folder of the files of GROMACS that a top includes; by default where "
        "GROMACS is installed",
        metavar="FOLDER",
    )

    @property
    def given_names(self) -> list[str]:
        """Names of the settings that are not the defaults."""
        fields = ForceFieldConfig.__dataclass_fields__.values()
        return [f.name for f in fields if getattr(self, f.name) != f.default]


@documented
@dataclass(frozen=True)
class MixingConfig:
    """The ``[mixing]`` table of a protocol: a model in a region of a force field.

    Raises
    ------
    ValueError
        If a value is out of bounds.
    """

    region: str = setting(
        about="Region of the model, in mdtraj's words: resname ALA, or index 0 to 21",
        metavar="SELECTION",
    )
    embedding: str = setting(
        "mechanical",
        about="Charges of the region's atoms for all others: those of the force field "
        "(mechanical), or of the model (electrostatic)",
        choices=("mechanical", "electrostatic"),
    )
    link: str = setting(
        "error",
        about="Bonds that the region's border cuts: refused (error), or ended in "
        "hydrogens for the model (cap)",
        choices=("error", "cap"),
    )
    interpolate: bool = setting(
        False,
        about="Add the global parameter lambda_interpolate, which leads from the force "
        "field (0) to the mixed System (1)",
    )
    lambda_interpolate: float | None = setting(
        None,
        about="Value of that parameter, 1 if not given; it includes interpolate",
        minimum=0,
        maximum=1,
        option="lambda",
    )
    remove_constraints: bool = setting(
        True, about="Remove the force field's constraints in the region"
    )
    region_charge: float | None = setting(
        None,
        about="Charge of the region, caps included, for a model with charges; by "
        "default that of the force field, rounded",
        unit="e",
        minimum=-1000,
        maximum=1000,
    )
    screened_charges: bool = setting(
        False,
        about="Embed charges that were trained without labels of charges or dipoles",
    )
    force_group: int = setting(
        0, about="Force group of the model", minimum=0, maximum=31
    )

    def __post_init__(self) -> None:
        check_settings(self, "mixing")

    @property
    def record(self) -> dict[str, Any]:
        """Settings that are not the defaults, and the region, by their names."""
        fields = self.__dataclass_fields__.values()
        values = {f.name: getattr(self, f.name) for f in fields}
        return {
            name: value
            for name, value in values.items()
            if name == "region" or value != self.__dataclass_fields__[name].default
        }
