# SPDX-License-Identifier: MIT
"""The fused kernel in plain torch: slower, on any device, and easy to read."""

import torch
from torch import Tensor

from ...model import forces_from_pairs, virial_from_pairs
from ...model.radial import polynomial_envelope
from ...neighbors import center_blocks
from .fold import ACTIVATION, ENERGY, FORMAT, LINEAR, PANEL, SPLINE, TENSOR, TYPES

_FIELDS = (
    "format stride components channels types layers radial spline integer_roots zbl "
    "basis slope harmonic operations terms widest stage first first_width points table"
).split()
_ACTIVATIONS = (
    torch.nn.functional.silu,
    torch.nn.functional.mish,
    torch.nn.functional.gelu,
)


def evaluate(
    positions: Tensor,
    cell: Tensor,
    types: Tensor,
    offsets: Tensor,
    neighbors: Tensor,
    shifts: Tensor,
    integers: Tensor,
    constants: Tensor,
    weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Energies of atoms, forces and strain derivative.

    Parameters
    ----------
    positions : Tensor [N, 3], Å, float64
    cell : Tensor [3, 3], Å, float64
    types : Tensor [N], int64
    offsets : Tensor [N + 1], int64
        Where the pairs of each centre start. Pairs beyond their cutoff do not matter.
    neighbors : Tensor [P], int32
    shifts : Tensor [P, 3], int8
        Image of the neighbour, in cell vectors.
    integers, constants, weights : Tensor
        The program, see ``fold.Program``.

    Returns
    -------
    energies : Tensor [N], eV
    forces : Tensor [N, 3], eV/Å
    strain : Tensor [3, 3], eV
        All float64.
    """
    program = _Program(integers, constants, weights)
    count = positions.shape[0]
    atoms = torch.arange(count, device=positions.device)
    centers = torch.repeat_interleave(atoms, offsets.diff())
    others = neighbors.to(torch.int64)
    vectors = positions[others] - positions[centers] + shifts.to(cell.dtype) @ cell
    limits = program.cutoffs[types[centers] * program.types + types[others]]
    near = vectors.square().sum(-1) < limits.square()
    centers, others, vectors = centers[near], others[near], vectors[near]
    padding = 1.5 * float(program.cutoffs.max())

    energies = program.shifts[types].clone()
    forces = torch.zeros_like(positions)
    strain = torch.zeros_like(cell)
    blocks = center_blocks(centers, others, vectors, count, padding, 8192)
    for block_centers, block_neighbors, block_vectors in blocks:
        with torch.enable_grad():
            v = block_vectors.detach().requires_grad_(True)
            kinds = types[block_centers].unsqueeze(1), types[block_neighbors]
            of_centers = program.energies(v, *kinds)
            (gradient,) = torch.autograd.grad(of_centers.sum(), v)
        energies = energies.index_add(0, block_centers, of_centers.detach())
        forces += forces_from_pairs(gradient, block_centers, block_neighbors, count)
        strain += virial_from_pairs(gradient, block_vectors)
    return energies, forces, strain


def check_format(found: int) -> None:
    """Refuse the program of another version of this package.

    Raises
    ------
    RuntimeError
    """
    if found != FORMAT:
        raise RuntimeError(
            f"Allegro: expected a program of format {FORMAT}, found {found}: the "
            "System comes from another version of openmm_allegro; create it again"
        )


class _Program:
    """The three arrays by name."""

    def __init__(self, integers: Tensor, constants: Tensor, weights: Tensor) -> None:
        numbers = integers.tolist()
        check_format(numbers[0])
        for name, value in zip(_FIELDS, numbers, strict=False):
            setattr(self, name, value)
        at = len(_FIELDS)
        self.irrep, at = numbers[at : at + self.components], at + self.components
        self.ops = [
            numbers[at + 8 * n : at + 8 * n + 8] for n in range(self.operations)
        ]
        at += 8 * self.operations
        self.term = integers[at : at + 4 * self.terms].view(-1, 4)
        at += 4 * self.terms
        self.layer = []
        for _ in range(self.layers):
            dim_in, dim_out, entries, where = numbers[at : at + 4]
            entry = integers[at + 4 : at + 4 + 3 * entries].view(-1, 3)
            self.layer.append((dim_in, dim_out, entry, where))
            at += 4 + 3 * entries
        sizes = [1, 1, 1, 1, *[self.types] * 4, self.types**2, self.radial, self.terms]
        parts = constants.split(sizes)
        scalars = (float(part) for part in parts[:4])
        self.envelope_p, self.zbl_p, self.coulomb, self.table_from = scalars
        self.norm, self.factors, self.shifts, self.charges = parts[4:8]
        self.cutoffs, self.roots, self.values = parts[8:]
        self.weights = weights
        index = torch.tensor(self.irrep, device=weights.device)
        self.mask = torch.nn.functional.one_hot(index).to(weights.dtype)  # [A, R]

    def energies(self, vectors: Tensor, center: Tensor, neighbor: Tensor) -> Tensor:
        """Interaction energies [C] of centres, from vectors [C, K, 3]."""
        r = vectors.norm(dim=-1)
        kinds = center * self.types + neighbor  # [C, K]
        x = r / self.cutoffs[kinds]
        harmonics = self._harmonics(vectors / r.unsqueeze(-1)).to(self.weights.dtype)
        segments = {self.basis: self._radial(x).to(self.weights.dtype)}
        norm = self.norm[center].unsqueeze(-1).to(self.weights.dtype)  # [C, 1, 1]
        operators: list[Tensor] = []
        energy = torch.zeros_like(r)
        for kind, *op in self.ops:
            if kind == LINEAR:
                value = self._value(segments, op[0], op[1]) @ self._matrix(*op)
                before = self._value(segments, op[2], op[3]) if op[6] else 0.0
                segments[op[2]] = before + value
            elif kind == ACTIVATION:
                value = self._value(segments, op[1], op[2])
                segments[op[1]] = _ACTIVATIONS[op[0]](value)
            elif kind == TYPES:
                table = self._table(op[2], self.types**2, op[1])
                segments[op[0]] = segments[op[0]] * table[kinds]
            elif kind == SPLINE:
                table = self._table(op[2], self.types**2, self.radial, op[1])
                basis = segments[self.basis].unsqueeze(-2)
                segments[op[0]] = (basis @ table[kinds]).squeeze(-2)
            elif kind == TENSOR:
                size = self.mask.shape[1] * self.channels
                tensor = self._value(segments, op[1], size)
                environment = self._value(segments, op[2], size)
                segments[op[3]] = self._tensor(
                    op[0], harmonics, tensor, environment, norm, operators
                )
            elif kind == ENERGY:
                weight = self._table(op[2], op[1])
                energy = energy + self._value(segments, op[0], op[1]) @ weight
        energy = energy.sum(-1).double() * self.factors[center.squeeze(1)]
        if self.zbl:
            z = self.charges[center], self.charges[neighbor]
            energy = energy + self._repulsion(r, x, *z).sum(-1)
        return energy

    def _value(self, segments: dict[int, Tensor], start: int, width: int) -> Tensor:
        """Columns from ``start`` on, which may lie within a segment."""
        first = max(
            s for s in segments if s <= start < s + max(segments[s].shape[-1], 1)
        )
        return segments[first][..., start - first : start - first + width]

    def _table(self, start: int, *shape: int) -> Tensor:
        size = 1
        for length in shape:
            size *= length
        return self.weights[start : start + size].view(shape)

    def _matrix(self, source: int, depth: int, target: int, width: int, start: int, *_):
        panel = PANEL // self.weights.element_size()
        panels = -(-width // panel)
        packed = self._table(start, panels, depth, panel)
        return packed.transpose(0, 1).reshape(depth, -1)[:, :width]

    def _harmonics(self, u: Tensor) -> Tensor:
        powers = u.unsqueeze(-2) ** self.term[:, 1:]  # [C, K, terms, 3]
        shape = (*u.shape[:-1], self.components)
        values = self.values * powers.prod(-1)
        return u.new_zeros(shape).index_add(-1, self.term[:, 0], values)

    def _radial(self, x: Tensor) -> Tensor:
        pi = torch.pi
        if self.spline:
            phase = ((x.unsqueeze(-1) - self.roots) / self.envelope_p).clamp(0.0, 1.0)
            return 0.25 * (1.0 - torch.cos(2.0 * pi * phase)).square()
        bessel = torch.sin(pi * self.roots * x.unsqueeze(-1))
        envelope = polynomial_envelope(x, self.envelope_p) / (pi * x)
        return bessel * envelope.unsqueeze(-1)

    def _tensor(self, layer, harmonics, tensor, environment, norm, operators) -> Tensor:
        tensor = tensor.unflatten(-1, (-1, self.channels))  # [C, K, R, U]
        environment = environment.unflatten(-1, (-1, self.channels))
        index = self.mask.argmax(1)
        gamma = torch.einsum("cka,ckau->cau", harmonics, environment[:, :, index])
        dim_in, dim_out, entry, start = self.layer[layer]
        coupling = self._table(start, len(entry), self.channels)
        values = coupling * (gamma * norm)[:, entry[:, 2]]  # [C, entries, U]
        flat = values.new_zeros((len(values), dim_in * dim_out, self.channels))
        flat = flat.index_add(1, entry[:, 0] * dim_out + entry[:, 1], values)
        operators.append(flat.unflatten(1, (dim_in, dim_out)))
        v = operators[-1][:, :, :1]
        for operator in reversed(operators[:-1]):
            v = torch.einsum("cadu,cdeu->caeu", operator, v)
        products = harmonics.unsqueeze(-1) * v[:, None, :, 0]  # [C, K, A, U]
        return (products * tensor[:, :, index]).sum(2)

    def _repulsion(self, r: Tensor, x: Tensor, z_i: Tensor, z_j: Tensor) -> Tensor:
        a = (z_i**0.23 + z_j**0.23) * r / 0.46850
        terms = ((0.02817, 0.20162), (0.28022, 0.40290), (0.50986, 0.94229))
        terms += ((0.18175, 3.19980),)
        screening = sum(value * torch.exp(-rate * a) for value, rate in terms)
        energy = 0.5 * self.coulomb * z_i * z_j / r * screening
        return energy * polynomial_envelope(x, self.zbl_p)
