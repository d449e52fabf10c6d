# SPDX-License-Identifier: MIT
"""Loading of nequip's files by nequip's own loader, after a check of their kind."""

import contextlib
import logging
import os
import random
import re
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

# Environment variables that nequip sets, or lightning for it
_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "PYTORCH_JIT_USE_NNC_NOT_NVFUSER")
_SOLE = "sole_model"  # nequip's name for the one model of a file
_FUSION = [("DYNAMIC", 10)]  # any strategy: setting one returns the one before
_log = logging.getLogger(__name__)
_EXPECTED = "expected a checkpoint (*.ckpt) or a package (*.nequip.zip) of nequip's"
_COMPILED = (
    f"{_EXPECTED}, found a model compiled with {{}}: it runs only on the device it was "
    "compiled for, and its weights cannot be taken out; import the checkpoint or the "
    "package that it was compiled from"
)


def load(path: Path, model_key: str | None) -> torch.nn.Module:
    """Load the nequip model of a checkpoint or package, on the CPU.

    Parameters
    ----------
    path : path
    model_key : str, optional
        Name of the model, if the file holds several.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If nequip or nequip-allegro is missing.
    ValueError
        If the file is corrupt, compiled, of another program or from a newer version.
    """
    with nequip_state():
        check_file(path)
        from nequip.model.saved_models.load_utils import load_saved_model

        _log.warning("nequip unpickles %s, which can run code from it", path)
        try:
            try:
                models = load_saved_model(str(path), model_key=None)
            except KeyError as error:
                if error.args != (None,):
                    raise
                key = model_key or _SOLE  # older versions cannot list the keys
                models = {key: load_saved_model(str(path), model_key=key)}
        except Exception as error:  # the pickle and the network can raise anything
            raise ValueError(
                f"{path}: {_EXPECTED}, found one that {describe_versions()} cannot "
                f"load ({type(error).__name__}: {_first_line(error)})"
            ) from error
    keys = list(models)
    chosen = model_key or (_SOLE if _SOLE in keys else keys[0])
    if chosen not in keys or (model_key is None and len(keys) > 1):
        raise ValueError(
            f"{path}: expected the name of one of its models {keys} (--model-key), "
            f"found {model_key!r}"
        )
    return models[chosen].eval()


def check_file(path: Path) -> None:
    """Refuse a file that nequip could not load, without executing any of it.

    Raises
    ------
    FileNotFoundError, ValueError
        As by ``load``.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{_EXPECTED}, found nothing at {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path}: {_EXPECTED}, found a file that is corrupt, truncated or of "
            "another kind (no zip archive)"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            # without the archive's own name, in which all files are
            names = {n.partition("/")[2]: n for n in archive.namelist()}
            package = names.get("model/package_metadata.txt")
            text = archive.read(package).decode() if package else ""
    except (zipfile.BadZipFile, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: {_EXPECTED}, found a corrupt one: {error}"
        ) from error
    if broken:
        raise ValueError(
            f"{path}: {_EXPECTED}, found a corrupt one: bad checksum of {broken}"
        )
    if any("aotinductor" in name for name in names.values()):
        raise ValueError(f"{path}: {_COMPILED.format('AOTInductor')}")
    if "constants.pkl" in names:
        raise ValueError(f"{path}: {_COMPILED.format('TorchScript')}")
    if package:
        _check_package(path, text)
    elif "data.pkl" not in names:
        raise ValueError(f"{path}: {_EXPECTED}, found a zip archive of another kind")


def _check_package(path: Path, text: str) -> None:
    if not path.name.endswith(".nequip.zip"):
        raise ValueError(
            f"{path}: expected the name of a package to end in .nequip.zip, as nequip "
            f"requires, found {path.name}"
        )
    from nequip.scripts.package import _CURRENT_NEQUIP_PACKAGE_VERSION as newest

    version = re.search(r"^package_version_id: (\d+)", text, re.MULTILINE)
    if version is None:
        raise ValueError(f"{path}: expected a package_version_id, found none")
    if int(version[1]) > newest:
        writer = re.search(r"^ +nequip: (\S+)", text, re.MULTILINE)
        raise ValueError(
            f"{path}: expected a package of format up to {newest}, which nequip "
            f"{versions()['nequip']} reads, found format {version[1]} from nequip "
            f"{writer[1] if writer else '(unknown)'}; install a newer nequip"
        )


@contextlib.contextmanager
def nequip_state() -> Iterator[None]:
    """Set nequip's global state for the duration of a ``with`` block.

    nequip builds models only after it has set torch's default dtype to float64, the
    seeds of all generators, e3nn's defaults, how TorchScript fuses, and environment
    variables. A package also adds handlers to the root logger. All of these are
    restored afterwards, unless nequip had set them already. What the import of nequip
    itself changes is not undone.

    Raises
    ------
    ImportError
        If nequip or nequip-allegro is missing.
    """
    try:
        import allegro  # noqa: F401
        from nequip.utils import global_state
    except ImportError as error:
        raise ImportError(
            "expected nequip >= 0.13 and nequip-allegro >= 0.5, found that they cannot "
            f"be imported ({error}); pip install 'openmm-allegro[nequip]'"
        ) from error
    import e3nn

    was_set = global_state._GLOBAL_STATE_INITIALIZED
    dtype, defaults = torch.get_default_dtype(), e3nn.get_optimization_defaults()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    python_state, torch_state = random.getstate(), torch.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002
    fusion = torch.jit.set_fusion_strategy(_FUSION)
    torch.jit.set_fusion_strategy(fusion)
    try:
        if not was_set:  # a second time, it would undo the user's own settings
            global_state.set_global_state()
        yield
    finally:
        if not was_set:  # so that nequip sets it again for its next user
            global_state._GLOBAL_STATE_INITIALIZED = False
            torch.jit.set_fusion_strategy(fusion)
            for name, value in variables.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
            torch.set_default_dtype(dtype)
            e3nn.set_optimization_defaults(**defaults)
        root.handlers[:] = handlers
        root.setLevel(level)
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)


def versions() -> dict[str, str]:
    """Look up the installed versions of nequip and nequip-allegro."""
    installed = {}
    for name in ("nequip", "nequip-allegro"):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed[name] = "(none)"
    return installed


def describe_versions() -> str:
    """Name the installed nequip and nequip-allegro, for a message."""
    return " with ".join(" ".join(item) for item in versions().items())


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]
