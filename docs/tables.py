# SPDX-License-Identifier: MIT
"""Fill the manual's tables of settings from the declarations of the settings.

    python docs/tables.py

rewrites, in the pages beside this script, what stands between lines such as

    <!-- settings: openmm_allegro.training.config TrainConfig -->
    <!-- end of settings -->
"""

import importlib
import re
from pathlib import Path

from openmm_allegro.utils.settings import settings_table

PAGES = sorted(Path(__file__).parent.glob("**/*.md"))
TABLE = re.compile(
    r"(<!-- settings: (\S+) (\S+) -->\n).*?(<!-- end of settings -->)", re.DOTALL
)


def filled(text: str) -> str:
    """A page with its tables as the settings are declared now."""

    def fill(match: re.Match[str]) -> str:
        begin, module, name, end = match.groups()
        table = settings_table(getattr(importlib.import_module(module), name))
        return f"{begin}\n{table}\n\n{end}"

    return TABLE.sub(fill, text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
