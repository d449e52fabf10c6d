# SPDX-License-Identifier: MIT
"""Module that an OpenMM force calls, made of a trained model: nm and kJ/mol."""

import copy
import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels.inference.folded import folded, is_foldable
from ..kernels.inference.operator import register
from ..kernels.inference.program import Program
from ..kernels.inference.table import choose_table
from ..kernels.library import library
from ..model import forces_from_pairs, virial_from_pairs
from ..model.elements import element_types
from ..model.model import Model
from ..neighbors import LARGEST_BLOCK, PADDING, VerletList, center_blocks
from ..units import EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM, EV_TO_KJ_PER_MOL, NM_TO_ANGSTROM
from .options import ForceOptions, default_skin

# Of the network, by ForceOptions.precision; "mixed" differs from "single" in what it
# keeps in double.
PRECISIONS = {
    "single": torch.float32,
    "mixed": torch.float32,
    "double": torch.float64,
}

_log = logging.getLogger(__name__)


class ForceModule(torch.nn.Module):
    """Energy and forces of a set of atoms; scriptable.

    Sums over pairs are in double precision, the network in that of its weights.
    Centres are processed in blocks with a backward pass each, so that memory beyond the
    pair list does not grow with the system.

    Parameters
    ----------
    energy : AllegroEnergy
    types : Tensor [n], int64
        Index into the model's elements.
    atoms : Tensor [n], int64
        Which of the particles they are.
    periodic : bool or sequence of 3 bool
        Whether the box repeats, in all directions or along each of its vectors.
    dtype : torch.dtype
        Precision of the vectors between atoms, and of the radial functions and
        spherical harmonics of them.
    skin : float
        Reach of the pair list beyond the cutoff, Å.
    program : Program, optional
        Program of the fused kernel, which runs on the CPU instead of the network.
    description : str
        From ``potential.description``.
    """

    def __init__(
        self,
        energy: torch.nn.Module,
        cutoff_table: Tensor,
        types: Tensor,
        atoms: Tensor,
        periodic: bool | Sequence[bool],
        dtype: torch.dtype,
        skin: float,
        program: Program | None,
        description: str = "",
    ) -> None:
        super().__init__()
        self.energy = energy
        self.description: str = description
        self.fused: bool = program is not None
        empty = Program(*[torch.empty(0)] * 3)
        for name, values in (program or empty)._asdict().items():
            self.register_buffer(name, values)
        self.cutoff: float = float(cutoff_table.max())
        self.pairs = VerletList(self.cutoff, skin)
        self.register_buffer("cutoffs", cutoff_table.to(torch.float64))
        self.register_buffer("types", types)
        self.register_buffer("atoms", atoms)
        self.register_buffer("periodic", torch.tensor(periodic).expand(3).clone())
        self.all_atoms: bool = bool((atoms == torch.arange(len(atoms))).all())
        self.padding: float = PADDING * self.cutoff
        self.largest_block: int = LARGEST_BLOCK
        self.dtype: torch.dtype = dtype
        self.to_angstrom: float = NM_TO_ANGSTROM
        self.energy_unit: float = EV_TO_KJ_PER_MOL
        self.force_unit: float = EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM

    def forward(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Potential energy and forces.

        Parameters
        ----------
        positions : Tensor [N, 3]
            Of all particles, nm; may lie outside the box.
        boxvectors : Tensor [3, 3]
            Rows are box vectors, nm; needed where periodic.

        Returns
        -------
        energy : Tensor [], float64, kJ/mol
        forces : Tensor [N, 3], float64, kJ/(mol nm)

        Raises
        ------
        RuntimeError
            If a position or the box is not finite.
        """
        energies, forces, _ = self.evaluate(positions, boxvectors)
        energy = energies.sum() * self.energy_unit
        forces = forces * self.force_unit
        if self.all_atoms and forces.shape[0] == positions.shape[0]:
            return energy, forces
        everywhere = torch.zeros(
            positions.shape, dtype=forces.dtype, device=forces.device
        )
        return energy, everywhere.index_copy(0, self.atoms, forces)

    @torch.jit.export
    def parts(self) -> list[Tensor]:
        """Program and types [n], for a card; see ``evaluate_atoms``."""
        return [self.integers, self.constants, self.weights, self.types]

    @torch.jit.export
    def evaluate(
        self, positions: Tensor, boxvectors: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Energies of atoms [n] (eV), forces [n, 3] (eV/Å), dE/d(strain) [3, 3] (eV).

        Parameters as ``forward``.
        """
        positions = positions[self.atoms].detach().to(torch.float64) * self.to_angstrom
        cell = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
        if boxvectors is not None:
            cell = boxvectors.detach().to(torch.float64) * self.to_angstrom
        if not self.pairs.is_valid(positions, cell):
            _check_finite(positions, cell)  # which would crash the pair search
            self.pairs(positions, cell, self.periodic)
        if self.fused and not positions.is_cuda:
            return torch.ops.openmm_allegro.evaluate(
                positions,
                cell,
                self.types,
                self.pairs.offsets,
                self.pairs.neighbors,
                self.pairs.shifts,
                self.integers,
                self.constants,
                self.weights,
            )
        centers, neighbors, vectors = self.pairs.vectors(positions, cell)
        limits = self.cutoffs[self.types[centers], self.types[neighbors]]
        near = (vectors * vectors).sum(-1) < limits * limits
        near = near.nonzero().squeeze(1)  # once: on CUDA the host waits for it
        centers, neighbors, vectors = centers[near], neighbors[near], vectors[near]

        count = positions.shape[0]
        energies = torch.zeros(count, dtype=torch.float64, device=positions.device)
        forces = torch.zeros((count, 3), dtype=torch.float64, device=positions.device)
        strain = torch.zeros((3, 3), dtype=torch.float64, device=positions.device)
        for block_centers, block_neighbors, block_vectors in center_blocks(
            centers, neighbors, vectors, count, self.padding, self.largest_block
        ):
            # Detached: to() may be no copy, and strain would then come with a graph.
            v = block_vectors.to(self.dtype).detach().requires_grad_(True)
            center_energies = self.energy(
                v, self.types[block_centers], self.types[block_neighbors]
            )
            gradient = torch.autograd.grad([center_energies.sum()], [v])[0]
            assert gradient is not None  # for TorchScript
            gradient = gradient.to(torch.float64)
            energies[block_centers] = center_energies.detach()
            forces += forces_from_pairs(gradient, block_centers, block_neighbors, count)
            strain += virial_from_pairs(gradient, block_vectors)
        return energies, forces, strain


def _check_finite(positions: Tensor, cell: Tensor) -> None:
    """Refuse NaN and infinity; scriptable."""
    if not bool(torch.isfinite(positions).all()):
        raise RuntimeError(
            "Allegro: expected finite positions, found NaN or infinity; the "
            "simulation has become unstable or was started from bad coordinates"
        )
    if not bool(torch.isfinite(cell).all()):
        raise RuntimeError(
            "Allegro: expected finite box vectors, found NaN or infinity"
        )


def force_module(
    model: Model,
    symbols: Sequence[str],
    *,
    atoms: Sequence[int] | None = None,
    periodic: bool | Sequence[bool],
    precision: str = "mixed",
    kernel: str = "auto",
    skin: float | None = None,
    two_body: str = "exact",
) -> torch.jit.ScriptModule:
    """Script a model for given atoms.

    Parameters
    ----------
    model : Model
    symbols : sequence of str
        Chemical symbols of the atoms of the model, n.
    atoms : sequence of int, optional
        Their particle indices; the first n particles if not given.
    periodic : bool or sequence of 3 bool
        Whether the box repeats, in all directions or along each of its vectors.
    precision, kernel, skin, two_body
        As in ``ForceOptions``.

    Raises
    ------
    ImportError
        If the fused kernel was asked for and was not built.
    ValueError
        If there are no atoms, an element is unknown, or as ``ForceOptions``.
    """
    options = ForceOptions(
        precision=precision, kernel=kernel, skin=skin, two_body=two_body
    )
    return script_model(model, symbols, options, atoms=atoms, periodic=periodic)


def script_model(
    model: Model,
    symbols: Sequence[str],
    options: ForceOptions,
    *,
    atoms: Sequence[int] | None = None,
    periodic: bool | Sequence[bool],
    description: str = "",
) -> torch.jit.ScriptModule:
    """Script a model as ``force_module`` does, from options that were checked."""
    wants_kernel = options.kernel == "fused" or options.two_body == "table"
    if wants_kernel and library() is None:
        raise ImportError(
            "expected the compiled kernel, which kernel='fused' and two_body='table' "
            "need, found none; install the package again where there is a C++ compiler"
        )
    types = torch.from_numpy(element_types(symbols, model.config.elements, "topology"))
    if len(types) == 0:
        raise ValueError("expected at least one atom, found none")
    if atoms is None:
        atoms = range(len(types))
    dtype = PRECISIONS[options.precision]
    energy = copy.deepcopy(model.energy).set_dtype(dtype)
    energy.requires_grad_(False)
    is_fused = wants_kernel
    if options.kernel == "auto" and not is_fused:
        if is_foldable(model):
            is_fused = library() is not None
        else:
            _log.info("plain torch computes the model: its energy has further terms")
    register()  # the operator, which every module names
    program = _program(model, options) if is_fused else None
    module = ForceModule(
        energy,
        torch.from_numpy(model.config.cutoff_table()),
        types,
        torch.tensor(list(atoms), dtype=torch.int64),
        periodic,
        torch.float32 if options.precision == "single" else torch.float64,
        default_skin(options, model.config.cutoff),
        program,
        description,
    )
    return torch.jit.script(module.eval())


def _program(model: Model, options: ForceOptions) -> Program:
    program = folded(model, options.precision)
    if options.two_body == "table":
        in_double = folded(model, "double")
        _, program = choose_table(program, in_double, model.config.elements)
    return Program(*map(torch.tensor, program))  # copies, for the module to own
