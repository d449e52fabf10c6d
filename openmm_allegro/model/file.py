# SPDX-License-Identifier: MIT
"""Model files: safetensors with a JSON header, so that reading one runs no code."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..utils.config import from_mapping
from ..utils.files import replace_file
from . import AllegroConfig, AllegroEnergy, Statistics

FORMAT = "openmm_allegro"
FORMAT_VERSION = 1
KINDS = ("total", "delta")
_UNITS = {"length": "angstrom", "energy": "eV"}
_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass
class Model:
    """A network with all that its use needs, and how it was made.

    Parameters
    ----------
    config : AllegroConfig
    statistics : Statistics
    energy : AllegroEnergy
        The network; positions in Å, energies in eV.
    kind : str
        "total" for the whole energy, "delta" for a correction to a classical force
        field.
    dtype : str
        "float32" or "float64", the precision of the stored weights.
    provenance : dict
        How the model was made; JSON values only.
    """

    config: AllegroConfig
    statistics: Statistics
    energy: AllegroEnergy
    kind: str = "total"
    dtype: str = "float32"
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def num_weights(self) -> int:
        """Number of weights that training fits."""
        return sum(p.numel() for p in self.energy.parameters())


def save_model(model: Model, path: str | Path) -> Path:
    """Write a model file; an existing one is replaced in one step.

    Parameters
    ----------
    model : Model
    path : path
        Normally ``*.safetensors``.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If ``model.kind`` or ``model.dtype`` is unknown.
    """
    for name, known in (("kind", KINDS), ("dtype", tuple(_DTYPES))):
        if getattr(model, name) not in known:
            raise ValueError(
                f"model file: expected {name} of {known}, found "
                f"{getattr(model, name)!r}"
            )
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": model.kind,
        "dtype": model.dtype,
        "units": _UNITS,
        "config": dataclasses.asdict(model.config),
        "statistics": dataclasses.asdict(model.statistics),
        "provenance": model.provenance,
    }
    dtype = _DTYPES[model.dtype]
    tensors = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in _weights(model.energy).items()
    }
    path = Path(path)
    write_file(path, save(tensors, metadata={FORMAT: json.dumps(header)}))
    return path


def write_file(path: Path, content: bytes) -> None:
    """Write a file and its folder; an existing file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Files of safetensors' own save_file can be read by their owner alone.
    replace_file(path, content)


def load_model(path: str | Path) -> Model:
    """Read a model file. The network comes in float64; see ``AllegroEnergy.set_dtype``.

    Parameters
    ----------
    path : path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model file, is truncated, comes from a newer version or
        does not hold the weights its header promises.
    """
    header = read_header(path)
    dataclass_of = {"config": AllegroConfig, "statistics": Statistics}
    parts = {
        k: from_mapping(c, header[k], f"{path}: {k}") for k, c in dataclass_of.items()
    }
    energy = AllegroEnergy(parts["config"], parts["statistics"])
    with safe_open(path, framework="pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}
    expected = _weights(energy)
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    for name in sorted(set(shapes) | set(stored)):
        shape = tuple(stored[name].shape) if name in stored else None
        if shapes.get(name) != shape:
            raise ValueError(
                f"{path}: expected weights {name} of shape {shapes.get(name)} from the "
                f"header, found {shape}"
            )
        if stored[name].dtype != _DTYPES[header["dtype"]]:
            raise ValueError(
                f"{path}: expected weights {name} in {header['dtype']} from the "
                f"header, found {stored[name].dtype}"
            )
        if not torch.isfinite(stored[name]).all():
            raise ValueError(
                f"{path}: expected finite weights, found NaN or infinity in {name}"
            )
    for name, value in expected.items():
        value.copy_(stored[name])
    return Model(
        parts["config"],
        parts["statistics"],
        energy,
        header["kind"],
        header["dtype"],
        header["provenance"],
    )


def read_header(path: str | Path) -> dict[str, Any]:
    """Read the JSON header of a model file, without its weights.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``load_model``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected a model file, found nothing at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path}: expected a model file in the safetensors format, found a file "
            f"that is truncated or of another kind ({error})"
        ) from error
    if FORMAT not in metadata:
        raise ValueError(
            f"{path}: expected a safetensors file with an {FORMAT} header, found "
            f"metadata {sorted(metadata) or 'none'}"
        )
    try:
        header = json.loads(metadata[FORMAT])
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: expected a JSON header, found {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path}: expected a table as the header, found {header!r}")
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected format version {FORMAT_VERSION}, found {version}; a "
            "newer openmm_allegro may read it"
        )
    wanted = {"kind": KINDS, "dtype": tuple(_DTYPES), "units": (_UNITS,)}
    for name, known in wanted.items():
        if header.get(name) not in known:
            raise ValueError(
                f"{path}: expected {name} of {known}, found {header.get(name)!r}"
            )
    for name in ("config", "statistics", "provenance"):
        if not isinstance(header.get(name), dict):
            raise ValueError(
                f"{path}: expected a table {name} in the header, found "
                f"{header.get(name)!r}"
            )
    return header


def _weights(energy: AllegroEnergy) -> dict[str, torch.Tensor]:
    """List what training fits: the network's weights, and those of further terms.

    They share their memory with the model.
    """
    terms = energy.terms.state_dict(prefix="terms.")
    return {**energy.network.state_dict(), **terms}
