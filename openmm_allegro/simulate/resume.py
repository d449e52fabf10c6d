# SPDX-License-Identifier: MIT
"""Check that a run can be resumed: it is the same one, and its files are whole."""

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import openmm
from openmm import app

from ..bias.sampling import RECORDED, sampling_differences
from ..classical.serialized import read_state
from ..potential.description import MODEL_NOTES
from ..runs.names import SUFFIXES
from ..utils.files import check_kinds, read_record, replace_file, write_record
from .checkpoint import Checkpoint, read_checkpoint
from .checks import CHANGEABLE, check_resumed
from .differences import Asked, differences
from .file_sums import Sums, check_files, growing_files, sha256_of
from .topology_file import write_topology

log = logging.getLogger(__name__)

# Files that a run writes once, whose hashes are in its record.
WRITTEN_ONCE = ("topology", "system", "velocities")

# Types of what a resumed run needs of its record.
_KINDS = {
    **dict.fromkeys(("steps", "completed_steps", "seed", "atoms"), int),
    **dict.fromkeys(("identity", "files_sha256"), dict),
    "resumed_at": list,
    "finished": bool,
}


class Earlier(NamedTuple):
    """Record of a run, empty for none, and its last checkpoint."""

    record: dict[str, Any]
    checkpoint: Checkpoint | None

    @property
    def step(self) -> int:
        """Step of the checkpoint."""
        return self.checkpoint.step if self.checkpoint else 0


def read_earlier(paths: dict[str, Path]) -> Earlier:
    """Read the record and the last checkpoint of a run that is to be resumed."""
    record = read_record(paths["record"])
    if "engine" in record:
        raise ValueError(
            f"expected the record of a run in OpenMM at {paths['record']}, found one "
            "of LAMMPS; openmm-allegro lammps FOLDER --resume continues it, or use "
            "another name"
        )
    check_kinds(record, _KINDS, paths["record"])
    if not paths["checkpoint"].exists():
        return Earlier(record, None)
    return Earlier(record, read_checkpoint(paths["checkpoint"]))


def check_earlier(
    earlier: Earlier,
    settings: dict[str, Any],
    run: Asked,
    paths: dict[str, Path],
    own: Sequence[Any],
) -> bool:
    """Check that a run can be resumed; True if nothing is left to do.

    Parameters
    ----------
    earlier : Earlier
    settings : dict
        Values that are asked for, by their names in the record.
    run : Asked
    paths : dict of str to Path
    own : sequence
        The user's reporters whose files are cut to the checkpoint.

    Raises
    ------
    ValueError
        If it is another run, or a file is missing, damaged or changed.
    """
    before, checkpoint = earlier
    check_same_run(before, settings, run, paths)
    ended = bool(before.get("finished")) and before["steps"] == settings["steps"]
    if checkpoint is None:
        if before["completed_steps"] > 0 and not ended:
            raise ValueError(
                f"expected the checkpoint {paths['checkpoint']} of a run that has "
                f"{before['completed_steps']} steps, found none; bring it back, or "
                "start anew (overwrite=True, --force)"
            )
        return ended
    _check_plumed(settings, ended)
    check_written(before, paths)
    prefix = str(paths["record"]).removesuffix(SUFFIXES["record"])
    growing = growing_files(prefix, own)
    sums = checkpoint.sums
    if ended:  # without the reporters that are not needed any more
        sums = Sums(*({k: v for k, v in x.items() if k in growing} for x in sums))
    check_files(growing, sums)
    if ended:
        _mend(earlier, run, paths)
    return ended


def _check_plumed(settings: dict[str, Any], ended: bool) -> None:
    """Refuse to continue what PLUMED has begun: its files are not cut."""
    if not ended and (settings.get("bias") or {}).get("kind") == "plumed":
        raise ValueError(
            "expected a run without PLUMED to resume, found bias kind 'plumed', whose "
            "state is in PLUMED's own files; begin another run from the end of this "
            "one (state=...), with RESTART in PLUMED's input, or start anew "
            "(overwrite=True, --force)"
        )


def check_same_run(
    before: dict[str, Any],
    settings: dict[str, Any],
    run: Asked,
    paths: dict[str, Path],
    may_change: Collection[str] = CHANGEABLE,
) -> None:
    """Refuse to resume a run as another: other settings, System, model or topology.

    Parameters
    ----------
    before : dict
        Record of the run.
    settings, run
        As ``check_earlier``.
    paths : dict of str to Path
        Its ``record``, ``topology`` and, if any, ``system``.
    may_change : collection of str
        Names of settings that may differ.

    Raises
    ------
    ValueError
    """
    others = differences(
        before,
        run,
        system_file=paths.get("system"),
        topology_file=paths["topology"],
    )
    others += sampling_differences(before, settings)
    may_change = {*may_change, *RECORDED}  # named above
    models = run.identity["models"]
    if models and before.get("identity", {}).get("models") == models:
        may_change = {*may_change, *MODEL_NOTES}  # the same, from another file or none
    check_resumed(before, settings, paths["record"], may_change, others)


def hash_written(paths: dict[str, Path]) -> dict[str, str]:
    """Hash the files that a run writes once, for its record, by their names."""
    present = [name for name in WRITTEN_ONCE if name in paths and paths[name].is_file()]
    return {name: sha256_of(paths[name]) for name in present}


def check_written(before: dict[str, Any], paths: dict[str, Path]) -> None:
    """Refuse files that were changed since the run wrote them.

    Raises
    ------
    ValueError
    """
    for name, digest in before.get("files_sha256", {}).items():
        path = paths.get(name)
        if path is not None and path.is_file() and sha256_of(path) != digest:
            again = "bring it back"
            if name != "velocities":
                again += ", or remove it to have it written anew"
            raise ValueError(
                f"expected {path} as the run wrote it, found a file that is damaged or "
                f"was changed; {again}"
            )
        if path is not None and name == "velocities" and not path.is_file():
            raise ValueError(
                f"expected {path} of the finished run, found no such file; bring it "
                "back, or start anew (overwrite=True, --force)"
            )


def write_missing(
    paths: dict[str, Path],
    checkpoint: Checkpoint,
    prepare: Callable[[], openmm.System],
    topology: app.Topology,
) -> None:
    """Write System and topology again where they are missing, the latter as it is now.

    Parameters
    ----------
    paths : dict of str to Path
    checkpoint : Checkpoint
    prepare : function
        Makes the System as it is simulated.
    topology : openmm.app.Topology
    """
    for name in ("system", "topology"):
        path = paths[name]
        if path.is_file():
            continue
        if name == "system":
            replace_file(path, openmm.XmlSerializer.serialize(prepare()))
        else:
            state = read_state(checkpoint.state, "state.xml of the checkpoint")
            write_topology(path, topology, state.getPositions())
        log.warning(
            "expected %s of the run, found no such file; it is written anew%s",
            path,
            ", with the positions of the checkpoint" if name == "topology" else "",
        )


def _mend(earlier: Earlier, run: Asked, paths: dict[str, Path]) -> None:
    """Write files of a finished run again that can be: a stage may begin from them."""
    before, checkpoint = earlier
    if checkpoint is None or checkpoint.step != before["steps"]:
        return
    write_missing(paths, checkpoint, run.prepare, run.topology)
    state = paths["state"]
    if not state.is_file() or state.read_text() != checkpoint.state:
        log.warning("%s is written anew, from the checkpoint", state)
        replace_file(state, checkpoint.state)
    hashes = hash_written(paths)
    if hashes != before.get("files_sha256", hashes):
        write_record(paths["record"], before | {"files_sha256": hashes})
