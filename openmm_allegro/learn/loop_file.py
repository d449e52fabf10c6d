# SPDX-License-Identifier: MIT
"""Read a loop of active learning from a TOML file, and check what it names."""

import dataclasses
import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..model import AllegroConfig
from ..model.model import Model
from ..modelfile import load_model
from ..potential.committee import check_members
from ..simulate.protocol_file import Settings, read_settings
from ..structure import Structure
from ..structure.labels.settings import LabelSettings
from ..training.config import TrainConfig
from ..training.data import read_labelled
from ..training.fine_tune import fine_tuned_config
from ..utils.config import brief, from_mapping, read_tables
from ..utils.settings import settings_of
from .settings import Exploration, LabelSource, LoopConfig

TABLES = ("learn", "labels", "explore", "model", "train")


class Loop(NamedTuple):
    """A loop, with the files read that it names.

    Attributes
    ----------
    folder : Path
        Of its file, to which paths are relative.
    config : LoopConfig
    source : LabelSource
    arguments : dict
        Of the ASE calculator.
    explorations : list of Exploration
    networks : list of AllegroConfig
        Of the members.
    models : list of Model
        Those of ``start_from``.
    training : TrainConfig
        Of the members.
    known, validation, test, replay : list of Structure
        Frames of files, ``known`` those to begin with.
    """

    folder: Path
    config: LoopConfig
    source: LabelSource
    arguments: dict[str, Any]
    explorations: list[Exploration]
    networks: list[AllegroConfig]
    models: list[Model]
    training: TrainConfig
    known: list[Structure]
    validation: list[Structure]
    test: list[Structure]
    replay: list[Structure]

    @property
    def labels(self) -> LabelSettings:
        """Names and units of the labels in all files."""
        return label_settings(self.source)

    def record(self) -> dict[str, Any]:
        """Collect the settings, as the record of the loop has them."""
        return {
            "learn": dataclasses.asdict(self.config),
            "labels": dataclasses.asdict(self.source) | {"arguments": self.arguments},
            "explore": [dataclasses.asdict(e) for e in self.explorations],
            "model": [dataclasses.asdict(network) for network in self.networks],
            "train": dataclasses.asdict(self.training),
            "files": self._digests(),
        }

    def _digests(self) -> dict[str, str]:
        """SHA-256 of the files that the loop reads, which may not change."""
        config = self.config
        names = [*config.start_from, *config.training, *config.validation]
        names += [*config.test, *config.replay]
        for exploration in self.explorations:
            names += [*exploration.pool, *filter(None, [exploration.protocol])]
        return {
            name: hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            for name in names
        }


def read_loop(path: str | Path) -> Loop:
    """Read the tables of a loop and the frames and models that they name.

    The file has the tables ``[learn]`` (LoopConfig), ``[labels]`` (LabelSource, and
    ``arguments`` of a calculator), ``[[explore]]`` (Exploration, one or more),
    ``[train]`` (TrainConfig) and, for members that begin with random weights,
    ``[model]`` (AllegroConfig).

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a table, key or value is unknown, of a wrong type or out of range, a
        calculator cannot be found, or models do not make a committee.
    """
    path = Path(path)
    tables = read_tables(path, TABLES)
    config = from_mapping(LoopConfig, tables.get("learn", {}), f"{path} [learn]")
    source, arguments = _read_source(tables.get("labels", {}), path)
    explorations = _read_explorations(tables.get("explore", []), path)
    if source.kind == "pool" and not all(e.pool for e in explorations):
        raise ValueError(
            f"{path} [labels]: expected kind command or ase beside an exploration by a "
            "protocol, whose frames no file labels, found pool"
        )
    training = from_mapping(TrainConfig, tables.get("train", {}), f"{path} [train]")
    plain = dataclasses.replace(source, use_weights=False)
    parts = {
        name: _read_frames(path.parent, getattr(config, name), part)
        for name, part in (
            ("training", source),
            ("validation", source),
            ("test", plain),
            ("replay", source),
        )
    }
    models = [load_model(path.parent / name) for name in config.start_from]
    frames = [structure for part in parts.values() for structure in part]
    networks = _networks(config, models, tables.get("model", {}), frames, path)
    known, *others = parts.values()
    loop = Loop(
        *(path.parent, config, source, arguments, explorations, networks, models),
        *(training, known, *others),
    )
    _check_protocols(loop, path)
    return loop


def _read_source(table: Any, path: Path) -> tuple[LabelSource, dict[str, Any]]:
    """Read who labels, and the arguments of a calculator, whose class must exist."""
    where = f"{path} [labels]"
    if not isinstance(table, dict):
        raise ValueError(f"{where}: expected a table, found {brief(table)}")
    table = dict(table)
    arguments = table.pop("arguments", {})
    source = from_mapping(LabelSource, table, where)
    if not isinstance(arguments, dict) or (arguments and source.kind != "ase"):
        raise ValueError(
            f"{where}: expected arguments as a table, beside kind = 'ase', found "
            f"{brief(arguments)}"
        )
    if source.kind == "ase":
        calculator_class(source.calculator, where)
    return source, arguments


def calculator_class(name: str, where: str) -> Any:
    """Import the class of a calculator by its ``module:Class``.

    Raises
    ------
    ValueError
        If there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{where}: expected calculator as module:Class, such as "
            f"ase.calculators.emt:EMT, found {name!r} ({error})"
        ) from error


def _read_explorations(tables: Any, path: Path) -> list[Exploration]:
    if not isinstance(tables, list) or not tables:
        found = brief(tables) if tables else "none"
        raise ValueError(f"{path}: expected tables [[explore]], found {found}")
    explorations = [
        from_mapping(Exploration, table, f"{path} [[explore]] number {number}")
        for number, table in enumerate(tables, start=1)
    ]
    names = [exploration.name for exploration in explorations]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: expected explorations of other names, found {names}")
    return explorations


def _read_frames(
    folder: Path, names: Sequence[str], source: LabelSource
) -> list[Structure]:
    files = [folder / name for name in names]
    return read_labelled(files, (), label_settings(source)) if files else []


def label_settings(source: LabelSource) -> LabelSettings:
    """Names and units of labels alone."""
    names = settings_of(LabelSettings)
    return LabelSettings(**{name: getattr(source, name) for name in names})


def _networks(
    config: LoopConfig,
    models: Sequence[Model],
    table: Any,
    frames: Sequence[Structure],
    path: Path,
) -> list[AllegroConfig]:
    """Configs of the members' networks."""
    where = f"{path} [model]"
    if not models:
        return [from_mapping(AllegroConfig, table, where)] * config.members
    check_members(models)
    if models[0].kind == "delta" or any(m.config.is_charged for m in models):
        raise ValueError(
            f"{path} [learn]: expected models of whole energies and without charges in "
            "start_from; a baseline or charges in the loop are not supported"
        )
    networks = [fine_tuned_config(m.config, frames, table, where) for m in models]
    return [networks[member % len(models)] for member in range(config.members)]


def protocol_settings(loop: Loop, exploration: Exploration) -> tuple[Settings, Path]:
    """Settings of the protocol of an exploration, and the path of its file."""
    path = loop.folder / exploration.protocol
    return read_settings(path), path


def _check_protocols(loop: Loop, path: Path) -> None:
    """Refuse protocols that no committee can run, and stages that they lack."""
    for exploration in loop.explorations:
        for name in exploration.pool:
            if not (loop.folder / name).is_file():
                raise FileNotFoundError(
                    f"{path} [[explore]] {exploration.name}: expected a file of frames "
                    f"at {loop.folder / name}, found nothing"
                )
        if exploration.pool:
            continue
        settings, file = protocol_settings(loop, exploration)
        if settings.system.system or settings.system.baseline:
            raise ValueError(
                f"{file} [system]: expected a protocol of a model alone, found one of "
                "a System or a baseline, whose forces the labels would lack"
            )
        if settings.system.mixing is not None:
            raise ValueError(
                f"{file} [mixing]: expected a protocol of a model alone, found a "
                "region in a force field, of which no frame can be labelled"
            )
        known = [stage.name for stage in settings.stages]
        unknown = [name for name in exploration.stages if name not in known]
        if unknown:
            raise ValueError(
                f"{path} [[explore]] {exploration.name}: expected stages among "
                f"{', '.join(known)}, found {', '.join(unknown)}"
            )
