# SPDX-License-Identifier: MIT
"""Log that a job goes on, if it takes longer than a few seconds."""

import contextlib
import logging
import threading
from collections.abc import Iterator

# Seconds of silence before the first line, and between others.
FIRST, NEXT = 3.0, 30.0


@contextlib.contextmanager
def log_if_long(log: logging.Logger, text: str) -> Iterator[None]:
    """Log a text where what follows takes more than three seconds, and again later.

    Parameters
    ----------
    log : logging.Logger
        Gets lines at INFO, which the command shows and Python does not by default.
    text : str
        As ``"measuring rdf"``.
    """
    if not log.isEnabledFor(logging.INFO):
        yield
        return
    ended = threading.Event()

    def tell() -> None:
        seconds, pause, again = 0.0, FIRST, False
        while not ended.wait(pause):
            seconds += pause
            log.info("%s%s", text, f", since {seconds:.0f} s" if again else "")
            pause, again = NEXT, True

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
