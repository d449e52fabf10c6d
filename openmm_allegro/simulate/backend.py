# SPDX-License-Identifier: MIT
"""Tell what is known of a run before its System is made, for the backend "auto"."""

from collections.abc import Iterator
from pathlib import Path

from ..forces import PlannedRun
from ..runs.names import paths_of
from ..utils.files import read_record
from .platform import choose_platform
from .settings import Execution


def planned_run(execution: Execution, output: str | Path) -> PlannedRun:
    """Platform of a run, and the backend that its files name if it is to be resumed.

    Parameters
    ----------
    execution : Execution
    output : path
        Prefix of a run's files, or folder of a protocol, of a series, or of a free
        energy.

    Raises
    ------
    ValueError
        If there is no platform of the name.
    """
    platform, _ = choose_platform(execution.platform)
    recorded = _recorded(Path(output)) if execution.resume else ""
    return PlannedRun(platform.getName(), recorded)


def _recorded(output: Path) -> str:
    """Backend in the record that was written last; empty if there is none."""
    newest: dict[float, str] = {}
    for path in _records(output):
        try:
            backend = read_record(path).get("backend")
        except ValueError:  # what resumes the run refuses it
            continue
        if isinstance(backend, str):
            newest[path.stat().st_mtime] = backend
    return newest[max(newest)] if newest else ""


def _records(output: Path) -> Iterator[Path]:
    """Records of a run by its prefix, or of runs in a folder and in folders of it."""
    path = paths_of(output)["record"]
    if path.is_file():
        yield path
    elif output.is_dir():
        suffix = path.name.removeprefix(output.name)
        for pattern in (f"*{suffix}", f"*/*{suffix}"):
            yield from output.glob(pattern)
