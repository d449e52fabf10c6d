# SPDX-License-Identifier: MIT
"""A card of NVIDIA, by a driver that is not there: which calls are made, and when."""

import ctypes

import numpy as np
import pytest

from openmm_allegro.kernels.gpu.cuda import CudaDevice
from openmm_allegro.kernels.gpu.device import Argument, Bridge
from openmm_allegro.kernels.gpu.driver import CudaError
from openmm_allegro.kernels.gpu.library import Products
from openmm_allegro.kernels.library import Outcome

pytestmark = pytest.mark.small

STREAM = 77


@pytest.fixture
def device(fake):
    device = CudaDevice(1, STREAM, library=fake.path)
    fake.calls()
    yield device
    device.close()


def test_a_device_is_a_card(fake):
    device = CudaDevice(1, library=fake.path)
    assert (device.name, device.capability) == ("card 1", (9, 0))
    assert (device.groups, device.memory) == (132, 232448)
    assert fake.calls() == [
        *("0 cuInit 0", "0 cuDeviceGet 1", "0 cuDevicePrimaryCtxRetain 1"),
        *("1 cuMemAllocHost 2048", *["1 cuEventCreate 2"] * 8),
    ]
    del device  # which gives back all that it has, the context last
    assert fake.calls() == [
        *("1 cuCtxSynchronize", *["1 cuEventDestroy"] * 8),
        *("1 cuMemFreeHost", "1 cuDevicePrimaryCtxRelease 1"),
    ]


@pytest.mark.parametrize(
    ("major", "minor", "products"),
    [(8, 0, 1), (8, 6, 0), (8, 9, 0), (9, 0, 1), (10, 0, 1), (12, 0, 0), (7, 5, 0)],
)
def test_products_that_are_faster_on_a_card(fake, major, minor, products):
    fake.set(major=major, minor=minor)
    device = CudaDevice(library=fake.path)
    assert device.products == Products(products)


def test_a_kernel_runs_in_the_order_of_the_calls(fake, device):
    """All in the context of the card, and in the stream."""
    x, result = np.arange(4.0), np.zeros(4)
    buffer = device.allocate(x.nbytes)
    device.upload(buffer, x.ctypes.data, x.nbytes)
    x[:] = np.nan  # which may change after the call
    module = device.compile("code")
    kernel = device.kernel(module, "scale", 64, 100_000)
    for factor in (3.0, 0.5):  # at another address the second time
        arguments = (Argument * 3)(
            Argument(kind=0, buffer=buffer),
            Argument(kind=1, integer=3),
            Argument(kind=2, real=factor),
        )
        pointer = ctypes.cast(arguments, ctypes.POINTER(Argument))
        device.launch(kernel, 5, 64, 100_000, pointer, 3)
    device.download(buffer, result.ctypes.data, result.nbytes)
    device.release(buffer)
    np.testing.assert_array_equal(result, [0, 1.5, 3, 3])
    assert fake.calls() == [
        f"1 cuMemAllocAsync 32 {STREAM}",
        f"1 cuMemcpyHtoDAsync 32 {STREAM}",
        *("1 cuEventCreate 2", f"1 cuEventRecord {STREAM}"),
        "1 cuModuleLoadDataEx sm_90 co 2 5 6",
        *("1 cuModuleGetFunction scale", "1 cuFuncSetAttribute 8 100000"),
        "1 cuOccupancy 64 100000",
        *[f"1 cuLaunchKernel 5 1 1 64 1 1 100000 {STREAM} 0"] * 2,
        *(f"1 cuMemcpyDtoHAsync 32 {STREAM}", f"1 cuStreamSynchronize {STREAM}"),
        f"1 cuMemFreeAsync {STREAM}",
    ]
    device.close()
    lines = fake.calls()
    # kernels run to their end, and the bytes of the upload are kept until it is there
    assert lines[:2] == ["1 cuCtxSynchronize", "1 cuModuleUnload"]


def test_without_pools_memory_is_the_drivers_own(fake):
    fake.set(pools=0)
    device = CudaDevice(library=fake.path)
    fake.calls()
    device.release(device.allocate(0))
    assert fake.calls() == ["1 cuMemAlloc 1", "1 cuMemFree"]


def test_uploads_that_have_ended_are_forgotten(fake, device):
    x = np.zeros(4)
    buffer = device.allocate(x.nbytes)
    device.upload(buffer, x.ctypes.data, x.nbytes)
    device.upload(buffer, x.ctypes.data, x.nbytes)
    assert "1 cuEventDestroy" not in fake.calls()
    fake.set(passed=1000)
    device.upload(buffer, x.ctypes.data, x.nbytes)
    assert fake.calls()[:2] == ["1 cuEventDestroy"] * 2


def test_a_watch_does_not_wait(fake, device):
    numbers = np.zeros(16, np.int32)
    buffer, read = numbers.ctypes.data, np.zeros(16, np.int32)

    def watched():
        return device.watched(read.ctypes.data, read.nbytes)

    assert not watched()
    fake.calls()
    for step in range(3):
        numbers[:] = step
        device.watch(buffer, numbers.nbytes)
    assert fake.calls() == 3 * [
        *(f"1 cuMemcpyDtoHAsync 64 {STREAM}", f"1 cuEventRecord {STREAM}")
    ]
    assert not watched()
    fake.set(passed=fake.number("recorded") - 1)
    assert watched() and (read == 1).all()
    assert not watched()  # none has ended since
    fake.set(passed=fake.number("recorded"))
    assert watched() and (read == 2).all()
    # more than there is room for: the last ones are kept
    for step in range(20):
        numbers[:] = step
        device.watch(buffer, numbers.nbytes)
    fake.set(passed=fake.number("recorded"))
    assert watched() and (read == 19).all()
    assert not watched()
    with pytest.raises(ValueError, match="at most 256 bytes to watch, found 257"):
        device.watch(buffer, 257)


def test_another_stream_goes_on_where_the_last_one_was(fake, device):
    device.use_stream(STREAM)
    assert fake.calls() == []
    device.use_stream(STREAM + 1)
    assert fake.calls() == [
        *("1 cuEventCreate 2", f"1 cuEventRecord {STREAM}"),
        *(f"1 cuStreamWaitEvent {STREAM + 1} 0", "1 cuEventDestroy"),
    ]
    device.release(device.allocate(8))
    assert fake.calls()[-1] == f"1 cuMemFreeAsync {STREAM + 1}"


def test_too_little_memory_is_an_outcome_of_its_own(fake):
    reclaimed = []
    device = CudaDevice(library=fake.path, reclaim=lambda: reclaimed.append(True))
    fake.fail("cuMemAllocAsync", 2, times=1)
    device.release(device.allocate(10**6))
    assert reclaimed == [True]
    fake.fail("cuMemAllocAsync", 2, times=2)
    with pytest.raises(MemoryError, match="CUDA_ERROR_OUT_OF_MEMORY as asked for; use"):
        device.allocate(10**6)
    fake.fail("cuLaunchKernel", 2)
    bridge, argument = Bridge(device), Argument(kind=0)
    outcome = bridge.struct.launch(None, 1, 1, 32, 0, ctypes.pointer(argument), 1)
    assert outcome == Outcome.NO_MEMORY


def test_a_card_that_is_lost(fake, device):
    fake.fail("cuStreamSynchronize", 700, times=100)
    text = np.zeros(1)
    with pytest.raises(CudaError, match="lost to this process, start another one"):
        device.download(text.ctypes.data, text.ctypes.data, 8)
    fake.fail("cuMemFreeHost", 700, times=100)
    device.close()  # without an error, and all the rest is given back
    assert fake.calls()[-1] == "1 cuDevicePrimaryCtxRelease 1"
    assert fake.number("depth") == 0  # the thread has its own context again


def test_errors_of_the_driver_say_what_to_do(fake, device):
    fake.fail("cuModuleLoadDataEx", 222)
    message = r"driver for CUDA 12\.8 loads .* NVRTC 12\.8 .*sm_90.* as the log says"
    with pytest.raises(CudaError, match=message):
        device.compile("code")
    fake.set(blocks=0)
    with pytest.raises(CudaError, match=r"scale with 64 threads and 9 bytes .* card 1"):
        device.kernel(device.compile("code"), "scale", 64, 9)
    fake.fail("cuDeviceGet", 101)
    with pytest.raises(CudaError, match="cuDeviceGet: expected success, found CUDA_E"):
        CudaDevice(3, library=fake.path)
    fake.set(version=11040)
    with pytest.raises(ImportError, match=r"for CUDA 12 or later, found one for 11\.4"):
        CudaDevice(library=fake.path)


def test_without_a_driver_an_error_says_so():
    with pytest.raises(ImportError, match=r"expected an NVIDIA driver .*; install one"):
        CudaDevice(library="libno-such-driver.so.1")
