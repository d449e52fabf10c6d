# SPDX-License-Identifier: MIT
"""Combinations of packages that are known to fail."""

import warnings
from collections.abc import Mapping


def known_bad(
    versions: Mapping[str, str | None], *, from_conda: bool = False
) -> list[str]:
    """List the reasons why a set of versions will fail; empty if none is known.

    Parameters
    ----------
    versions : mapping
        From "openmm", "openmmtorch" and "torch" to their versions, None where absent.
    from_conda : bool
        Whether openmmtorch is conda-forge's, which is built for several torch versions.
    """
    openmm, openmmtorch, torch = (
        versions.get(name) or "" for name in ("openmm", "openmmtorch", "torch")
    )
    if not _is_of(openmmtorch, "1.5"):
        return []
    reasons = []
    if _is_of(openmm, "8.6"):
        reasons.append(
            f"openmm {openmm} with openmmtorch {openmmtorch}: the process crashes when "
            "a System with a TorchForce is copied or deserialized; expected openmm 8.5"
        )
    if not from_conda and not _is_of(torch, "2.9"):
        reasons.append(
            f"torch {torch or '(none)'} with openmmtorch {openmmtorch}: TorchForce is "
            "built against torch 2.9 and fails or crashes with others; expected 2.9"
        )
    return reasons


def installed_known_bad() -> list[str]:
    """List the reasons why the installed versions will fail."""
    names = ("openmm", "openmmtorch", "torch")
    versions = {name: installed_version(name) for name in names}
    return known_bad(versions, from_conda=_is_from_conda("openmmtorch"))


def warn_of_known_bad_versions() -> None:
    """Warn (RuntimeWarning) if installed packages are known not to work together."""
    for reason in installed_known_bad():
        warnings.warn(
            f"{reason}. Install openmm-allegro[torchforce], or use "
            "backend='pythonforce'.",
            RuntimeWarning,
            stacklevel=3,
        )


def installed_version(name: str) -> str | None:
    """Version of an installed package; None where it is not."""
    from importlib import metadata  # 2 MB, and often not needed

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _is_from_conda(name: str) -> bool:
    from importlib import metadata

    try:
        installer = metadata.distribution(name).read_text("INSTALLER")
    except metadata.PackageNotFoundError:
        return False
    return (installer or "").strip() == "conda"


def _is_of(version: str, series: str) -> bool:
    return version == series or version.startswith((series + ".", series + "+"))
