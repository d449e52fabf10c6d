# SPDX-License-Identifier: MIT
"""Kernels fit into NVIDIA's cards: registers, spills and shared memory, by NVRTC."""

from pathlib import Path

import pytest
import torch
from gpu_compiled import MEMORY, REGISTERS, compiled_kernels, compiler
from gpu_grid import MODELS
from helpers import tiny_config, tiny_energy
from kernel_helpers import in_numpy

from openmm_allegro.kernels.gpu.library import Products
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.modelfile import load_model

SYSTEMS = Path(__file__).parents[3] / "systems"
LARGE = MODELS["wide layers"] | {"l_max": 3, "num_layers": 3}
CASES = MODELS | {"three wide layers": LARGE}
# Registers of a thread that kernels of every model need at most.
MOST = {"place": 128, "list": 144, "finish": 80, "wide": 232}


def program(model, dtype=torch.float32):
    if model in CASES:
        energy = tiny_energy(tiny_config(**CASES[model]))
    else:
        energy = load_model(SYSTEMS / model).energy
    return in_numpy(fold(energy, dtype))


def check(device, *, rows=None):
    """Each kernel fits, and keeps all its numbers in registers."""
    kernels = device.kernels
    assert {"place", "list", "finish", "network", "wide"} <= set(kernels)
    for name, kernel in kernels.items():
        assert kernel.resources.spills == 0, name
        assert kernel.registers() <= REGISTERS, name
        assert kernel.resources.registers <= MOST.get(name, 255), name
        memory = kernel.memory + kernel.resources.memory
        # a kernel does not ask for more than 48 kB unless it is told to
        assert memory <= (device.memory if kernel.memory else 49_152), name
    assert kernels["wide"].memory <= 32_768
    assert sum(device.sizes) < 800_000
    if rows is not None:
        assert kernels["network"].threads == 4 * rows


def test_a_small_model_on_a_card():
    check(compiled_kernels(program("l_max 0"), 90), rows=64)


@pytest.mark.slow
@pytest.mark.parametrize("number", MEMORY)
def test_a_model_of_salt_water(number):
    """Its groups have 64 rows; what shared memory has no room for is spilled."""
    if number not in compiler().architectures:
        pytest.skip("a card that NVRTC does not know")
    device = compiled_kernels(program("nacl_aq/nacl_aq.safetensors"), number)
    check(device, rows=64)
    # the first step waits for it
    assert sum(device.seconds) < 60


@pytest.mark.slow
@pytest.mark.parametrize("products", Products)
@pytest.mark.parametrize("rows", [16, 32, 64])
def test_groups_and_products(rows, products):
    model = program("nacl_aq/nacl_aq.safetensors")
    check(compiled_kernels(model, 90, products, rows=rows), rows=rows)


@pytest.mark.slow
@pytest.mark.parametrize("products", Products)
def test_a_large_model_computes_again_what_it_has_no_room_for(products):
    device = compiled_kernels(program("three wide layers"), 90, products)
    assert any("again" in source for source in device.sources)
    check(device, rows=64)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        "all options",
        "l_max 3",
        "l_max 4, mish and gelu",
        "odd sizes",
        "spline",
        "charges",
    ],
)
@pytest.mark.parametrize("number", [80, 89])
def test_models_of_all_kinds(model, number):
    check(compiled_kernels(program(model), number))


@pytest.mark.slow
def test_double_precision():
    model = program("two layers", torch.float64)
    check(compiled_kernels(model, 90, Products.FMA))
