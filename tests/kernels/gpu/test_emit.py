# SPDX-License-Identifier: MIT
"""Arrays and sources of programs for cards hold what the program says."""

import itertools
import re

import numpy as np
import pytest
import torch
from gpu_grid import emitted, program
from gpu_network import emit
from kernel_helpers import in_numpy

from openmm_allegro.kernels.inference.program import PANEL, Code, unpack

_PADDING = 8
_CALL = re.compile(r"^ +(\w+)\(([^;]*)\);$", re.MULTILINE)


def calls(source, *names):
    """Numbers in the calls of the kernel for wide centres, by the function's name."""
    kernel = source[source.index(" wide(") :]
    return [
        (name, list(map(int, re.findall(r"-?\b\d+\b", arguments))))
        for name, arguments in _CALL.findall(kernel)
        if name in names
    ]


def padded(number):
    return -(-number // _PADDING) * _PADDING


def unpacked(weights, start, depth, width):
    """A packed matrix of a program."""
    panel = PANEL // weights.itemsize
    panels = -(-width // panel)
    packed = weights[start : start + panels * depth * panel]
    matrix = packed.reshape(panels, depth, panel).transpose(1, 0, 2)
    return matrix.reshape(depth, -1)[:, :width]


@pytest.mark.parametrize("kind", ["single", "double"])
def test_matrices_are_row_major_and_padded(kind):
    dtype = torch.float32 if kind == "single" else torch.float64
    numbers = in_numpy(program("odd sizes", dtype))
    kernels = emitted("odd sizes", kind, 0)
    operations = [op for op in unpack(numbers).operations() if op.code == Code.LINEAR]
    lines = [numbers for _, numbers in calls(kernels.source, "linear")]
    assert len(lines) == 2 * len(operations)
    both = zip(operations, lines, reversed(lines), strict=False)
    for op, forward, backward in both:
        expected = unpacked(numbers.weights, op.forward, op.depth, op.width)
        for line, matrix in [(forward, expected), (backward, expected.T)]:
            depth, width = matrix.shape
            assert (line[1], line[3]) == (depth, padded(width))
            shape = padded(depth), padded(width)
            start = line[4]
            found = kernels.weights[start : start + shape[0] * shape[1]].reshape(shape)
            assert start % _PADDING == 0
            assert np.array_equal(found[:depth, :width], matrix)
            assert not found[depth:].any() and not found[:, width:].any()


def test_entries_have_three_orders():
    """By row on the way there; by environment and by column on the way back.

    Those of the last layer are never summed with all columns.
    """
    numbers = in_numpy(program("l_max 3", torch.float64))
    kernels = emitted("l_max 3", "double", 0)
    layers = unpack(numbers).layers
    lines = calls(kernels.source, "contract")
    seen = set()
    for _, (starts, ends, terms, outputs, weights, *_) in lines:
        assert ends == starts + 1
        seen.add((starts, terms, outputs, weights))
    assert len(seen) == 3 * (len(layers) - 1)
    for start, terms, outputs, weights in seen:
        starts = kernels.integers[start : start + outputs + 1]
        rows = kernels.integers[terms : terms + 3 * starts[-1]].reshape(-1, 3)
        candidates = [
            (entries, values)
            for layer, entries in layers
            for values in [numbers.weights[layer.weights :]]
            if len(entries) == len(rows) and values[0] == kernels.weights[weights]
        ]
        (entries, values), *_ = candidates
        count = len(entries) * unpack(numbers).header.channels
        assert np.array_equal(
            kernels.weights[weights : weights + count], values[:count]
        )
        owners = np.repeat(np.arange(outputs), np.diff(starts))
        assert np.array_equal(np.sort(rows[:, 0]), np.arange(len(entries)))
        matches = [
            index
            for index in range(3)
            if np.array_equal(entries[rows[:, 0], index], owners)
            and np.array_equal(np.delete(entries[rows[:, 0]], index, 1), rows[:, 1:])
        ]
        assert matches
        columns = entries[rows[:, 0], 1]
        for begin, end in itertools.pairwise(starts):
            assert (np.diff(columns[begin:end]) >= 0).all()


def test_too_many_weights_are_refused():
    integers, constants, weights = in_numpy(program("two layers", torch.float32))
    parts = unpack((integers, constants, weights))
    head = parts.header._replace(points=1 << 22)
    many = np.concatenate([np.array(head), integers[len(head) :]])
    expected = r"expected at most 2147483647 weights .*, found \d+; a two-body table"
    with pytest.raises(ValueError, match=expected):
        emit((many, constants, weights))
