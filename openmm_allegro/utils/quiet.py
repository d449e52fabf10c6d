# SPDX-License-Identifier: MIT
"""openmmtools and pymbar without what they say to everybody each time."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

# Loggers, and what is left out of each; all else gets through.
_CHATTER = {
    "openmmtools.multistate.multistatesampler": "API is experimental",
    "openmmtools.multistate.multistatereporter": "API is experimental",
    "pymbar.mbar_solvers": "JAX",
    "pymbar.timeseries": "use of the timeseries module",
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave out advice and warnings that are of no use to a user.

    Of both packages and of numba; loggers are as before afterwards.
    """
    filters = {
        logging.getLogger(name): (lambda record, text=text: text not in str(record.msg))
        for name, text in _CHATTER.items()
    }
    for logger, accept in filters.items():
        logger.addFilter(accept)
    try:
        with warnings.catch_warnings():
            # a NaN ends the run with our error
            warnings.filterwarnings("ignore", module=r"openmmtools\b")
            warnings.filterwarnings("ignore", module=r"(pymbar|numba|mdtraj)\b")
            yield
    finally:
        for logger, accept in filters.items():
            logger.removeFilter(accept)
