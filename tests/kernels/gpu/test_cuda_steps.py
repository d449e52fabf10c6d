# SPDX-License-Identifier: MIT
"""What a step asks of NVIDIA's driver: few launches, and nothing that waits."""

import pytest
import torch
from gpu_step import steps
from helpers import random_atoms, tiny_config, tiny_energy
from kernel_helpers import in_numpy

from openmm_allegro.kernels.gpu.cuda import CudaDevice
from openmm_allegro.kernels.inference.fold import fold

# In a step the card copies 64 bytes to the host, and an event says later that it did.
WATCH = ["cuMemcpyDtoHAsync", "cuEventRecord"]


def names(calls):
    return [line.split()[1] for line in calls]


@pytest.fixture(scope="module")
def program():
    return in_numpy(fold(tiny_energy(tiny_config()), torch.float32))


@pytest.fixture(scope="module")
def atoms():
    """Positions, cell, where it repeats, and elements."""
    return [array.numpy() for array in random_atoms("triclinic", 1)]


@pytest.mark.parametrize(("cells", "launches"), [(1000, 5), (1, 6)])
@pytest.mark.parametrize("wants_forces", [True, False])
def test_a_step_is_six_launches_at_most(
    fake, program, cells, launches, wants_forces, atoms
):
    positions, cell, periodic, types = atoms
    device = CudaDevice(library=fake.path)
    with steps([program], types, periodic, device=device, cells=cells) as made:
        for _ in range(20):
            made.step(positions, cell, wants_forces=wants_forces)
            fake.set(passed=fake.number("recorded") - 1)  # a step behind the host
        fake.calls()
        for _ in range(3):
            made.step(positions, cell, wants_forces=wants_forces)
            assert sorted(names(fake.calls())) == sorted(
                ["cuLaunchKernel"] * launches + WATCH
            )
        made.finish()
        assert names(fake.calls())[-1] == "cuStreamSynchronize"


def test_all_memory_is_given_back(fake, program, atoms):
    positions, cell, periodic, types = atoms
    device = CudaDevice(library=fake.path)
    fake.calls()
    with steps([program] * 2, [types] * 2, periodic, device=device) as made:
        made.step(positions, cell)
    device.close()
    calls = names(fake.calls())
    for made, given_back in [
        ("cuMemAllocAsync", "cuMemFreeAsync"),
        ("cuModuleLoadDataEx", "cuModuleUnload"),
    ]:
        assert calls.count(made) == calls.count(given_back) > 1
    assert calls.count("cuEventCreate") + 8 == calls.count("cuEventDestroy")


def test_a_card_with_too_little_memory(fake, program):
    """The error of the device is raised, not only that of the library."""
    fake.fail("cuMemAllocAsync", 2, times=10)
    with (
        pytest.raises(MemoryError, match=r"OUT_OF_MEMORY .*; use fewer atoms"),
        steps([program], [0, 1], [True] * 3, device=CudaDevice(library=fake.path)),
    ):
        pass
