# SPDX-License-Identifier: MIT
"""``python -m openmm_allegro.cli``."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
