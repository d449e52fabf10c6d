# SPDX-License-Identifier: MIT
"""Model files: weights, programs of the compiled kernel and a JSON header."""

from ..utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".model.model": ("Model", "Origin", "digest"),
        "header": ("read_header",),
        "read": ("load_model",),
        "write": ("save_model", "write_file"),
    },
)
