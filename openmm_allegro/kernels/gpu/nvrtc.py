# SPDX-License-Identifier: MIT
"""NVIDIA's compiler for CUDA sources at run time, which torch brings, and its results.

Sources are compiled without ``--use_fast_math``: they name the operations that may be
less exact. Where exponentials and quotients of activations are wrong by 2 units in the
last place, the largest error of a force in aqueous NaCl is 0.7 µeV/Å instead of 0.5.
"""

import ctypes
import functools
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

FLAGS = ("--std=c++17", "-default-device", "--ptxas-options=-v")
_NAME = "libnvrtc.so"
_HEAD = 2000  # characters of a log that an error shows


class CompilationError(RuntimeError):
    """The source of a kernel does not compile."""


class Resources(NamedTuple):
    """Registers of a thread, bytes spilled of them, bytes of static shared memory."""

    registers: int
    spills: int
    memory: int


class Compiled(NamedTuple):
    """Code for a card, and the compiler's log."""

    code: bytes
    log: str

    def resources(self) -> dict[str, Resources]:
        """Resources of each kernel by name; none for PTX, which the driver compiles."""
        return {
            name: Resources(
                registers=_number(r"Used (\d+) registers", text),
                # of the kernel and of functions that it calls
                spills=sum(map(int, re.findall(r"(\d+) bytes spill", text))),
                memory=_number(r"(\d+) bytes smem", text),
            )
            for name, text in re.findall(
                r"Compiling entry function '(\w+)'(.*?)(?=Compiling entry|\Z)",
                self.log,
                re.DOTALL,
            )
        }


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match[1]) if match else 0


class Nvrtc:
    """A loaded library of the compiler.

    Parameters
    ----------
    path : Path or str

    Attributes
    ----------
    version : tuple of int
        That of CUDA, such as (12, 8).
    architectures : tuple of int
        Compute capabilities that it can compile for, such as 90 for 9.0.

    Raises
    ------
    OSError
        If the library cannot be loaded.
    """

    def __init__(self, path: Path | str):
        # That of CUDA 13 does not look for its other half in its own folder.
        if Path(path).is_absolute():
            for half in Path(path).parent.glob("libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(half))
        self._library = ctypes.CDLL(str(path))
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor, count = (ctypes.c_int() for _ in range(3))
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        architectures = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", architectures)
        self.version = major.value, minor.value
        self.architectures = tuple(architectures)

    def architecture(self, capability: tuple[int, int]) -> str:
        """Name of what to compile for, for a card of a compute capability.

        For cards newer than the compiler it is PTX, which their driver compiles.

        Raises
        ------
        CompilationError
            If the card is older than all that are known.
        """
        number = 10 * capability[0] + capability[1]
        if number in self.architectures:
            return f"sm_{number}"
        # without those of boards such as Jetson, which go their own ways
        older = [n for n in self.architectures if n < number and n % 10 == 0]
        if not older:
            known = ".".join(map(str, divmod(min(self.architectures), 10)))
            raise CompilationError(
                f"expected a card of compute capability {known} or later for NVRTC "
                f"{self.version[0]}.{self.version[1]}, found "
                f"{capability[0]}.{capability[1]}; install an older torch or "
                "nvidia-cuda-nvrtc"
            )
        return f"compute_{max(older)}"

    def compile(self, source: str, architecture: str) -> Compiled:
        """Compile a source.

        Parameters
        ----------
        source : str
        architecture : str
            ``sm_90`` for code of cards of compute capability 9.0, ``compute_90`` for
            PTX.

        Raises
        ------
        CompilationError
            With the beginning of the compiler's log.
        """
        program, text = ctypes.c_void_p(), source.encode()
        create = ctypes.byref(program), text, b"allegro.cu", 0, None, None
        self._call("nvrtcCreateProgram", *create)
        try:
            options = [f"--gpu-architecture={architecture}", *FLAGS]
            encoded = (ctypes.c_char_p * len(options))(*map(str.encode, options))
            failure = self._library.nvrtcCompileProgram(program, len(options), encoded)
            log = self._text("ProgramLog", program).rstrip(b"\0").decode()
            if failure:
                problem = self._library.nvrtcGetErrorString(failure).decode()
                raise CompilationError(
                    f"expected a source that compiles for {architecture}, found "
                    f"{problem}:\n{log[:_HEAD]}"
                )
            kind = "CUBIN" if architecture.startswith("sm_") else "PTX"
            return Compiled(self._text(kind, program), log)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _text(self, kind: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{kind}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{kind}", program, text)
        return text.raw

    def _call(self, name: str, *arguments) -> None:
        failure = getattr(self._library, name)(*arguments)
        if failure:
            problem = self._library.nvrtcGetErrorString(failure).decode()
            raise CompilationError(f"expected that {name} succeeds, found {problem}")


@functools.cache
def find_nvrtc(driver: int | None = None) -> Nvrtc:
    """The newest NVRTC, of those that a driver knows if there is one.

    Parameters
    ----------
    driver : int, optional
        Major version of CUDA that the driver is for. Code of a later NVRTC may not
        load.

    Raises
    ------
    ImportError
        If there is none; the message says what to install.
    """
    known = []
    for path in _paths():
        try:
            known.append(Nvrtc(path))
        except (OSError, AttributeError, CompilationError):
            continue  # for another processor, or without its other half
    if not known:
        raise ImportError(
            "expected NVIDIA's compiler NVRTC for kernels of graphics cards, found no "
            f"{_NAME}.12 or {_NAME}.13; install nvidia-cuda-nvrtc-cu12 or torch for "
            "CUDA, or name the folder of a CUDA toolkit by CUDA_HOME"
        )
    fitting = [one for one in known if driver is None or one.version[0] <= driver]
    return max(fitting or known, key=lambda one: one.version)


def _paths() -> Iterator[Path | str]:
    """Files of NVIDIA's wheels and of toolkits, then what the system's loader finds."""
    folders = _package_folders()
    roots = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    for root in [*filter(None, roots), sys.prefix, "/usr/local/cuda"]:
        folders += [Path(root, "lib"), Path(root, "lib64")]
    names = [f"{_NAME}.{major}" for major in (13, 12)]
    for folder in folders:
        yield from (folder / name for name in names if (folder / name).is_file())
    yield from names


def _package_folders() -> Sequence[Path]:
    """Libraries of the wheels nvidia-*, which need not be those of torch."""
    spec = importlib.util.find_spec("nvidia")
    roots = spec.submodule_search_locations if spec else None
    return [folder for root in roots or () for folder in Path(root).glob("*/lib")]
