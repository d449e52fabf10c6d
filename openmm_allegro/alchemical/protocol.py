# SPDX-License-Identifier: MIT
"""Free energies from a force field to a model, as a TOML file says."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import openmm
from openmm import app

from .._version import __version__
from ..analysis.figures.states import plot_overlap, plot_works
from ..forces import UNKNOWN, PlannedRun
from ..runs.names import FREE_ENERGY
from ..simulate.checks import check_notes
from ..simulate.prepare import Prepared, prepare
from ..simulate.protocol_file import read_system_table
from ..simulate.settings import Execution
from ..simulate.system_config import SystemConfig
from ..utils.config import from_mapping, read_tables
from ..utils.files import lock_output, replacing, write_record
from .exchange import exchange_lambda, lambda_free_energies
from .results import (
    compare,
    describe_exchange,
    describe_switching,
    switching_free_energy,
)
from .settings import LambdaSettings, SwitchingSettings
from .switching import switch
from .systems import check_lambda

_METHODS = {"exchange": LambdaSettings, "switching": SwitchingSettings}


class FreeEnergyFile(NamedTuple):
    """Arguments of ``free_energy``.

    Attributes
    ----------
    prepared : simulate.prepare.Prepared
    exchange : LambdaSettings or None
    switching : SwitchingSettings or None
    """

    prepared: Prepared
    exchange: LambdaSettings | None
    switching: SwitchingSettings | None


def read_free_energy(
    path: str | Path, *, trust: bool = False, run: PlannedRun = UNKNOWN
) -> FreeEnergyFile:
    """Read a file with ``[system]`` and ``[exchange]``, ``[switching]`` or both.

    Parameters
    ----------
    path : path
        TOML file. Its System has a table ``[mixing]``, whose ``interpolate`` goes
        without saying, or comes from an XML file and has ``lambda_interpolate``.
    trust : bool
        Whether the files that it names may run code, see ``read_protocol``.
    run : PlannedRun
        As ``read_protocol``.

    Raises
    ------
    FileNotFoundError
        If the file or one that it names is missing.
    ValueError
        If a table, key or value is unknown, of a wrong type or out of range, there is
        neither method, or the System has no ``lambda_interpolate``.
    """
    path = Path(path)
    content = read_tables(path, ("system", "mixing", *_METHODS))
    settings = {
        name: from_mapping(cls, content[name], f"{path} [{name}]")
        for name, cls in _METHODS.items()
        if name in content
    }
    if not settings:
        raise ValueError(
            f"{path}: expected a table [exchange], [switching] or both, found neither"
        )
    config = _with_lambda(read_system_table(content, path), path)
    ensembles = {given.ensemble for given in settings.values()}
    try:
        prepared = prepare(
            config, path.parent, trust=trust, ensembles=ensembles, run=run
        )
        check_lambda(prepared.system)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path} [system]: {error}") from error
    return FreeEnergyFile(prepared, settings.get("exchange"), settings.get("switching"))


def _with_lambda(config: SystemConfig, path: Path) -> SystemConfig:
    """Config of a System that depends on λ, where it mixes a model in."""
    mixing = config.mixing
    if mixing is None:
        return config
    if mixing.lambda_interpolate is not None:
        raise ValueError(
            f"{path} [mixing]: expected no lambda_interpolate beside [exchange] and "
            f"[switching], which change it, found {mixing.lambda_interpolate:g}"
        )
    return dataclasses.replace(
        config, mixing=dataclasses.replace(mixing, interpolate=True)
    )


def free_energy(
    topology: app.Topology,
    positions: Any,
    system: openmm.System,
    output: str | Path,
    *,
    exchange: LambdaSettings | None = None,
    switching: SwitchingSettings | None = None,
    platform: str | None = None,
    threads: int | None = None,
    notes: dict[str, Any] | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> dict[str, dict[str, Any]]:
    """Compute the free energy of a model relative to the force field that it replaces.

    It does ``lambda_exchange``, ``switch_states`` or both, and writes their results and
    figures. A kill at any moment loses nothing of it.

    Parameters
    ----------
    topology, positions, system
        As ``lambda_exchange``.
    output : path
        Folder, for ``exchange.*``, ``switching.*``, ``free_energy.json`` and figures.
    exchange : LambdaSettings, optional
    switching : SwitchingSettings, optional
        At least one of both.
    platform, threads, notes, seed, resume, overwrite, progress
        As ``run``.

    Returns
    -------
    dict of str to dict
        By method, "exchange" and "switching": what ``free_energy.json`` has, free
        energies in kJ/mol with errors, overlap and warnings.

    Raises
    ------
    FileExistsError, ImportError, RuntimeError, ValueError
        As ``lambda_exchange`` and ``switch_states``; ValueError if there is neither, or
        too few samples are independent.
    """
    if exchange is None and switching is None:
        raise ValueError("expected settings of exchange or of switching, found neither")
    check_lambda(system)
    notes = check_notes(notes)
    execution = Execution(platform, threads, seed, overwrite, resume, progress)
    folder, results, warnings = Path(output), {}, []
    what = topology, positions, system
    with lock_output(folder / "free_energy"):
        if exchange is not None:
            exchange_lambda(*what, folder / "exchange", exchange, execution)
        if switching is not None:
            switch(*what, folder / "switching", switching, execution, notes)
        if exchange is not None:
            mixed = lambda_free_energies(folder / "exchange")
            results["exchange"] = describe_exchange(mixed)
            with replacing(folder / FREE_ENERGY["overlap"]) as partial:
                plot_overlap(mixed.lambdas, mixed.overlap, partial)
        if switching is not None:
            driven = switching_free_energy(folder / "switching")
            results["switching"] = describe_switching(driven)
            with replacing(folder / FREE_ENERGY["works"]) as partial:
                plot_works(driven.works, (driven.value, driven.error), partial)
        if len(results) == 2:
            warnings = compare(*results.values())
            for result in results.values():
                result["warnings"] = result["warnings"] + warnings
        settings = {"exchange": exchange, "switching": switching}
        record = {
            "package_version": __version__,
            "settings": {
                name: dataclasses.asdict(given)
                for name, given in settings.items()
                if given
            },
            "results": results,
        }
        write_record(folder / FREE_ENERGY["results"], record | notes)
    return results
