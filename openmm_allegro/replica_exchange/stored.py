# SPDX-License-Identifier: MIT
"""openmmtools' files, read without running code. It imports openmmtools: import late.

openmmtools' own reader makes any Python object that the YAML in a file names, imports
classes by their names, and has OpenMM unpickle the functions of the System's forces.
Here values are read as data; the moves are ours, and the System is the one that the run
is resumed with, after it was compared with the one in the file.
"""

import math
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import netCDF4
import openmm
import yaml
from openmmtools.multistate import MultiStateReporter
from openmmtools.multistate.multistatereporter import _DictYamlLoader
from openmmtools.states import ThermodynamicState
from openmmtools.utils import serialize

from ..simulate.identity import PLUGINS
from .draws import LangevinMove
from .states import make_states

_MANGLED = "_serialized__"  # beginning of openmmtools' keys that name a class


class Reporter(MultiStateReporter):
    """Reader and writer of a run's files.

    Parameters
    ----------
    system : openmm.System
        That of the run.
    record : dict
        That of the run.
    *arguments, **options
        Of ``MultiStateReporter``.
    """

    def __init__(
        self,
        system: openmm.System,
        record: dict[str, Any],
        *arguments: Any,
        **options: Any,
    ):
        super().__init__(*arguments, **options)
        self._system, self._record = system, record

    def read_dict(self, path: str) -> Any:
        """Read values from YAML: data alone."""
        element = self._storage_analysis[path]
        if isinstance(element, netCDF4.Group):
            names = (*element.groups, *element.variables)
            return {name: self.read_dict(f"{path}/{name}") for name in names}
        characters = element.dtype == "S1"
        text = element[:].tobytes().decode() if characters else str(element[0])
        try:
            values = yaml.load(text, Loader=_Data)
        except (yaml.YAMLError, LookupError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.filepath}: expected data in {path}, found {error}"
            ) from error
        if path == "metadata":
            values["title"] = self._storage_analysis.title
        return values

    def read_mcmc_moves(self) -> list[LangevinMove]:
        """Make the moves of the replicas from their values."""
        moves = []
        for name in self._storage_analysis["mcmc_moves"].variables:
            values = self.read_dict(f"mcmc_moves/{name}")
            moves.append(LangevinMove.__new__(LangevinMove))
            moves[-1].__setstate__(_without_class(values))
        return moves

    def read_thermodynamic_states(self) -> tuple[list[ThermodynamicState], list[Any]]:
        """Make the states from the System of this process, and the run's record.

        Raises
        ------
        ValueError
            If the stored System is another one.
        """
        states = make_states(self._system, self._record)
        stored = _system_of(self.read_dict("thermodynamic_states/state0"))
        if not _alike(_xml(stored), _xml(_system_of(serialize(states[0])))):
            raise ValueError(
                f"expected the System with which {self.filepath} began, found another "
                "one; resume with the same force field, options and masses, or start "
                "anew (overwrite=True)"
            )
        return states, []


class _Data(yaml.SafeLoader):
    """Reader of YAML with quantities, arrays and tuples, and no other objects."""


_Data.add_constructor("!Quantity", _DictYamlLoader.quantity_constructor)
_Data.add_constructor("!ndarray", _DictYamlLoader.ndarray_constructor)
_Data.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)),
)


def _without_class(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if not k.startswith(_MANGLED)}


def _system_of(values: dict[str, Any]) -> bytes | str:
    """System of a state, which is one with a parameter where λ is exchanged."""
    return values.get("thermodynamic_state", values)["standard_system"]


def _xml(stored: bytes | str) -> str:
    return zlib.decompress(stored).decode() if isinstance(stored, bytes) else stored


def _alike(stored: str, given: str) -> bool:
    """Compare XML of two Systems but for the rounding of numbers, and for models.

    Forces of models are in the run's record, and may be of another backend.
    """
    try:
        first, second = (
            list(_values(ElementTree.fromstring(xml))) for xml in (stored, given)
        )
    except ElementTree.ParseError:
        return False
    return len(first) == len(second) and all(
        a == b or _close(a, b) for a, b in zip(first, second, strict=True)
    )


def _values(element: ElementTree.Element) -> Iterator[str]:
    """Tags and attributes of an element and all in it, but for PLUGINS."""
    if element.get("type") not in PLUGINS:
        yield element.tag
        for name, value in sorted(element.attrib.items()):
            if name != "openmmVersion":
                yield from (name, value)
        for child in element:
            yield from _values(child)


def _close(first: str, second: str) -> bool:
    try:
        return math.isclose(float(first), float(second), rel_tol=1e-9)
    except ValueError:
        return False
