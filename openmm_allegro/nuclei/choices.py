# SPDX-License-Identifier: MIT
"""Settings of runs with quantum nuclei: defaults, and what contradicts them.

Importing this loads neither torch nor OpenMM.
"""

from typing import Any

from ..runs.names import QTB, RPMD

# What a run has that does not say otherwise, by integrator. Frames of beads are ten
# times as rare as others if that leaves any.
DEFAULTS: dict[str, dict[str, Any]] = {
    RPMD: {"beads": 32, "classical_beads": None, "bead_interval": None},
    QTB: {
        "qtb_segment_ps": 0.1,
        "qtb_cutoff_per_ps": 1000.0,
        "qtb_adaptation": 0.01,
    },
}
NAMES = tuple(name for values in DEFAULTS.values() for name in values)
_FEW = 10
# Ensembles of each; OpenMM has no other barostat for ring polymers.
_ENSEMBLES = {RPMD: ("nvt", "nve", "npt"), QTB: ("nvt",)}
_REASONS = {
    RPMD: "OpenMM has no other barostat that moves whole ring polymers",
    QTB: "a Monte Carlo barostat takes positions to be distributed classically",
}


def nuclei_values(settings: Any) -> dict[str, Any]:
    """Collect what a record has of quantum nuclei: nothing with other integrators.

    Parameters
    ----------
    settings : RunSettings
    """
    defaults = DEFAULTS.get(settings.integrator, {})
    values = {
        name: default if getattr(settings, name) is None else getattr(settings, name)
        for name, default in defaults.items()
    }
    if settings.integrator == RPMD and values["bead_interval"] is None:
        often = settings.report_interval
        seldom = _FEW * often
        values["bead_interval"] = seldom if seldom <= settings.steps else often
    return values


def check_nuclei(settings: Any) -> None:
    """Refuse settings that contradict an integrator of quantum nuclei.

    Parameters
    ----------
    settings : RunSettings

    Raises
    ------
    ValueError
    """
    name = settings.integrator
    for integrator, defaults in DEFAULTS.items():
        given = [n for n in defaults if getattr(settings, n) is not None]
        if given and name != integrator:
            raise ValueError(
                f"{given[0]}: expected integrator {integrator!r}, which alone has it, "
                f"found {name!r}"
            )
    if name not in DEFAULTS:
        return
    if settings.ensemble not in _ENSEMBLES[name]:
        raise ValueError(
            f"expected for integrator {name!r} an ensemble of {_ENSEMBLES[name]}, "
            f"found {settings.ensemble!r}: {_REASONS[name]}"
        )
    if settings.hydrogen_mass_da is not None:
        raise ValueError(
            f"hydrogen_mass_da: expected hydrogens of their own mass with integrator "
            f"{name!r}, found {settings.hydrogen_mass_da:g} Da: quantum effects depend "
            "on masses"
        )
    for interval in ("dipole_interval", "charge_interval"):
        if name == RPMD and getattr(settings, interval):
            raise ValueError(
                f"{interval}: expected none with integrator {name!r}, found "
                f"{getattr(settings, interval)}: charges of the centroid are not those "
                "of the beads"
            )
    beads, fewer = settings.beads or DEFAULTS[RPMD]["beads"], settings.classical_beads
    if fewer is not None and fewer > beads:
        raise ValueError(f"expected classical_beads of at most {beads}, found {fewer}")
    if name == QTB and len(settings.temperature_k) > 1:
        raise ValueError(
            "expected one temperature with integrator 'qtb', whose noise is made for "
            f"it, found {list(settings.temperature_k)} K; heat with langevin-middle"
        )
    segment = settings.qtb_segment_ps
    if segment is not None and segment * 1e3 < 10 * settings.timestep_fs:
        raise ValueError(
            f"expected qtb_segment_ps of at least ten time steps of "
            f"{settings.timestep_fs:g} fs, found {segment:g} ps"
        )
