# SPDX-License-Identifier: MIT
"""Compiled kernels of graphics cards, kept in the user's cache folder."""

import hashlib
import json
import logging
import tempfile
import time
from pathlib import Path

from ...utils.files import cache_folder
from .nvrtc import FLAGS, Compiled, Nvrtc

_log = logging.getLogger(__name__)


def compiled_source(nvrtc: Nvrtc, source: str, architecture: str) -> Compiled:
    """Compile a source, or read what was compiled before.

    It is compiled anew when the source, the architecture, the flags or the compiler
    change, or the file was damaged. ``OPENMM_ALLEGRO_CACHE`` names another folder.

    Parameters
    ----------
    nvrtc : Nvrtc
    source : str
    architecture : str
        As ``Nvrtc.architecture`` gives it.

    Raises
    ------
    CompilationError
    """
    key = json.dumps([nvrtc.version, architecture, FLAGS, source]).encode()
    name = f"card-{architecture}-{hashlib.sha256(key).hexdigest()[:24]}"
    path = cache_folder() / name
    kept = _read(path)
    if kept is not None:
        return kept
    _log.info("compiling kernels for %s into %s, once", architecture, path.parent)
    start = time.monotonic()
    compiled = nvrtc.compile(source, architecture)
    _log.info("compiled them in %.1f s", time.monotonic() - start)
    try:
        _write(path, compiled)
    except OSError as error:
        _log.warning(
            "expected to keep compiled kernels in %s, found %s; each process compiles "
            "them anew unless OPENMM_ALLEGRO_CACHE names another folder",
            path.parent,
            error,
        )
    return compiled


# A file: the SHA-256 of what follows, the bytes of the log as a number of 8, log, code.


def _read(path: Path) -> Compiled | None:
    """What was kept; None if there is nothing, or it is not what was written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    end = 8 + int.from_bytes(body[:8], "little")
    return Compiled(body[end:], body[8:end].decode())


def _write(path: Path, compiled: Compiled) -> None:
    log = compiled.log.encode()
    body = len(log).to_bytes(8, "little") + log + compiled.code
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        made.write_bytes(hashlib.sha256(body).digest() + body)
        made.replace(path)  # another process may have been faster: either file is whole
