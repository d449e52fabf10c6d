# SPDX-License-Identifier: MIT
"""Split the teacher's frames in time: glass up to 2.5 ps to train on, the end to test.

    python systems/li3po4/prepare.py FOLDER

FOLDER holds ``crystal.extxyz`` and ``glass.extxyz`` (see README.md). Writes
``data/{train,validation,test,melt_test}.extxyz`` beside this script.
"""

import argparse
from pathlib import Path

import ase.io

HERE = Path(__file__).parent
TRAINING_ENDS = 2500  # fs after the quench
VALIDATION = (2600, 3000)
TEST_BEGINS = 3200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    frames = {}
    for name in ("crystal", "glass"):
        path = folder / f"{name}.extxyz"
        if not path.is_file():
            raise SystemExit(f"expected the teacher's frames at {path}, found nothing")
        frames[name] = ase.io.read(path, ":")
    melt = [a for a in frames["glass"] if a.info["src"] == "melt3000K"]
    glass = [a for a in frames["glass"] if a.info["src"] == "quench600K"]
    if not melt or not glass:
        raise SystemExit(
            "expected frames with src=melt3000K and src=quench600K in glass.extxyz, "
            f"found {len(melt)} and {len(glass)}"
        )

    def between(first: float, last: float) -> list:
        return [a for a in glass if first <= a.info["time_fs"] <= last]

    parts = {
        # Every second frame: neighbours are 10 fs apart and much alike.
        "train": frames["crystal"] + melt[:60] + between(0, TRAINING_ENDS)[::2],
        "validation": melt[62:66:2] + between(*VALIDATION)[::3],
        "test": between(TEST_BEGINS, float("inf")),
        "melt_test": melt[66:],
    }
    (HERE / "data").mkdir(exist_ok=True)
    for name, part in parts.items():
        ase.io.write(HERE / "data" / f"{name}.extxyz", part)
        print(f"{name}: {len(part)} frames")


if __name__ == "__main__":
    main()
