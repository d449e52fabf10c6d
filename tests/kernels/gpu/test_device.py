# SPDX-License-Identifier: MIT
"""A device in Python, seen through the struct that the library gets."""

import ctypes

import pytest

from openmm_allegro.kernels import header
from openmm_allegro.kernels.gpu.device import Bridge, values
from openmm_allegro.kernels.library import Outcome

pytestmark = pytest.mark.small

Argument = header.structure("allegro_gpu_argument")


class Recorder:
    """A device that notes what it is asked for, and has 100 bytes."""

    groups, memory, products, one_space = 3, 48_000, 1, True

    def __init__(self):
        self.calls = []
        self.is_read = True

    def note(self, *call):
        self.calls.append(call)

    def allocate(self, size):
        if size > 100:
            raise MemoryError("expected 100 bytes at most")
        return 1 << 40

    def release(self, buffer):
        raise OSError("context lost")

    def upload(self, *arguments):
        self.note("upload", *arguments)

    def download(self, *arguments):
        raise OSError("context lost")

    def watch(self, *arguments):
        self.note("watch", *arguments)

    def watched(self, *arguments):
        self.note("watched", *arguments)
        return self.is_read

    def compile(self, source):
        if "Å" not in source:
            raise ValueError("expected a source")
        return 5

    def kernel(self, *arguments):
        self.note("kernel", *arguments)
        return 6

    def launch(self, *arguments):
        *sizes, array, count = arguments
        self.note("launch", *sizes, values(array, count))


@pytest.fixture
def bridge():
    return Bridge(Recorder())


def test_the_library_calls_functions_of_a_device(bridge):
    device, struct = bridge.device, bridge.struct
    assert (struct.groups, struct.memory, struct.products) == (3, 48_000, 1)
    assert struct.one_space == 1
    assert struct.allocate(None, 100) == 1 << 40
    assert struct.upload(None, 1 << 40, 10, 20) == Outcome.OK
    assert struct.watch(None, 1 << 40, 64) == Outcome.OK
    assert struct.watched(None, 10, 64) == Outcome.OK
    device.is_read = False
    assert struct.watched(None, 10, 64) == Outcome.REFUSED
    assert struct.compile(None, "// lengths in Å".encode()) == 5
    assert struct.kernel(None, 5, b"network", 256, 1000) == 6
    arguments = (Argument * 4)(
        Argument(kind=0, buffer=1 << 40),
        Argument(kind=0),
        Argument(kind=1, integer=-3),
        Argument(kind=2, real=0.5),
    )
    assert struct.launch(None, 6, 7, 256, 1000, arguments, 4) == Outcome.OK
    assert device.calls == [
        ("upload", 1 << 40, 10, 20),
        ("watch", 1 << 40, 64),
        ("watched", 10, 64),
        ("watched", 10, 64),
        ("kernel", 5, "network", 256, 1000),
        ("launch", 6, 7, 256, 1000, [1 << 40, 0, -3, 0.5]),
    ]


def call(bridge, result, function):
    """What a function of a library gives, which calls functions of the device."""
    return bridge.call(ctypes.CFUNCTYPE(result)(lambda: function(bridge.struct)))


def test_an_error_is_raised_after_the_call_if_it_failed_too(bridge):
    def without_other_way(device):
        return device.allocate(None, 101)

    def with_other_way(device):
        return device.allocate(None, 101) or device.allocate(None, 50)

    with pytest.raises(MemoryError, match="100 bytes at most"):
        call(bridge, ctypes.c_void_p, without_other_way)
    assert call(bridge, ctypes.c_void_p, with_other_way) == 1 << 40
    # that of an earlier call is not raised again
    assert call(bridge, ctypes.c_void_p, lambda device: None) is None


def test_an_error_has_its_outcome(bridge):
    struct = bridge.struct
    assert struct.download(None, 1, 2, 3) == Outcome.REFUSED
    assert bridge._failure(MemoryError()) == Outcome.NO_MEMORY
    with pytest.raises(ValueError, match="expected a source"):
        call(bridge, ctypes.c_void_p, lambda device: device.compile(None, b"x"))


def test_the_error_before_a_release_that_fails_is_raised(bridge):
    def fails(device):
        device.compile(None, b"x")
        device.release(None, 1 << 40)

    with pytest.raises(ValueError, match="expected a source"):
        call(bridge, ctypes.c_void_p, fails)


def test_an_interruption_is_raised_even_if_the_call_went_well(bridge):
    def interrupt(*_):
        raise KeyboardInterrupt

    device = Recorder()
    device.upload = interrupt
    bridge = Bridge(device)
    with pytest.raises(KeyboardInterrupt):
        call(bridge, ctypes.c_int64, lambda d: 0 * d.upload(None, 1, 2, 3))
