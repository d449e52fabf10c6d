# SPDX-License-Identifier: MIT
"""Parts of a network that a training leaves as they are."""

from collections.abc import Sequence

from ..model import AllegroEnergy

# Modules of the network by the name of the part; those of the layers follow.
_PARTS = {
    "embedding": ("embedding",),
    "two_body": ("two_body", "tensor_weights", "first_projection"),
}


def parts_of(num_layers: int) -> dict[str, tuple[str, ...]]:
    """Modules of each part of a network, from its input to its output."""
    layers = {
        f"layer_{index + 1}": (f"operators.{index}", f"latents.{index}")
        for index in range(num_layers)
    }
    return {**_PARTS, **layers, "readout": ("readout",)}


def freeze_parts(energy: AllegroEnergy, frozen: Sequence[str]) -> None:
    """Take the weights of parts of a network out of the training.

    Parameters
    ----------
    energy : AllegroEnergy
    frozen : sequence of str
        Names of parts, see ``parts_of``.

    Raises
    ------
    ValueError
        If a name is unknown, or no weight is left to train.
    """
    parts = parts_of(len(energy.network.operators))
    unknown = [name for name in frozen if name not in parts]
    if unknown:
        raise ValueError(
            f"train config: expected parts to freeze among {', '.join(parts)}, found "
            f"{', '.join(unknown)}"
        )
    if set(frozen) == set(parts):
        raise ValueError(
            "train config: expected a part that is not frozen, found all of "
            f"{', '.join(parts)} in freeze"
        )
    for name in frozen:
        for module in parts[name]:
            energy.network.get_submodule(module).requires_grad_(False)
