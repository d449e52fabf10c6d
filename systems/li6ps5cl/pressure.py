# SPDX-License-Identifier: MIT
"""Print the pressure of the training data's 600 K frames, at which run.py runs NPT.

    python systems/li6ps5cl/pressure.py

The labels' stress has no kinetic part: the ideal gas' N k T / V is added to it.
"""

import sys
from pathlib import Path

import numpy as np
from ase.io import read
from ase.units import bar, kB

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from common import virial_pressure  # noqa: E402

KELVIN = 600


def main() -> None:
    frames = read(HERE / "data" / "train.extxyz", ":")
    chosen = [a for a in frames if a.info["src"].endswith(f"{KELVIN}K")]
    virial = [virial_pressure(a.get_stress(voigt=False)) for a in chosen]
    kinetic = [len(a) * kB * KELVIN / a.get_volume() / bar for a in chosen]
    error = np.std(virial, ddof=1) / np.sqrt(len(virial))
    print(
        f"{len(chosen)} frames at {KELVIN} K: {np.mean(virial):.0f} ± {error:.0f} bar "
        f"from the labels and {np.mean(kinetic):.0f} bar from the motion, "
        f"{np.mean(virial) + np.mean(kinetic):.0f} in all"
    )


if __name__ == "__main__":
    main()
