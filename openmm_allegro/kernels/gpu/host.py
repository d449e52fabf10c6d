# SPDX-License-Identifier: MIT
"""A processor that plays a card, so that kernels for cards run without one."""

import ctypes
import functools
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.compiler import compiled_library
from .library import Products

# In the order in which they stand before and after a source.
_SHIM = Path(__file__).with_name("shim")
_BEFORE = ("words.h", "switch.h", "lanes.h", "products.h")
_AFTER = "launch.h"
_FLAGS = ("-std=c++20", "-O1", "-w", "-pthread")
_KERNEL = re.compile(r"^\s*KERNEL\b[^;{}]*?\bvoid\s+(\w+)\s*\(", re.MULTILINE)
_BOUNDS = re.compile(r"\bLAUNCH_BOUNDS\([^()]*\)")
_WATCHED = 256


class Launch(NamedTuple):
    """A launch of a kernel."""

    name: str
    groups: int
    threads: int
    memory: int


class HostDevice:
    """A device whose buffers are this process's memory, a ``device.Device``.

    A launch has run when it returns. The lanes of a work-group are fibres, so that one
    that misses a barrier is reported.

    Parameters
    ----------
    groups : int
        Work-groups that a card would run at a time.
    memory : int
        Bytes of work-group memory that a card would have.
    products : Products
        The fastest products of a card.
    one_space : bool
        Whether a pointer may be to work-group or to device memory, as in CUDA but not
        in OpenCL.
    poison : bool
        Whether new buffers, and the memory of each work-group, are full of NaN.
    backwards : bool
        Whether the last lane of a work-group is the first to run, and the last group
        too. Results that then differ depend on an order that a card does not keep.
    lag : int
        Launches after which a ``watch`` ends.
    flags : sequence of str
        Further flags of the compiler, such as ``-fsanitize=thread``. The runtime of a
        sanitizer has to be in the process.
    left_out : int
        Line of a source whose barrier is not waited at, so that a sanitizer has
        something to find.

    Attributes
    ----------
    launches : list of Launch
    uploads : list of int
        Bytes of each.
    waits : int
        Times that the host would have waited for a card: downloads.
    """

    def __init__(
        self,
        groups: int = 2,
        memory: int = 96 * 1024,
        products: int = Products.FMA,
        *,
        one_space: bool = True,
        poison: bool = True,
        backwards: bool = False,
        lag: int = 0,
        flags: Sequence[str] = (),
        left_out: int = 0,
    ) -> None:
        self.groups, self.memory, self.products = groups, memory, int(products)
        self.one_space = one_space
        self._poison, self._backwards, self._flags = poison, backwards, tuple(flags)
        self._lag, self._left_out = lag, left_out
        self.launches: list[Launch] = []
        self.uploads: list[int] = []
        self.waits = 0
        self._buffers: dict[int, int] = {}
        self._libraries: list[ctypes.CDLL] = []
        self._kernels: list[tuple[ctypes.CDLL, int, str]] = []
        self._seen: list[tuple[int, bytes]] = []  # launches before it, and its bytes
        self._c = ctypes.CDLL(None)

    def allocate(self, count: int) -> int:
        # of the process's own allocator, which a sanitizer watches
        address = ctypes.c_void_p()
        size = ctypes.c_size_t(max(count, 1))
        if self._c.posix_memalign(ctypes.byref(address), ctypes.c_size_t(256), size):
            raise MemoryError(f"expected {count} bytes of memory, found too few")
        self._buffers[address.value] = count
        if self._poison:
            ctypes.memset(address, 0xFF, count)
        return address.value

    def release(self, buffer: int | None) -> None:
        if buffer is not None:
            self._size(buffer)
            del self._buffers[buffer]
            self._c.free(ctypes.c_void_p(buffer))

    def upload(self, buffer: int, address: int, count: int) -> None:
        self._check(buffer, count)
        self.uploads.append(count)
        if count:
            ctypes.memmove(buffer, address, count)

    def download(self, buffer: int, address: int, count: int) -> None:
        self._check(buffer, count)
        self.waits += 1
        if count:
            ctypes.memmove(address, buffer, count)

    def watch(self, buffer: int, count: int) -> None:
        self._check(buffer, count)
        if count > _WATCHED:
            raise ValueError(
                f"expected to watch {_WATCHED} bytes or less, found {count}"
            )
        self._seen.append((len(self.launches), ctypes.string_at(buffer, count)))

    def watched(self, address: int, count: int) -> bool:
        ended = [one for one in self._seen if len(self.launches) >= one[0] + self._lag]
        if not ended:
            return False
        ctypes.memmove(address, ended[-1][1], min(count, len(ended[-1][1])))
        del self._seen[: len(ended)]
        return True

    def compile(self, source: str) -> int:
        """Handle of a source, compiled into the user's cache folder.

        Raises
        ------
        ImportError
            If there is no compiler, or it finds an error.
        """
        self._libraries.append(ctypes.CDLL(str(_compiled(source, self._flags))))
        return len(self._libraries)

    def kernel(self, compiled: int, name: str, threads: int, memory: int) -> int:
        library = self._libraries[compiled - 1]
        library.card_kernel.restype = ctypes.c_int64
        number = library.card_kernel(ctypes.c_char_p(name.encode()))
        if number < 0:
            raise ValueError(f"expected a kernel {name}, found none")
        self._check_launch(name, threads, memory)
        self._kernels.append((library, number, name))
        return len(self._kernels)

    def launch(
        self,
        kernel: int,
        groups: int,
        threads: int,
        memory: int,
        arguments: Any,
        count: int,
    ) -> None:
        """Run a kernel.

        Raises
        ------
        ValueError
            If the arguments are not the kernel's.
        RuntimeError
            If the lanes of a work-group do not meet the same barriers.
        """
        library, number, name = self._kernels[kernel - 1]
        self._check_launch(name, threads, memory)
        self.launches.append(Launch(name, groups, threads, memory))
        message = ctypes.create_string_buffer(400)
        numbers = [number, groups, threads]
        options = [self._backwards, self._poison, self._left_out]
        library.card_launch.restype = ctypes.c_int64
        if library.card_launch(
            *map(ctypes.c_int64, numbers),
            arguments,
            *map(ctypes.c_int64, [count, *options]),
            message,
            ctypes.c_int64(len(message)),
        ):
            raise RuntimeError(message.value.decode())

    def _check_launch(self, name: str, threads: int, memory: int) -> None:
        if not 1 <= threads <= 1024:
            raise ValueError(f"{name}: expected 1 to 1,024 threads, found {threads}")
        if memory > self.memory:
            raise ValueError(
                f"{name}: expected {self.memory} bytes of work-group memory or less, "
                f"found {memory}"
            )

    def _check(self, buffer: int, count: int) -> None:
        if count > self._size(buffer):
            raise ValueError(
                f"expected to copy {self._size(buffer)} bytes or less, found {count}"
            )

    def _size(self, buffer: int) -> int:
        if buffer not in self._buffers:
            raise ValueError(f"expected the address of a buffer, found {buffer}")
        return self._buffers[buffer]


@functools.cache
def _compiled(source: str, flags: tuple[str, ...]) -> Path:
    """The library of a source between the words that it needs and its launches."""
    names = dict.fromkeys(_KERNEL.findall(_BOUNDS.sub("", source)))
    kernels = ", ".join(f'card::Bound<{name}>::kernel("{name}")' for name in names)
    text = "".join((_SHIM / name).read_text(encoding="utf-8") for name in _BEFORE)
    text += f'#line 1 "kernels"\n{source}\n#define CARD_KERNELS {kernels}\n'
    text += f'#line 1 "{_AFTER}"\n' + (_SHIM / _AFTER).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "host.cpp"
        path.write_text(text, encoding="utf-8")
        return compiled_library(
            "host", path, [*_FLAGS, *flags], included=(), needed_by="the host shim"
        )
