# SPDX-License-Identifier: MIT
"""The compiler of kernels for NVIDIA's cards, and the cache of what it made."""

import concurrent.futures
import importlib.util
import logging

import pytest

from openmm_allegro.kernels.gpu import cubins, nvrtc
from openmm_allegro.kernels.gpu.cubins import compiled_source
from openmm_allegro.kernels.gpu.nvrtc import CompilationError, Nvrtc, find_nvrtc

SOURCE = """extern "C" __global__ void reverse(float *x) {
  __shared__ float kept[64];
  kept[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = kept[63 - threadIdx.x];
}
extern "C" __global__ void one(float *x) { x[threadIdx.x] = 1; }
"""


@pytest.fixture(scope="module")
def compiler():
    try:
        return find_nvrtc()
    except ImportError:
        pytest.skip("NVRTC is not installed")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_source_is_compiled_for_a_card(compiler):
    compiled = compiler.compile(SOURCE, "sm_90")
    assert compiled.code.startswith(b"\x7fELF")
    resources = compiled.resources()
    assert set(resources) == {"reverse", "one"}
    assert resources["reverse"].memory == 64 * 4 and resources["one"].memory == 0
    assert 4 < resources["reverse"].registers < 40
    assert resources["reverse"].spills == 0


def test_spilled_registers_are_counted(compiler):
    """600 numbers do not fit into 32 registers of a thread."""
    body = "\n".join(f"float v{i} = x[{i}];" for i in range(60))
    total = " + ".join(f"v{i} * v{(7 * i) % 60}" for i in range(60))
    source = (
        'extern "C" __global__ __launch_bounds__(1024, 2) void many(volatile float *x)'
        f"{{ {body} x[0] = {total}; }}"
    )
    assert compiler.compile(source, "sm_90").resources()["many"].spills > 0


def test_ptx_for_cards_that_the_compiler_does_not_know(compiler, monkeypatch):
    newest = max(compiler.architectures) // 10
    name = compiler.architecture((newest + 1, 0))
    assert name == f"compute_{10 * newest}"
    assert b".visible .entry reverse" in compiler.compile(SOURCE, name).code
    assert compiler.architecture((9, 0)) == "sm_90"
    assert compiler.architecture((9, 9)) == "compute_90"
    monkeypatch.setattr(compiler, "architectures", (75, 80, 87, 90))
    assert compiler.architecture((8, 8)) == "compute_80"
    with pytest.raises(CompilationError, match=r"7\.5 or later .*, found 6\.1; insta"):
        compiler.architecture((6, 1))


def test_errors_show_the_log(compiler):
    with pytest.raises(CompilationError, match=r"(?s)for sm_90, found .*nonsense"):
        compiler.compile("nonsense", "sm_90")
    with pytest.raises(CompilationError, match=r"(?s)for sm_1, found .*invalid value"):
        compiler.compile(SOURCE, "sm_1")


def test_without_the_compiler_an_error_says_what_to_install(monkeypatch):
    find_nvrtc.cache_clear()
    monkeypatch.setattr(nvrtc, "_paths", lambda: ["/no/libnvrtc.so.12"])
    with pytest.raises(ImportError, match=r"found no .*; install nvidia-cuda-nvrtc"):
        find_nvrtc()


def test_it_is_found_in_wheels_and_toolkits(tmp_path, monkeypatch):
    wheel = tmp_path / "nvidia" / "cu13" / "lib" / "libnvrtc.so.13"
    toolkit = tmp_path / "cuda" / "lib64" / "libnvrtc.so.12"
    for path in (wheel, toolkit):
        path.parent.mkdir(parents=True)
        path.touch()
    spec = importlib.util.spec_from_loader("nvidia", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path / "nvidia"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    paths = [*nvrtc._paths()]
    assert paths[:2] == [wheel, toolkit]
    assert paths[-2:] == ["libnvrtc.so.13", "libnvrtc.so.12"]


@pytest.mark.parametrize(
    ("driver", "expected"),
    [(None, (13, 0)), (13, (13, 0)), (12, (12, 8)), (11, (13, 0))],
)
def test_the_newest_that_the_driver_knows(monkeypatch, driver, expected):
    class Fake:
        def __init__(self, version):
            self.version = version

    find_nvrtc.cache_clear()
    monkeypatch.setattr(nvrtc, "_paths", lambda: [(12, 8), (13, 0), (12, 6)])
    monkeypatch.setattr(nvrtc, "Nvrtc", Fake)
    assert find_nvrtc(driver).version == expected
    find_nvrtc.cache_clear()


def test_what_was_compiled_is_kept(compiler, cache, monkeypatch):
    first = compiled_source(compiler, SOURCE, "sm_90")
    (path,) = cache.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(Nvrtc, "compile", None)
        assert compiled_source(compiler, SOURCE, "sm_90") == first
    other = compiled_source(compiler, SOURCE, "sm_80")
    assert other.code != first.code
    compiled_source(compiler, SOURCE + "\n", "sm_90")
    assert len({*cache.iterdir()}) == 3 and path in cache.iterdir()


@pytest.mark.parametrize("damage", [b"", b"x" * 8, None])
def test_a_damaged_file_is_made_anew(compiler, cache, damage):
    first = compiled_source(compiler, SOURCE, "sm_90")
    (path,) = cache.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-1] if damage is None else damage)
    again = compiled_source(compiler, SOURCE, "sm_90")
    assert again.code == first.code and again.resources() == first.resources()
    assert compiled_source(compiler, SOURCE, "sm_90") == again


def test_several_compile_at_once(compiler, cache):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        tasks = [
            pool.submit(compiled_source, compiler, SOURCE, "sm_90") for _ in range(4)
        ]
    assert len({task.result().code for task in tasks}) == 1
    assert len([*cache.iterdir()]) == 1


def test_without_a_folder_it_is_compiled_and_said(compiler, cache, caplog):
    cache.write_text("no folder")
    with caplog.at_level(logging.WARNING, cubins.__name__):
        assert compiled_source(compiler, SOURCE, "sm_90").code
    assert "OPENMM_ALLEGRO_CACHE names another folder" in caplog.text
