# SPDX-License-Identifier: MIT
"""Ordered pairs inside the cutoff, and their grouping by centre.

The pairs themselves come from vesin (any triclinic box, also one smaller than the
cutoff). Centres with similar numbers of neighbours become one dense block [C, K],
padded with pairs beyond the cutoff: sums over neighbours are matrix products, and the
size of a block bounds the memory.
"""

import math

import torch
import vesin_torch
from torch import Tensor

# Entries of a block of centres. Larger blocks spill out of the processor's cache.
LARGEST_BLOCK = 8192
PADDING = 1.5  # length of a padding vector over the largest cutoff
# Bounds of a search for pairs, far beyond what matter can need.
FARTHEST = 1e8  # Å, of coordinates and box vectors: images count as 32-bit integers
MOST_NEIGHBORS = 1e4  # within the cutoff, on average
MOST_IMAGES = 127  # of an atom on each side: a list keeps them as 8-bit integers
MOST_CELLS = 1e5  # in vesin's grid


class PairList(torch.nn.Module):
    """Full list of ordered pairs, sorted by centre; can be scripted.

    Parameters
    ----------
    cutoff : float
        Å, above 0.
    """

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.cutoff: float = float(cutoff)

    def forward(
        self, positions: Tensor, cell: Tensor, periodic: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find all pairs, periodic images included.

        Parameters
        ----------
        positions : Tensor [N, 3], Å
            Anywhere; need not be wrapped into the cell.
        cell : Tensor [3, 3], Å
            Rows are the cell vectors; ignored where not periodic.
        periodic : Tensor [3], bool

        Returns
        -------
        centers, neighbors : Tensor [P], int64
        vectors : Tensor [P, 3]
            From centre to neighbour, Å, in the dtype of ``positions``.

        Raises
        ------
        RuntimeError
            If positions or box are not finite or beyond ``FARTHEST``, or the box spans
            no volume or is so small that the search would have no end.
        """
        return _find(self.cutoff, positions, cell, periodic, "ijD", True)


def center_blocks(
    centers: Tensor,
    neighbors: Tensor,
    vectors: Tensor,
    number_of_atoms: int,
    padding: float,
    largest_block: int,
    smallest_fill: float = 0.6,
    smallest_block: int = 8,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Group pairs that are sorted by centre into dense blocks; can be scripted.

    Parameters
    ----------
    centers, neighbors : Tensor [P], int64
        Sorted by ``centers``.
    vectors : Tensor [P, 3]
    number_of_atoms : int
        Every atom is a centre in exactly one block, even without neighbours.
    padding : float
        Length (Å) of a padding vector; must exceed the cutoff.
    largest_block : int
        Largest number of entries C · K of a block (a single centre may exceed it).
    smallest_fill : float
        Smallest part of a row that pairs fill; the rest is padding. It does not bind
        blocks of fewer centres than ``smallest_block``.
    smallest_block : int
        Number of centres.

    Returns
    -------
    list of (centers [C], neighbors [C, K], vectors [C, K, 3])
        A padding entry has neighbour 0 and a vector of length ``padding``.
    """
    # Not bincount or tensor(): on CUDA the host would wait more than once here.
    degrees = centers.new_zeros(number_of_atoms)
    degrees = degrees.scatter_add(0, centers, torch.ones_like(centers))
    starts = torch.cumsum(degrees, 0) - degrees
    sorted_degrees, order = torch.sort(degrees, descending=True)
    pad = vectors.new_zeros((1, 3))
    pad[:, :1].fill_(padding)
    vectors = torch.cat((vectors, pad))
    neighbors = torch.cat((neighbors, neighbors.new_zeros(1)))
    last = neighbors.shape[0] - 1

    host: list[int] = sorted_degrees.tolist()
    blocks: list[tuple[Tensor, Tensor, Tensor]] = []
    begin = 0
    while begin < number_of_atoms:
        k = max(host[begin], 1)
        end = begin + 1
        while (
            end < number_of_atoms
            and (end - begin + 1) * k <= largest_block
            and (host[end] >= smallest_fill * k or end - begin < smallest_block)
        ):
            end += 1
        atoms = order[begin:end]
        rank = torch.arange(k, device=centers.device).unsqueeze(0)
        slot = starts[atoms].unsqueeze(1) + rank
        slot = slot.masked_fill(rank >= degrees[atoms].unsqueeze(1), last)
        blocks.append((atoms, neighbors[slot], vectors[slot]))
        begin = end
    return blocks


class VerletList(torch.nn.Module):
    """Pairs within cutoff + skin, kept until an atom may have come within the cutoff.

    The list is built again when an atom has moved by more than half the skin, or when
    the box, the number of atoms or the device has changed. Each copy of the module has
    a list of its own; can be scripted. L. Verlet, doi:10.1103/PhysRev.159.98.

    The order of the pairs within the cutoff does not depend on when the list was built.
    So neither do sums over them, to the last bit, and a run may be stopped and resumed
    between two rebuilds.

    Parameters
    ----------
    cutoff, skin : float
        Å; with a skin of 0 the list is built at each call.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        super().__init__()
        self.reach: float = float(cutoff) + float(skin)
        self.skin: float = float(skin)
        self.rebuilds: int = 0
        # Plain attributes: they are neither saved nor moved with the module.
        self.reference = torch.empty((0, 3), dtype=torch.float64)
        self.box = torch.zeros((3, 3), dtype=torch.float64)
        self.offsets = torch.zeros(1, dtype=torch.int64)
        self.centers = torch.empty(0, dtype=torch.int32)
        self.neighbors = torch.empty(0, dtype=torch.int32)
        self.shifts = torch.empty((0, 3), dtype=torch.int8)

    def forward(self, positions: Tensor, cell: Tensor, periodic: Tensor) -> None:
        """Build the list again unless it is valid for these positions.

        Afterwards ``centers`` and ``neighbors`` [P] (int32), sorted by both,
        ``offsets`` [N + 1] (int64; where the pairs of each centre start) and ``shifts``
        [P, 3] (int8; the image of the neighbour, in cell vectors) are up to date.

        Parameters
        ----------
        positions : Tensor [N, 3], Å, float64
        cell : Tensor [3, 3], Å, float64
        periodic : Tensor [3], bool

        Raises
        ------
        RuntimeError
            If a neighbour is more than 127 images away, or as ``PairList``.
        """
        if self.is_valid(positions, cell):
            return
        count = positions.shape[0]
        first, second, images = _find(
            self.reach, positions, cell, periodic, "ijS", False
        )
        centers, neighbors, shifts = _in_order(first, second, images, count)
        if shifts.numel() > 0 and int(shifts.abs().max()) > 127:
            raise RuntimeError(
                "Allegro: expected atoms at most 127 box lengths apart, found "
                f"{int(shifts.abs().max())}; an atom has flown away, because the "
                "simulation has become unstable, or the positions are of another box"
            )
        degrees = torch.bincount(centers, minlength=count)
        offsets = torch.zeros(count + 1, dtype=torch.int64, device=positions.device)
        offsets[1:] = torch.cumsum(degrees, 0)
        self.offsets = offsets
        self.centers = centers.to(torch.int32)
        self.neighbors = neighbors.to(torch.int32)
        self.shifts = shifts.to(torch.int8)
        self.reference = positions.clone()
        self.box = cell.clone()
        self.rebuilds += 1

    @torch.jit.export
    def is_valid(self, positions: Tensor, cell: Tensor) -> bool:
        """Tell if the list serves these positions; never where one is not finite."""
        kept = self.reference
        if kept.shape != positions.shape or kept.device != positions.device:
            return False
        farthest = (positions - kept).square().sum(-1).max()
        is_near = farthest <= 0.25 * self.skin * self.skin
        return self.skin > 0.0 and bool(is_near & (self.box == cell).all())

    @torch.jit.export
    def vectors(self, positions: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute ``centers``, ``neighbors`` [P], int64, and their vectors [P, 3]."""
        centers = self.centers.to(torch.int64)
        neighbors = self.neighbors.to(torch.int64)
        images = torch.matmul(self.shifts.to(torch.float64), cell)
        return centers, neighbors, positions[neighbors] - positions[centers] + images


def _in_order(
    centers: Tensor, neighbors: Tensor, shifts: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sort pairs by centre, neighbour and image; can be scripted."""
    keys, order = torch.sort(centers * count + neighbors)
    if bool((keys[1:] == keys[:-1]).any()):  # several images of a neighbour
        x, y, z = shifts.to(torch.int64).unbind(1)
        images = torch.argsort((x * 256 + y) * 256 + z)
        keys = (centers * count + neighbors)[images]
        order = images[torch.sort(keys, stable=True)[1]]
    return centers[order], neighbors[order], shifts[order]


def _find(
    cutoff: float,
    positions: Tensor,
    cell: Tensor,
    periodic: Tensor,
    quantities: str,
    is_sorted: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Find all pairs, and three quantities of vesin's for them; can be scripted."""
    finder = vesin_torch.NeighborList(
        cutoff=cutoff,
        full_list=True,
        sorted=is_sorted,
        algorithm="auto",
        skin=0.0,
        n_threads=0,
    )
    first, second, third = finder.compute(
        points=_checked_points(cutoff, positions, cell, periodic),
        box=cell,
        periodic=periodic,
        quantities=quantities,
        copy=True,  # TorchScript may free the finder, and with it its memory
    )
    return first, second, third


def _checked_points(
    cutoff: float,
    positions: Tensor,
    cell: Tensor,
    periodic: Tensor,
    farthest: float = FARTHEST,
    most_neighbors: float = MOST_NEIGHBORS,
    most_images: int = MOST_IMAGES,
) -> Tensor:
    """Refuse a search that would take minutes and gigabytes, or end the process.

    Returns the positions, closed up where vesin's grid of cells needs that.
    """
    count = positions.shape[0]
    if count == 0:
        return positions
    box = _complete(cell, periodic)
    directions = periodic.cpu()
    largest = float(positions.detach().abs().max())
    rows: list[list[float]] = box.tolist()
    repeats: list[bool] = directions.tolist()
    if not (largest <= farthest and bool((box.abs() <= farthest).all())):  # NaN too
        raise RuntimeError(
            f"Allegro: expected positions and box vectors within {farthest} Å, found "
            f"coordinates up to {largest} Å and box vectors {rows} Å; the simulation "
            "has become unstable, or they are in another unit"
        )
    volume, sizes = _heights(rows)
    if not volume > 0.0:
        raise RuntimeError(
            f"Allegro: expected box vectors that span a volume, found {rows} Å"
        )
    for axis in range(3):
        if repeats[axis] and not sizes[axis] * most_images >= cutoff:
            raise RuntimeError(
                f"Allegro: expected a box some Å wide, found a width of {sizes[axis]} "
                f"Å, where neighbours within {cutoff} Å would be more than "
                f"{most_images} images away; the box vectors are no box, or lean far "
                "(reduce them)"
            )
    free = box[~directions]
    sizes = _with_extents(sizes, repeats, positions, free)
    for axis in range(3):
        if not repeats[axis]:
            volume *= sizes[axis] + cutoff
    around = 4.18879 * cutoff**3 * count / volume
    if not around <= most_neighbors:
        raise RuntimeError(
            f"Allegro: expected at most {int(most_neighbors)} neighbours of an atom "
            f"within {cutoff} Å, found about {int(around)}, with {count} atoms in a "
            f"volume of {volume} Å³; the box is too small, or the atoms lie on one "
            "another"
        )
    if _cells(cutoff, sizes) >= 1 + int(free.shape[0] > 0):
        return positions
    points = positions
    for axis in free:
        points = _close_up(points, axis.to(points), 2.0 * cutoff)
    sizes = _with_extents(sizes, repeats, points, free)
    if _cells(cutoff, sizes) < 1:
        raise RuntimeError(
            "Allegro: expected a box of less than 100000 cubes of the cutoff, or a "
            f"less flat or long one, found sizes of {sizes} Å for a cutoff of {cutoff} "
            "Å"
        )
    return points


def _complete(cell: Tensor, periodic: Tensor) -> Tensor:
    """Cell vectors [3, 3], with unit vectors across them where it is not periodic."""
    box = cell.detach().to(torch.float64)
    if bool(periodic.all()):
        return box.cpu()
    if not bool(periodic.any()):
        return torch.eye(3, dtype=torch.float64)
    box, directions = box.cpu(), periodic.cpu()
    if bool(torch.isfinite(box[directions]).all()):
        across = torch.linalg.svd(box[directions])[2]
        box[~directions] = across[int(directions.sum()) :]
    return box


def _heights(rows: list[list[float]]) -> tuple[float, list[float]]:
    """Volume of a box (Å³), and its width along each vector (Å)."""
    volume = 0.0
    heights: list[float] = []
    for axis in range(3):
        a, b, c = rows[axis], rows[(axis + 1) % 3], rows[(axis + 2) % 3]
        x = b[1] * c[2] - b[2] * c[1]
        y = b[2] * c[0] - b[0] * c[2]
        z = b[0] * c[1] - b[1] * c[0]
        volume = abs(a[0] * x + a[1] * y + a[2] * z)
        area = math.sqrt(x * x + y * y + z * z)
        heights.append(volume / area if area > 0.0 else 0.0)
    return volume, heights


def _with_extents(
    sizes: list[float], repeats: list[bool], positions: Tensor, free: Tensor
) -> list[float]:
    """Sizes of a box, and of what the atoms take along axes that do not repeat."""
    if free.shape[0] == 0:
        return sizes
    along = positions.detach().to(torch.float64)
    if free.shape[0] < 3:
        along = torch.matmul(along, free.to(positions.device).t())
    extents: list[float] = (along.amax(0) - along.amin(0)).tolist()
    number = 0
    for axis in range(3):
        if not repeats[axis]:
            sizes[axis] = extents[number]
            number += 1
    return sizes


def _cells(cutoff: float, sizes: list[float], most_cells: float = MOST_CELLS) -> int:
    """Least number of cells along an axis in the grid that vesin 0.6 makes.

    It makes a grid of more than 1e5 cells coarser, and divides by 0 where that leaves
    none along an axis.
    """
    x, y, z = [max(float(math.floor(size / cutoff)), 1.0) for size in sizes]
    if x * y * z <= most_cells:
        return 2  # no axis limits the grid
    along_z = math.floor((most_cells * z * z / (x * y)) ** (1.0 / 3.0) - 1e-9)
    along_y = math.floor(y / z * along_z - 1e-9)
    return min(along_z, along_y, math.floor(x / y * along_y - 1e-9))


def _close_up(positions: Tensor, axis: Tensor, gap: float) -> Tensor:
    """Shorten empty stretches along an axis to a gap that no pair can bridge."""
    along, order = torch.sort(torch.matmul(positions, axis))
    empty = (along.diff() - gap).clamp(min=0.0).cumsum(0)
    return positions.index_add(0, order[1:], -empty.unsqueeze(1) * axis.unsqueeze(0))
