# SPDX-License-Identifier: MIT
"""A driver of NVIDIA's cards that is not there."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

from openmm_allegro.kernels.gpu import cuda
from openmm_allegro.kernels.gpu.nvrtc import Compiled

SOURCE = Path(__file__).with_name("fake_cuda.c")


@pytest.fixture(scope="session")
def fake_driver(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("fake") / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", SOURCE, "-o", path], check=True)
    return str(path)


class Fake:
    """The driver's other side."""

    def __init__(self, path):
        self.path = path
        self.library = ctypes.CDLL(path)
        self.text = (ctypes.c_char * 65536).in_dll(self.library, "fake_calls")

    def set(self, **values):
        for name, value in values.items():
            kind = ctypes.c_long if name == "passed" else ctypes.c_int
            kind.in_dll(self.library, f"fake_{name}").value = value

    def fail(self, name, code, times=1):
        (ctypes.c_char * 64).in_dll(self.library, "fake_failing").value = name.encode()
        self.set(code=code, failures=times)

    def number(self, name):
        return ctypes.c_long.in_dll(self.library, f"fake_{name}").value

    def calls(self):
        """Calls since the last time, but those for events' ends."""
        lines = self.text.value.decode().splitlines()
        self.text.value = b""
        return [line for line in lines if "EventQuery" not in line]


@pytest.fixture
def fake(fake_driver, monkeypatch):
    """A driver, and code that is as if compiled."""

    class Compiler:
        version = (12, 8)

        def architecture(self, capability):
            return "sm_{}{}".format(*capability)

    def compiled(compiler, source, architecture):
        return Compiled(f"{architecture} {source}".encode(), "")

    monkeypatch.setattr(cuda, "find_nvrtc", lambda driver: Compiler())
    monkeypatch.setattr(cuda, "compiled_source", compiled)
    fake = Fake(fake_driver)
    yield fake
    fake.set(version=12080, major=9, minor=0, pools=1, blocks=1, failures=0, passed=0)
    fake.calls()
