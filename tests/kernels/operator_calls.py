# SPDX-License-Identifier: MIT
"""Call operators with wrong arguments, and print what came of it.

    python tests/kernels/operator_calls.py KERNELS NAME…

runs in a process of its own, which a mistake would end. KERNELS are some of compiled,
torch and unbuilt, with commas between them: the last is torch where no kernels were
compiled, which also check programs.
"""

import json
import math
import random
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from helpers import CHARGED, random_atoms, tiny_config, tiny_energy
from kernel_helpers import tabulated

import openmm_allegro.kernels.training.contraction
import openmm_allegro.kernels.training.projection  # noqa: F401
from openmm_allegro.kernels import library
from openmm_allegro.kernels.inference import long_range, operator, validity
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.training import contraction, operators, projection
from openmm_allegro.neighbors import VerletList

DTYPES = (
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
)
NUMBERS = (-(2**62), -(2**31), -1000, -1, 0, 1, 7, 1000, 10**6, 2**31 - 1, 2**40, 2**62)
FLOATS = (torch.nan, torch.inf, -torch.inf, 0.0, -1.0, 1e9, 1e300)


class Call(NamedTuple):
    """Arguments of a call that must be refused, or at least survived."""

    about: str
    arguments: list[Any]
    must_fail: bool


def evaluate_arguments(dtype: torch.dtype, points: int, **options: Any) -> list[Any]:
    config = tiny_config(l_max=1, **options)
    energy, atoms = tiny_energy(config), random_atoms("triclinic", count=5)
    pairs = VerletList(config.cutoff, 0.2)
    pairs(atoms.positions, atoms.cell, atoms.periodic)
    program = tabulated(energy, dtype, points) if points else fold(energy, dtype)
    arrays = atoms.positions, atoms.cell, atoms.types
    return [*arrays, pairs.offsets, pairs.neighbors, pairs.shifts, *program]


def long_range_arguments(size: float) -> list[Any]:
    positions, charges = torch.randn(2, 5, 3, dtype=torch.float64).mul(size).unbind()
    box = torch.eye(3, dtype=torch.float64) * size
    return [positions, box, charges[:, 0], 0.4, 0.0, 4]


def contract_arguments(zeroth: tuple[int, ...], size: int) -> list[Any]:
    # the result, x and y have 4, 3 and 5 components, and there are 6 paths
    ends = torch.tensor([4, 3, 5, 6])
    entries = torch.randint(2**20, (40, 4)) % ends
    x, y = torch.randn(70, 3, 8), torch.randn(70, 5, 8)
    values = torch.randn(40, dtype=torch.float64)
    return [torch.randn(zeroth), x, y, entries, values, [0, 1, 2], size]


def projection_arguments(name: str) -> list[Any]:
    shapes = {"y": (420, 4), "w": (420, 2, 8), "v": (70, 4, 8)}
    arrays = [torch.randn(shapes[factor]) for factor in projection.FACTORS[name]]
    return [*arrays, [1, 3], [70, 6]]


# Arguments that each operator takes; one that is missing here fails the test.
ARGUMENTS = {
    "evaluate": lambda: [
        evaluate_arguments(torch.float32, 0),
        evaluate_arguments(torch.float64, 16),
    ],
    "charges": lambda: [evaluate_arguments(torch.float64, 0, **CHARGED)],
    "evaluate_charged": lambda: [
        [
            *evaluate_arguments(torch.float32, 0, **CHARGED),
            torch.randn(5, dtype=torch.float64),
        ]
    ],
    "long_range": lambda: [long_range_arguments(8.0), long_range_arguments(0.0)],
    "contract": lambda: [contract_arguments((8, 6), 4)],
    "contract_weights": lambda: [contract_arguments((70, 4, 8), 6)],
    **{
        name: lambda name=name: [projection_arguments(name)]
        for name in projection.NAMES
    },
}
# Of these, each number that is out of range must be refused; others are a program, in
# which some numbers may be others.
# Axes of which no other argument knows the length.
FREE = {
    **{f"contract {name}": (1,) for name in ("zeroth", "x", "y")},
    **{f"contract_weights {name}": (1,) for name in ("zeroth", "x", "y")},
    "project right": (2,),
    "spread right": (2,),
}
# They give derivatives themselves, or cannot be differentiated.
WITHOUT_BACKWARD = ("evaluate", "evaluate_charged", "charges", "long_range")
INDICES = ("types", "offsets", "neighbors", "entries")


def calls(
    operator_name: str, names: list[str], valid: list[Any], many: bool
) -> Iterator[Call]:
    """Change one argument at a time; of an array, many or a few of its numbers."""
    for place, (name, value) in enumerate(zip(names, valid, strict=True)):
        for about, changed, must_fail in changes(operator_name, name, value, many):
            arguments = [a.clone() if isinstance(a, torch.Tensor) else a for a in valid]
            arguments[place] = changed
            yield Call(f"{name} {about}", arguments, must_fail)


def changes(
    operator_name: str, name: str, value: Any, many: bool
) -> Iterator[tuple[str, Any, bool]]:
    if isinstance(value, torch.Tensor):
        yield from changed_kinds(operator_name, name, value)
        yield from changed_numbers(name, value, many)
    elif isinstance(value, list):
        for index in range(len(value)):
            for number in NUMBERS:
                if number not in value:
                    yield "number", [*value[:index], number, *value[index + 1 :]], True
        for other in ([], value[:-1], [*value, 1], value * 40):
            yield "length", other, True
    elif isinstance(value, float):
        for number in (-1e300, -1.0, *FLOATS[:3]):
            yield "number", number, True
    else:
        for number in (-(2**62), -1, 2**31, 2**62, value - 1):
            yield "number", number, True


def changed_kinds(
    operator_name: str, name: str, value: torch.Tensor
) -> Iterator[tuple[str, Any, bool]]:
    """Arrays of other types, sizes and places."""
    for dtype in DTYPES:
        if dtype != value.dtype:
            yield f"as {dtype}", value.to(dtype), True
    yield "of rank 0", value.flatten()[:1].squeeze(), True
    yield "of one more rank", value.unsqueeze(0), True
    yield "of one more rank at the end", value.unsqueeze(-1), True
    yield "flat and short", value.flatten()[: value.numel() // 2], True
    for axis in range(value.dim()):
        is_fixed = axis not in FREE.get(f"{operator_name} {name}", ())
        shorter = value.narrow(axis, 0, value.shape[axis] - 1)
        yield f"shorter along {axis}", shorter, is_fixed
        yield f"longer along {axis}", torch.cat([value, value], axis), is_fixed
        yield f"empty along {axis}", value.narrow(axis, 0, 0), is_fixed
    yield "on no device", value.to("meta"), True
    yield "sparse", value.to_sparse(), True
    freed = value.clone()
    freed.untyped_storage().resize_(0)
    yield "freed", freed, True
    apart = torch.stack([value, value], -1)[..., 0]
    yield "apart in memory", apart, False


def changed_numbers(
    name: str, value: torch.Tensor, many: bool
) -> Iterator[tuple[str, Any, bool]]:
    """Single numbers, and then all of them."""
    is_float = value.is_floating_point()
    limits = (torch.finfo if is_float else torch.iinfo)(value.dtype)
    numbers = [
        n
        for n in (FLOATS if is_float else NUMBERS)
        if limits.min <= n <= limits.max or not math.isfinite(n)
    ]
    every = range(value.numel())
    chosen = [0, len(every) - 1]
    if name == "integers":  # the header, and some of the rest
        numbers = [-(2**31), -1, 1, 1000, 2**40]
        chosen = [*every[:21], *every[21 :: 5 if many else 40]]
    if many:
        chosen += random.Random(0).sample(every, 3)
    for index in chosen:
        for number in numbers:
            changed = value.clone()
            changed.view(-1)[index] = number
            outside = name in INDICES and (number < 0 or number >= 1000)
            yield f"[{index}] = {number}", changed, outside
    largest = torch.full_like(value, limits.max)
    yield "all the largest", largest, name in INDICES
    yield "backwards", value.flip(0), False
    order = torch.randperm(len(value), generator=torch.Generator().manual_seed(0))
    yield "in another order", value[order], False


def outcome(name: str, kernel: str) -> dict[str, Any]:
    """Make all calls of an operator; list those that should have failed."""
    for module in (long_range, operator, operators, projection, contraction, validity):
        is_check = module is validity and kernel == "torch"
        is_compiled = kernel == "compiled" or is_check
        module.library = library.library if is_compiled else lambda: None
    validity._check.cache_clear()
    function = getattr(torch.ops.openmm_allegro, name)
    names = [argument.name for argument in function.default._schema.arguments]
    # Torch keeps to its memory, and its programs are checked by the same compiled code.
    many = kernel != "torch"
    accepted, made = [], 0
    for valid in ARGUMENTS[name]():
        function(*valid)
        for call in calls(name, names, valid, many):
            made += 1
            print(kernel, name, call.about, file=sys.stderr)
            try:
                function(*call.arguments)
                if name not in WITHOUT_BACKWARD:
                    differentiate(function, call.arguments)
            except Exception:
                continue
            if call.must_fail:
                accepted.append(call.about)
    return {"made": made, "accepted": accepted}


def differentiate(function: Any, arguments: list[Any]) -> None:
    """Call the operators of the derivatives too."""
    leaves = [
        a.detach().requires_grad_()
        if isinstance(a, torch.Tensor) and a.is_floating_point()
        else a
        for a in arguments
    ]
    function(*leaves).sum().backward()


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for name in sys.argv[2:]:
        for kernel in sys.argv[1].split(","):
            print(json.dumps([name, kernel, outcome(name, kernel)]), flush=True)
