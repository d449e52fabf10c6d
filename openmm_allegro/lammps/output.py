# SPDX-License-Identifier: MIT
"""Files of a run in LAMMPS: their names, and an earlier run in the same folder."""

import contextlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..runs.names import (
    PROTOCOL,
    lammps_paths_of,
    paths_of,
    remove_output,
    stage_names,
)
from ..utils.files import read_record
from ..utils.process import writers_of
from .build import PLUGIN
from .export import SUFFIX

PLAN = "plan.json"
INPUT = "in.lammps"
DATA = "system.data"
LOG = "lammps.log"
LAUNCHER = "mpirun -np 4 lmp -in"


def run_line(folder: Path) -> str:
    """Command that runs LAMMPS, with a shell's quotes."""
    if not is_plain(folder):
        return f"cd {shlex.quote(str(folder))} && {LAUNCHER} {INPUT}"
    return f"{LAUNCHER} {shlex.quote(str(folder / INPUT))}"


def is_plain(folder: Path) -> bool:
    """Tell whether LAMMPS can change to a folder: it reads ASCII, and quotes end it."""
    path = str(folder.resolve())
    return path.isascii() and '"' not in path


def model_names(count: int) -> tuple[str, ...]:
    """Names of the files of a model, or of members of a committee."""
    if count == 1:
        return (f"model{SUFFIX}",)
    return tuple(f"model-{number}{SUFFIX}" for number in range(1, count + 1))


def check_folder(
    folder: Path, names: Sequence[str], inputs: Iterable[Path], overwrite: bool
) -> None:
    """Refuse to replace files unasked, and inputs at all.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Of the stages.
    inputs : iterable of Path
    overwrite : bool

    Raises
    ------
    FileExistsError, ValueError
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"expected a folder at {folder}, found a file")
    files = _files(folder, names)
    taken = {path.resolve() for path in files}
    for path in inputs:
        if path.resolve() in taken:
            raise ValueError(
                f"expected an output other than the input, found {path} as both; use "
                "another folder"
            )
    existing = [str(path) for path in files if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"expected no run yet in {folder}, found {', '.join(existing[:5])}; use "
            "another folder, overwrite=True (--force) to replace it, or --resume to "
            "continue it"
        )


def check_ended(folder: Path, names: Sequence[str]) -> None:
    """Refuse to touch files that LAMMPS writes to.

    Raises
    ------
    RuntimeError
    """
    paths = [folder / LOG]
    for name in names:
        own, state = paths_of(folder / name), lammps_paths_of(folder / name)
        paths += [own["trajectory"], own["energies"], state["part"]]
    writers = writers_of(paths)
    if writers:
        raise RuntimeError(
            f"expected no LAMMPS that is running in {folder}, found "
            f"{' and '.join(f'process {number}' for number in writers)} writing there "
            "now; wait for the end, or end it"
        )


@contextlib.contextmanager
def without_empty_folder(folder: Path) -> Iterator[None]:
    """Leave no folder behind in which nothing was written before an error."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # there are files, or no folder
            folder.rmdir()
        raise


def remove_earlier(
    folder: Path, names: Sequence[str], keep: Sequence[str] = ()
) -> None:
    """Remove files of an earlier run and those of the stages of a new one, but some."""
    for name in _all_names(folder, names):
        remove_output(folder / name)
    for path in _files(folder, names):  # the protocol, which names them, is last
        if path.name not in keep:
            path.unlink(missing_ok=True)


def _files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Files that are there or will be, the protocol's last."""
    files = [folder / name for name in (INPUT, PLAN, DATA, LOG, PLUGIN)]
    files += sorted(folder.glob(f"model*{SUFFIX}"))
    for name in _all_names(folder, names):
        files += paths_of(folder / name).values()
        files += lammps_paths_of(folder / name).values()
    return [*files, folder / PROTOCOL]


def _all_names(folder: Path, names: Sequence[str]) -> list[str]:
    """Names of the stages, and of those of an earlier run."""
    path = folder / PROTOCOL
    earlier = stage_names(read_record(path), path) if path.is_file() else []
    return list(dict.fromkeys([*names, *earlier]))
