# SPDX-License-Identifier: MIT
"""The fused kernel in plain torch: slower, on any device, and easy to read."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...model import forces_from_pairs, virial_from_pairs
from ...model.radial import polynomial_envelope, seen_distance
from ...neighbors import LARGEST_BLOCK, PADDING, center_blocks
from .. import header
from .program import PANEL, Code, Program, unpack

_NONLINEARITIES = {
    kind: getattr(torch.nn.functional, kind.name.lower())
    for kind in header.enumeration("allegro_nonlinearity")
}


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
    seeds: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluate energies of atoms, forces and strain derivative.

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
        The program, see ``program.Program``.
    seeds : Tensor [N], V, float64, optional
        Derivatives s of a further energy by the charges: forces and strain are those of
        the energy plus the sum of s q at constant s.

    Returns
    -------
    energies : Tensor [N], eV
    forces : Tensor [N, 3], eV/Å
    strain : Tensor [3, 3], eV
        All float64.

    Raises
    ------
    RuntimeError
        If the program is of another format.
    """
    network = _Network(Program(integers, constants, weights))
    energies = network.arrays["shifts"][types].clone()
    forces = torch.zeros_like(positions)
    strain = torch.zeros_like(cell)
    blocks = _blocks(network, positions, cell, types, offsets, neighbors, shifts)
    for centers, others, vectors in blocks:
        with torch.enable_grad():
            v = vectors.detach().requires_grad_(True)
            parts = network.sums(v, types[centers].unsqueeze(1), types[others])
            total = parts.energies.sum()
            if seeds is not None:
                total = total + (seeds[centers] * parts.charges).sum()
            (gradient,) = torch.autograd.grad(total, v)
        energies = energies.index_add(0, centers, parts.energies.detach())
        forces += forces_from_pairs(gradient, centers, others, len(positions))
        strain += virial_from_pairs(gradient, vectors)
    return energies, forces, strain


def charges(*arrays: Tensor) -> Tensor:
    """Evaluate the charges of atoms that the network gives; zeros if it gives none.

    They are without what is the same for all atoms of an element, or for all atoms.

    Parameters
    ----------
    *arrays : Tensor
        As ``evaluate``, without seeds; so are the errors.

    Returns
    -------
    Tensor [N], e, float64
    """
    *atoms, integers, constants, weights = arrays
    network = _Network(Program(integers, constants, weights))
    positions, _, types, *_ = atoms
    found = torch.zeros_like(positions[:, 0])
    for centers, others, vectors in _blocks(network, *atoms):
        with torch.no_grad():
            parts = network.sums(vectors, types[centers].unsqueeze(1), types[others])
        found = found.index_add(0, centers, parts.charges)
    return found


def _blocks(
    network: "_Network",
    positions: Tensor,
    cell: Tensor,
    types: Tensor,
    offsets: Tensor,
    neighbors: Tensor,
    shifts: Tensor,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Centres, neighbours and vectors of the pairs within the cutoff, in blocks."""
    cutoffs = network.arrays["cutoffs"]
    count = positions.shape[0]
    atoms = torch.arange(count, device=positions.device)
    centers = torch.repeat_interleave(atoms, offsets.diff())
    others = neighbors.to(torch.int64)
    vectors = positions[others] - positions[centers] + shifts.to(cell.dtype) @ cell
    limits = cutoffs[types[centers] * network.head.types + types[others]]
    near = vectors.square().sum(-1) < limits.square()
    centers, others, vectors = centers[near], others[near], vectors[near]
    padding = PADDING * float(cutoffs.max())
    return center_blocks(centers, others, vectors, count, padding, LARGEST_BLOCK)


class _Sums(NamedTuple):
    """What the pairs of each centre give together, float64."""

    energies: Tensor  # [C], eV
    charges: Tensor  # [C], e


class _Network:
    """A program that runs on blocks of centres."""

    def __init__(self, program: Program) -> None:
        parts = unpack(program)
        self.head, self.scalars, self.arrays, self.layers, self.weights = parts
        self.operations = parts.operations()
        self.term = self.arrays["term"].view(-1, 4)
        degree = self.arrays["degree"].to(self.weights.device)
        self.degree = degree  # [A]
        self.degrees = int(degree.max()) + 1

    def sums(self, vectors: Tensor, center: Tensor, neighbor: Tensor) -> _Sums:
        """Interaction energies and charges of centres, from vectors [C, K, 3]."""
        r = vectors.norm(dim=-1)
        kinds = center * self.head.types + neighbor  # [C, K]
        x = r / self.arrays["cutoffs"][kinds]
        harmonics = self._harmonics(vectors / r.unsqueeze(-1)).to(self.weights.dtype)
        norm = self.arrays["norm"][center].unsqueeze(-1).to(self.weights.dtype)
        rows = _Rows(kinds, harmonics, norm, torch.zeros_like(r))
        seen = self._seen(r, kinds) / self.arrays["cutoffs"][kinds]
        rows.segments[self.head.basis] = self._radial(seen).to(self.weights.dtype)
        for operation in self.operations:
            _RUN[Code(operation.code)](self, rows, operation)
        energy = (
            rows.energy.sum(-1).double() * self.arrays["factors"][center.squeeze(1)]
        )
        if self.head.core:
            energy = energy + self._core(r, x, kinds).sum(-1)
        return _Sums(energy, rows.charge.sum(-1).double())

    def linear(self, rows: "_Rows", op: Any) -> None:
        panel = PANEL // self.weights.element_size()
        packed = self._table(op.forward, -(-op.width // panel), op.depth, panel)
        matrix = packed.transpose(0, 1).reshape(op.depth, -1)[:, : op.width]
        value = rows.value(op.source, op.depth) @ matrix
        before = rows.value(op.target, op.width) if op.add else 0.0
        rows.segments[op.target] = before + value

    def activation(self, rows: "_Rows", op: Any) -> None:
        value = rows.value(op.target, op.width)
        rows.segments[op.target] = _NONLINEARITIES[op.kind](value)

    def types(self, rows: "_Rows", op: Any) -> None:
        table = self._table(op.weights, self.head.types**2, op.width)
        rows.segments[op.target] = rows.segments[op.target] * table[rows.kinds]

    def spline(self, rows: "_Rows", op: Any) -> None:
        shape = self.head.types**2, self.head.radial, op.width
        table = self._table(op.weights, *shape)
        basis = rows.segments[self.head.basis].unsqueeze(-2)
        rows.segments[op.target] = (basis @ table[rows.kinds]).squeeze(-2)

    def tensor(self, rows: "_Rows", op: Any) -> None:
        width = self.degrees * self.head.channels
        shape = self.degrees, self.head.channels
        tensor = rows.value(op.tensor, width).unflatten(-1, shape)  # [C, K, R, U]
        environment = rows.value(op.environment, width).unflatten(-1, shape)
        y, environment = rows.harmonics, environment[:, :, self.degree]
        gamma = torch.einsum("cka,ckau->cau", y, environment)
        layer, entries = self.layers[op.layer]
        coupling = self._table(layer.weights, layer.entries, self.head.channels)
        row, column, component = entries.unbind(1)
        values = coupling * (gamma * rows.norm)[:, component]  # [C, entries, U]
        size = layer.dim_in * layer.dim_out
        flat = values.new_zeros((len(values), size, self.head.channels))
        flat = flat.index_add(1, row * layer.dim_out + column, values)
        rows.operators.append(flat.unflatten(1, (layer.dim_in, layer.dim_out)))
        v = rows.operators[-1][:, :, :1]
        for operator in reversed(rows.operators[:-1]):
            v = torch.einsum("cadu,cdeu->caeu", operator, v)
        products = y.unsqueeze(-1) * v[:, None, :, 0]  # [C, K, A, U]
        rows.segments[op.target] = (products * tensor[:, :, self.degree]).sum(2)

    def energy(self, rows: "_Rows", op: Any) -> None:
        weights = self._table(op.weights, op.width)
        rows.energy = rows.energy + rows.value(op.source, op.width) @ weights

    def charge(self, rows: "_Rows", op: Any) -> None:
        panel = PANEL // self.weights.element_size()
        padded = -(-op.width // panel) * panel
        vectors = self._table(op.weights, self.head.types, padded)[:, : op.width]
        vectors = vectors[rows.kinds[:, :1] // self.head.types]  # [C, 1, width]
        value = rows.value(op.source, op.width)
        rows.charge = rows.charge + (value * vectors).sum(-1)

    def inner(self, rows: "_Rows", op: Any) -> None:
        """Do nothing: see ``_seen``."""

    def _table(self, start: int, *shape: int) -> Tensor:
        return self.weights[start : start + math.prod(shape)].view(shape)

    def _harmonics(self, u: Tensor) -> Tensor:
        powers = u.unsqueeze(-2) ** self.term[:, 1:]  # [C, K, terms, 3]
        shape = (*u.shape[:-1], self.head.components)
        values = self.arrays["term_value"] * powers.prod(-1)
        return u.new_zeros(shape).index_add(-1, self.term[:, 0], values)

    def _seen(self, r: Tensor, kinds: Tensor) -> Tensor:
        """Distances [C, K] as the radial functions take them."""
        first = self.operations[0]
        if first.code != Code.INNER:
            return r
        inner = self._table(first.weights, self.head.types**2)[kinds]
        return seen_distance(r, inner.to(r.dtype))

    def _radial(self, x: Tensor) -> Tensor:
        pi, p, roots = torch.pi, self.scalars.envelope_p, self.arrays["roots"]
        if self.head.spline:
            phase = ((x.unsqueeze(-1) - roots) / p).clamp(0.0, 1.0)
            return 0.25 * (1.0 - torch.cos(2.0 * pi * phase)).square()
        bessel = torch.sin(pi * roots * x.unsqueeze(-1))
        envelope = polynomial_envelope(x, p) / (pi * x)
        return bessel * envelope.unsqueeze(-1)

    def _core(self, r: Tensor, x: Tensor, kinds: Tensor) -> Tensor:
        strengths, rates = (
            self.arrays[name].view(-1, self.head.core)[kinds]
            for name in ("core_strengths", "core_rates")
        )
        terms = strengths * torch.exp(-rates * r.unsqueeze(-1))
        return terms.sum(-1) / r * polynomial_envelope(x, self.scalars.core_p)


_RUN = {code: getattr(_Network, code.name.lower()) for code in Code}


class _Rows:
    """Numbers of the pairs [C, K] of a block while the operations run."""

    def __init__(
        self, kinds: Tensor, harmonics: Tensor, norm: Tensor, energy: Tensor
    ) -> None:
        self.kinds = kinds  # [C, K], the ordered pair of elements
        self.harmonics = harmonics  # [C, K, A]
        self.norm = norm  # [C, 1, 1]
        self.energy = energy  # [C, K]
        self.charge = torch.zeros_like(energy)  # [C, K]
        self.segments: dict[int, Tensor] = {}  # by the column where they start
        self.operators: list[Tensor] = []  # [C, A, D, U], one a layer

    def value(self, start: int, width: int) -> Tensor:
        """Columns from ``start`` on, which may lie within a segment."""
        first = max(
            s
            for s, values in self.segments.items()
            if s <= start < s + max(values.shape[-1], 1)
        )
        return self.segments[first][..., start - first : start - first + width]
