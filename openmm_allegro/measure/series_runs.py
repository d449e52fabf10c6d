# SPDX-License-Identifier: MIT
"""Runs of a series of temperatures: one stage, the same at each."""

from pathlib import Path
from typing import NamedTuple

from ..runs.names import PROTOCOL, SERIES
from ..runs.records import read_run_record
from ..runs.run import Run, begun_stages


class Temperature(NamedTuple):
    """Run of a series at one temperature.

    Attributes
    ----------
    kelvin : float
    runs : list of Run
        Stages that have begun.
    run : Run
        The one that is measured.
    """

    kelvin: float
    runs: list
    run: Run


class Series(NamedTuple):
    """Temperatures of a series, in ascending order.

    Attributes
    ----------
    temperatures : list of Temperature
        Those that have frames of the stage that is measured.
    warnings : list of str
        What is left out, and whether a later stage is to come.
    """

    temperatures: list
    warnings: list


def read_series(folder: str | Path, stage: str | None = None) -> Series:
    """Read one stage of a series at each temperature that has frames of it.

    Parameters
    ----------
    folder : str or Path
    stage : str, optional
        Default: the last stage of which one temperature has frames.

    Returns
    -------
    Series

    Raises
    ------
    FileNotFoundError
        If there is no series in the folder.
    ValueError
        If less than two temperatures have frames of the stage.
    """
    path = Path(folder) / SERIES
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the folder of a series of temperatures, found no {path}"
        )
    record = read_run_record(path)
    stages, runs = [], {}
    levels = zip(
        record.get("temperatures_k", []), record.get("folders", []), strict=True
    )
    for kelvin, name in levels:
        place, runs[float(kelvin)] = path.parent / Path(str(name)).name, []
        if (place / PROTOCOL).is_file():
            own, runs[float(kelvin)] = begun_stages(place)
            stages += [x for x in own if x not in stages]
    with_frames = {k: [x for x in of if x.has_frames] for k, of in runs.items()}
    chosen = stage
    if chosen is None:
        present = {run.stage for of in with_frames.values() for run in of}
        chosen = next((x for x in reversed(stages) if x in present), None)
    found, lacking = [], []
    for kelvin in sorted(runs):
        of_stage = [run for run in with_frames[kelvin] if run.stage == chosen]
        if of_stage:
            found.append(Temperature(kelvin, runs[kelvin], of_stage[-1]))
        else:
            lacking.append(f"{kelvin:g} K")
    if len(found) < 2:
        levels = ", ".join(f"{kelvin:g} K" for kelvin in sorted(runs))
        where, advice = "none", ""
        if found:
            where = f"{found[0].kelvin:g} K alone"
            advice = f"; analyze jumps {found[0].run.name} measures that one"
        raise ValueError(
            f"expected frames of {chosen or 'a stage'} (--stage) at two temperatures "
            f"at least of {folder}, found them at {where} of {levels}{advice}"
        )
    return Series(found, _warnings(chosen, stages, lacking, stage is None))


def _warnings(chosen: str, stages: list, lacking: list, default: bool) -> list[str]:
    """Say which temperatures are left out, and which stages are yet to come."""
    warnings = []
    if lacking:
        warnings.append(
            f"Left out, without frames of {chosen}, which is measured at the others: "
            f"{', '.join(lacking)}."
        )
    later = stages[stages.index(chosen) + 1 :] if chosen in stages else []
    if default and later:
        warnings.append(
            f"{chosen} is measured: no temperature has frames of {', '.join(later)}, "
            "which follows it. What equilibrates is no production."
        )
    return warnings
