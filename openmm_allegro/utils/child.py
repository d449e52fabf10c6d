# SPDX-License-Identifier: MIT
"""Work of libraries that a damaged file can end, in a process of its own."""

import contextlib
import gc
import os
import pickle
import signal
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

_HEAD = struct.Struct("<qq")
# Bytes that a pipe holds; the most that Linux grants to everybody.
_PIPE = 1 << 20


class ChildEnded(RuntimeError):
    """The process of a child has ended before its work was done."""


def from_child(make: Callable[[], Iterable[T]]) -> Iterator[T]:
    """Yield what is made in a child process, whose crash is an error here.

    The child is a fork: it starts within milliseconds and knows all that is known here,
    and reads ahead while this process works. Where there are no forks, as on Windows,
    the same is done in this process.

    Parameters
    ----------
    make : callable
        Returns an iterable of what can be pickled; arrays are not copied for it. It
        may neither compute in threads nor write to the screen.

    Raises
    ------
    ChildEnded
        If the child crashes.
    Exception
        What `make` raises, or RuntimeError with its words if it cannot be pickled.
    """
    if not hasattr(os, "fork"):
        yield from make()
        return
    source, sink = os.pipe()
    with contextlib.suppress(AttributeError, ImportError, OSError):
        import fcntl  # on Linux a pipe may hold more than 64 kB: fewer switches

        fcntl.fcntl(sink, fcntl.F_SETPIPE_SZ, _PIPE)
    with warnings.catch_warnings():
        # Of threads, which the child does not use.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(source)
        _work(make, sink)
    os.close(sink)
    status = None
    try:
        with open(source, "rb") as pipe:
            while (received := _receive(pipe)) is not None:
                kind, item = received
                if kind == "end":
                    return
                if kind == "error":
                    raise item
                yield item
        status = os.waitpid(pid, 0)[1]
        raise ChildEnded(f"the reader has crashed ({_reason(status)})")
    finally:
        if status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _work(make: Callable[[], Iterable[Any]], sink: int) -> NoReturn:
    """Send all items to the pipe and end the process, whatever happens."""
    try:
        _keep_to_itself()
        with open(sink, "wb") as pipe:
            try:
                for item in make():
                    _send(pipe, "item", item)
                _send(pipe, "end", None)
            except Exception as error:
                _send(pipe, "error", _portable(error))
    finally:
        os._exit(0)


def _keep_to_itself() -> None:
    """Leave the screen, the keyboard, core files and freed objects to the parent."""
    import faulthandler
    import resource

    gc.disable()
    warnings.simplefilter("ignore")
    faulthandler.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for screen in (1, 2):
        os.dup2(nowhere, screen)


def _send(pipe: Any, kind: str, item: Any) -> None:
    """Write the lengths of what follows, then it; arrays as they lie in memory."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps((kind, item), protocol=5, buffer_callback=buffers.append)
    pieces = [buffer.raw() for buffer in buffers]
    pipe.write(_HEAD.pack(len(head), len(pieces)))
    pipe.write(struct.pack(f"<{len(pieces)}q", *(piece.nbytes for piece in pieces)))
    pipe.write(head)
    for piece in pieces:
        pipe.write(piece)
    pipe.flush()


def _receive(pipe: Any) -> tuple[str, Any] | None:
    """Read what `_send` wrote, or None if the child has ended."""
    head = _read(pipe, _HEAD.size)
    if head is None:
        return None
    n_head, n_pieces = _HEAD.unpack(head)
    sizes = _read(pipe, 8 * n_pieces)
    if sizes is None:
        return None
    sizes = struct.unpack(f"<{n_pieces}q", sizes)
    pieces = [_read(pipe, size) for size in (n_head, *sizes)]
    if any(piece is None for piece in pieces):
        return None
    return pickle.loads(pieces[0], buffers=pieces[1:])


def _read(pipe: Any, size: int) -> Any:
    """Read so many bytes into an array of their own; None where there are fewer."""
    import numpy as np

    content = np.empty(size, dtype=np.uint8)  # not zeroed first
    view, done = memoryview(content), 0
    while done < size:
        n = pipe.readinto(view[done:])
        if not n:
            return None
        done += n
    return content


def _portable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        lines = str(error).strip().splitlines() or [""]
        return RuntimeError(f"{type(error).__name__}: {lines[-1]}")
    return error


def _reason(status: int) -> str:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return signal.Signals(number).name if number else "its process has ended"
