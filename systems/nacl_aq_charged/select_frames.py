# SPDX-License-Identifier: MIT
"""Copy the training frames without the two that are polarised.

python systems/nacl_aq_charged/select_frames.py systems/nacl_aq/data/train.extxyz \
    systems/nacl_aq_charged/data

The frames that are left out are written to ``polarised.extxyz``. Text is copied as it
is, so that labels keep all their digits.
"""

import argparse
from pathlib import Path

POLARISED = (698, 741)  # counted from 0


def frames_of(text: str) -> list[str]:
    """Text of each frame of an extxyz file."""
    lines = text.splitlines(keepends=True)
    frames, begin = [], 0
    while begin < len(lines):
        end = begin + 2 + int(lines[begin])
        frames.append("".join(lines[begin:end]))
        begin = end
    return frames


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    frames = frames_of(options.frames.read_text(encoding="utf-8"))
    polarised = [frames[i] for i in POLARISED]
    others = [f for i, f in enumerate(frames) if i not in POLARISED]
    options.output.mkdir(parents=True, exist_ok=True)
    for name, chosen in (("train", others), ("polarised", polarised)):
        path = options.output / f"{name}.extxyz"
        path.write_text("".join(chosen), encoding="utf-8")
        print(f"{path}: {len(chosen)} frames")


if __name__ == "__main__":
    main()
