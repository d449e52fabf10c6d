# SPDX-License-Identifier: MIT
"""The ``openmm-allegro`` command, one file a verb."""

try:
    from .main import main
except KeyboardInterrupt:  # a fraction of a second after the start
    import sys

    print("openmm-allegro: interrupted before anything was written", file=sys.stderr)
    sys.exit(130)

__all__ = ["main"]
