# SPDX-License-Identifier: MIT
"""Log that a job goes on, if nothing is said for more than a few seconds."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator

# Seconds of silence before the first line, and at most between others.
FIRST, NEXT = 3.0, 30.0
_PACKAGE = __name__.partition(".")[0]


class _Job:
    """What is being done, and which part of it."""

    def __init__(self) -> None:
        self.stage: str | None = None  # that was named, and is being done
        self.ended: str | None = None  # last one within it that has ended


# The innermost last, which alone is told.
_jobs: list[_Job] = []
_last_line = float("-inf")  # when something was logged


class _Noting(logging.Filter):
    """Note when a handler logs a line."""

    def filter(self, record: logging.LogRecord) -> bool:
        global _last_line
        _last_line = time.monotonic()
        return True


def note_lines() -> None:
    """Let lines that are logged count as no silence."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, _Noting) for one in handler.filters):
            handler.addFilter(_Noting())


@contextlib.contextmanager
def log_if_long(
    log: logging.Logger, text: str, first: str | None = None
) -> Iterator[None]:
    """Log a text where what follows is silent for three seconds, and again later.

    Of jobs within one another the innermost is told, with what it is at: a package that
    is being loaded, what ``name_stage`` said, or the last job within it that has ended.
    A bar that shows progress is no silence, nor are lines that are logged, where
    ``note_lines`` was called.

    Parameters
    ----------
    log : logging.Logger
        Gets lines at INFO, which the command shows and Python does not by default.
    text : str
        As ``"measuring rdf"``.
    first : str, optional
        In its place, where nothing was said before.
    """
    if not log.isEnabledFor(logging.INFO):
        yield
        return
    ended, job = threading.Event(), _Job()
    started, thread_id = time.monotonic(), threading.get_ident()

    def tell() -> None:
        told = False
        silent_from, pause = started, FIRST
        while not ended.wait(min(_until(silent_from + pause), FIRST)):
            if _jobs[-1:] != [job] or _has_bar():  # another tells
                silent_from, pause = time.monotonic(), FIRST
            elif _last_line > silent_from:
                silent_from, pause = _last_line, FIRST
            elif not _until(silent_from + pause):
                seconds = time.monotonic() - started
                since = f", since {seconds:.0f} s" if told else ""
                is_first = first is not None and _last_line < started
                words = first if is_first else text + _stage_words(job, thread_id)
                log.info("%s%s", words, since)
                silent_from, told = time.monotonic(), True
                pause = min(max(2 * seconds, FIRST), NEXT)

    _jobs.append(job)
    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        _jobs.remove(job)
        if _jobs:
            _jobs[-1].ended, _jobs[-1].stage = text, None
        thread.join()


def name_stage(text: str) -> None:
    """Name what the innermost job does from now on, as ``"reading the energies"``."""
    if _jobs:
        _jobs[-1].stage = text


def _stage_words(job: _Job, thread_id: int) -> str:
    """Say what a job is at, as far as it is known."""
    package = _loaded_package(thread_id)
    if package:
        return f": loading {package}"
    if job.stage:
        return f": {job.stage}"
    return f": after {job.ended}" if job.ended else ""


def _loaded_package(thread_id: int) -> str:
    """Name the package of others that a thread is importing; empty if it is not."""
    frame, package = sys._current_frames().get(thread_id), ""
    while frame is not None:  # the outermost one counts, not what that imports
        if frame.f_code.co_name == "_find_and_load":
            name = str(frame.f_locals.get("name", "")).partition(".")[0]
            if name not in (_PACKAGE, "") and name not in sys.stdlib_module_names:
                package = name
        frame = frame.f_back
    return package


def _until(due: float) -> float:
    """Seconds until a time, 0 after it."""
    return max(due - time.monotonic(), 0.0)


def _has_bar() -> bool:
    """Tell whether a bar of tqdm is on the screen."""
    # another thread may be importing it
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return len(getattr(bars, "_instances", ())) > 0
