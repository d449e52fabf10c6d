# SPDX-License-Identifier: MIT
"""Active learning: a committee explores, asks for labels of frames, and learns them."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        "loop": ("learn",),
        "loop_file": ("Loop", "read_loop"),
        "settings": ("Exploration", "LabelSource", "LoopConfig"),
    },
)
