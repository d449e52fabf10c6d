# SPDX-License-Identifier: MIT
"""Settings of the System of a protocol, declared once."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..inputs.settings import ForceFieldConfig, InputsConfig, MixingConfig
from ..potential.options import ForceOptions
from ..utils.settings import documented, setting

# Settings that decide what is simulated, and so are in the record of a run.
SYSTEM_OPTIONS = ("no_periodic", "flexible_molecules")


@dataclass(frozen=True)
class FilesConfig:
    """Keys of the ``[system]`` table other than the options of the force."""

    topology: str = setting(
        about="File of atoms, positions and box: PDB, PDBx/mmCIF, gro, POSCAR, CIF, "
        "extxyz, LAMMPS data; or of atoms alone beside positions: prmtop, top, psf"
    )
    model: tuple[str, ...] = setting(
        (), about="Model file, or several, which are a committee"
    )
    baseline: str = setting(
        "", about="XML of the force field's System, for a model of kind delta"
    )
    system: str = setting(
        "", about="XML of a System in the place of a model: a mixed one, for instance"
    )
    no_periodic: bool = setting(
        False, about="Leave out interactions with periodic images, box or no box"
    )
    flexible_molecules: bool = setting(
        False, about="Let volume moves shift atoms, not molecules: for solids"
    )


@documented
@dataclass(frozen=True)
class SystemConfig(ForceFieldConfig, ForceOptions, InputsConfig, FilesConfig):
    """The ``[system]`` table of a protocol; paths are relative to its file.

    Its ``mixing`` is the table of that name.

    Raises
    ------
    ValueError
        As ``ForceOptions``, if there are both a model and a System or neither, or if a
        value would have no effect.
    """

    mixing: MixingConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.model) == bool(self.system):
            given = "both" if self.model else "neither"
            raise ValueError(f"expected model or system, found {given}")
        of_models = [field.name for field in dataclasses.fields(ForceOptions)]
        of_models += ["baseline", *SYSTEM_OPTIONS]
        of_models += [f.name for f in dataclasses.fields(ForceFieldConfig)] + ["mixing"]
        useless = [
            field.name
            for field in dataclasses.fields(self)
            if field.name in of_models and getattr(self, field.name) != field.default
        ]
        if self.system and useless:
            raise ValueError(
                "expected no options of a model's force beside system, whose file has "
                f"the forces as they are, found {', '.join(useless)}"
            )
        if self.baseline and self.flexible_molecules:
            raise ValueError(
                "expected no flexible_molecules beside baseline, whose file says which "
                "atoms are bonded, found both"
            )

        self._check_force_field()

    def _check_force_field(self) -> None:
        """Refuse two force fields, and settings that a region leaves without effect."""
        if self.baseline and self.given_names:
            raise ValueError(
                "expected baseline or a force field of other settings, found both "
                f"(baseline and {', '.join(self.given_names)})"
            )
        if self.mixing is None:
            return
        without = {
            "baseline": "forcefield takes the XML of a System, too",
            "flexible_molecules": "molecules are those of the force field",
            "total_charge": "region_charge of [mixing] is that of the region",
        }
        for name, reason in without.items():
            if getattr(self, name):
                raise ValueError(
                    f"expected no {name} beside a region of the model ([mixing], "
                    f"--region), found {getattr(self, name)!r}: {reason}"
                )

    @property
    def force_options(self) -> dict[str, Any]:
        """The fields of ForceOptions alone."""
        names = [field.name for field in dataclasses.fields(ForceOptions)]
        return {name: getattr(self, name) for name in names}

    @property
    def system_options(self) -> dict[str, Any]:
        """The fields that ``SYSTEM_OPTIONS`` names."""
        return {name: getattr(self, name) for name in SYSTEM_OPTIONS}
