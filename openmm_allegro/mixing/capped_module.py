# SPDX-License-Identifier: MIT
"""Put the caps of ``link_atoms`` around a force module of torch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .link_atoms import Cap


def capped(
    module: torch.jit.ScriptModule, caps: Sequence[Cap], description: str = ""
) -> torch.jit.ScriptModule:
    """Wrap a ``force_module`` that has caps, for a System that has none.

    Parameters
    ----------
    module : ScriptModule
        Its last particles, after all of the System's, are the caps.
    caps : sequence of Cap
    description : str
        That of the module.
    """
    if not caps:
        return module
    return torch.jit.script(CappedModule(module, caps, description))


class CappedModule(torch.nn.Module):
    """Force module whose last atoms are caps; scriptable.

    Parameters as of ``capped``.
    """

    def __init__(
        self, module: torch.nn.Module, caps: Sequence[Cap], description: str = ""
    ) -> None:
        super().__init__()
        self.description: str = description
        self.module = module
        inner, outer, ratios = zip(*caps, strict=True)
        self.register_buffer("inner", torch.tensor(inner, dtype=torch.int64))
        self.register_buffer("outer", torch.tensor(outer, dtype=torch.int64))
        ratio = torch.tensor(ratios, dtype=torch.float64)
        self.register_buffer("ratio", ratio.unsqueeze(1))

    def forward(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute energy and forces on the System's particles, as ``ForceModule``."""
        count = positions.shape[0]
        positions = positions.detach().to(torch.float64)
        bonds = positions[self.outer] - positions[self.inner]
        if boxvectors is not None:
            box = boxvectors.detach().to(torch.float64)
            # solve() would look at its outcome, for which CUDA makes the host wait.
            images = torch.linalg.solve_ex(box, bonds, left=False)[0].round()
            # A box that is none is refused with the pairs, and not for the caps' NaN.
            bonds = bonds - torch.nan_to_num(torch.matmul(images, box), 0.0, 0.0, 0.0)
        caps = positions[self.inner] + self.ratio * bonds
        energy, forces = self.module(torch.cat((positions, caps)), boxvectors)
        cap_forces, forces = forces[count:], forces[:count]
        forces = forces.index_add(0, self.inner, (1.0 - self.ratio) * cap_forces)
        return energy, forces.index_add(0, self.outer, self.ratio * cap_forces)

    @torch.jit.export
    def parts(self) -> list[Tensor]:
        """Program and types, those of caps last, as ``ForceModule.parts``."""
        return self.module.parts()
