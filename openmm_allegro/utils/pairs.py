# SPDX-License-Identifier: MIT
"""Names with values on the command line: ``--elements SOD=Na,CLA=Cl``."""

import argparse
from typing import Any


def read_pairs(text: str) -> dict[str, str]:
    """Read ``SOD=Na,CLA=Cl``; the value is what follows the last sign.

    Examples
    --------
    >>> read_pairs("SOD=Na,LIG:C1=C")
    {'SOD': 'Na', 'LIG:C1': 'C'}
    """
    pairs = {}
    for item in text.split(","):
        name, sign, value = item.strip().rpartition("=")
        if not sign or not name or not value:
            raise argparse.ArgumentTypeError(
                f"expected NAME=VALUE, or several like A=X,B=Y, found {text!r}; what "
                "is no such pair goes before the option"
            )
        pairs[name] = value
    return pairs


class AddPairs(argparse.Action):
    """Collect the pairs of all arguments, and of an option that is repeated."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add pairs to those that are there; argparse calls this."""
        pairs = dict(getattr(namespace, self.dest, None) or {})
        for value in values:
            pairs |= value
        setattr(namespace, self.dest, pairs)
