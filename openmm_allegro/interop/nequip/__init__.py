# SPDX-License-Identifier: MIT
"""Models of nequip-allegro: read as ours, and written back.

Needs the extra ``nequip``. Both models are the same function; see ``import_model``.
"""

from ...utils.lazy import lazy_names

__all__, __getattr__, __dir__ = lazy_names(
    __name__, {"convert": ("export_model", "import_model")}
)
