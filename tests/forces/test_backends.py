# SPDX-License-Identifier: MIT
"""``backend="auto"``: what it chooses under which conditions, and the reason."""

import copy
import os
import sys
from xml.etree import ElementTree

import openmm
import pytest
from openmm_helpers import make_topology, skip_without

from openmm_allegro import AllegroPotential
from openmm_allegro.forces import (
    PlannedRun,
    allegro_module,
    backends,
    choose_backend,
    torch_force,
)
from openmm_allegro.plugin.library import plugin
from openmm_allegro.potential.description import description
from openmm_allegro.potential.force import resolve
from openmm_allegro.potential.options import ForceOptions
from openmm_allegro.simulate.backend import planned_run
from openmm_allegro.simulate.settings import Execution
from openmm_allegro.utils.files import write_record


@pytest.fixture
def no_openmmtorch(monkeypatch):
    monkeypatch.setitem(sys.modules, "openmmtorch", None)


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "/nonexistent")
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path))
    monkeypatch.setattr(backends, "plugin", plugin.__wrapped__)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setenv("OPENMM_DEFAULT_PLATFORM", "CPU")


pytestmark = [pytest.mark.small, pytest.mark.usefixtures("no_gpu")]


@pytest.mark.parametrize("backend", ["torchforce", "pythonforce", "native"])
def test_what_is_asked_for_is_taken(backend, no_compiler, no_openmmtorch):
    choice = choose_backend(backend)
    assert choice.backend == backend
    assert choice.reason.endswith(", as asked for")


def test_openmm_torch_comes_first(no_compiler):
    skip_without("torchforce")
    if openmm.__version__ >= "8.6":
        pytest.skip("openmm-torch crashes with OpenMM 8.6")
    choice = choose_backend()
    assert choice.backend == "torchforce"
    assert choice.reason.startswith("TorchForce of openmm-torch 1.")


def test_a_run_on_the_processor_starts_soon(model, monkeypatch):
    """By the native force where it can compute the model, whatever else there is."""
    monkeypatch.setattr(backends, "_obstacle_by_versions", lambda: "")
    monkeypatch.setattr(backends, "register_torch_force", lambda: None)
    for name in ("CPU", "Reference"):
        options, reason = resolve([model], ForceOptions(), run=PlannedRun(name))
        assert options.backend == "native"
        assert reason.startswith(f"native: on the Platform {name} it starts in seconds")
        assert "TorchForce, the other choice (backend='torchforce')" in reason
    plain = ForceOptions(kernel="plain")
    options, reason = resolve([model], plain, run=PlannedRun("CPU"))
    assert options.backend == "torchforce"
    assert reason.startswith("TorchForce of openmm-torch")
    assert "cannot be used (kernel='plain' was asked for" in reason
    for run in (PlannedRun(), PlannedRun("CUDA"), PlannedRun("OpenCL")):
        assert resolve([model], ForceOptions(), run=run)[0].backend == "torchforce"


def test_a_run_on_the_processor_without_openmm_torch(no_openmmtorch):
    run = PlannedRun("CPU")
    assert choose_backend(run=run).reason == "native: openmm-torch is not installed"


def test_a_run_that_is_resumed_keeps_its_backend(tmp_path, monkeypatch):
    """That of the record that was written last, where it can still be had."""
    monkeypatch.setattr(backends, "_obstacle_by_versions", lambda: "")
    monkeypatch.setattr(backends, "register_torch_force", lambda: None)
    pytest.importorskip("torch")
    execution = Execution("CPU", resume=True)
    assert planned_run(execution, tmp_path) == ("CPU", "")
    (tmp_path / "500K").mkdir()
    classes = {"native": "native", "pythonforce": "PythonForce"}
    for number, (name, shown) in enumerate(classes.items(), start=1):
        path = tmp_path / "500K" / f"{number}-run.json"
        write_record(path, {"backend": name})
        os.utime(path, (number, number))
        for output in (tmp_path, tmp_path / "500K", path.with_suffix("")):
            run = planned_run(execution, output)
            assert run == ("CPU", name)
            assert choose_backend(run=run) == (
                name,
                f"{shown}, with which the run began",
            )
            assert choose_backend("torchforce", run=run).backend == "torchforce"
    assert planned_run(Execution("CPU"), tmp_path) == ("CPU", "")
    began = PlannedRun("CPU", "torchforce")
    assert choose_backend(run=began).backend == "torchforce"
    monkeypatch.setattr(backends, "_obstacle_by_versions", lambda: "it is gone")
    assert choose_backend(run=began) == ("native", "native: it is gone")


def test_no_openmm_torch(no_openmmtorch):
    assert choose_backend() == ("native", "native: openmm-torch is not installed")


def test_openmm_8_6(monkeypatch):
    skip_without("torchforce")
    monkeypatch.setattr(openmm, "__version__", "8.6.1")
    backend, reason = choose_backend()
    assert backend == "native"
    assert "openmm-torch 1.5 crashes with OpenMM 8.6.1" in reason


def test_versions_that_are_known_to_fail(monkeypatch):
    skip_without("torchforce")
    monkeypatch.setattr(backends, "installed_known_bad", lambda: ["they do not fit"])
    monkeypatch.setattr(openmm, "__version__", "8.5.2")
    assert choose_backend() == ("native", "native: they do not fit")


def test_openmm_torch_without_kernels_for_this_openmm(monkeypatch):
    pytest.importorskip("openmmtorch")
    if openmm.__version__ >= "8.6":
        pytest.skip("openmm-torch crashes with OpenMM 8.6")
    register = torch_force.register_torch_force.__wrapped__
    monkeypatch.setattr(backends, "register_torch_force", register)
    monkeypatch.setattr(torch_force, "_KERNEL", "CalcForceOfAnother")
    lacks = f"no kernels of it for OpenMM {openmm.__version__}"
    assert choose_backend() == (
        "native",
        f"native: openmm-torch cannot be used ({lacks})",
    )
    with pytest.raises(ImportError, match=f"expects openmm-torch, found: {lacks}"):
        register()


def test_no_compiler(no_openmmtorch, no_compiler):
    """The reason says what is lost."""
    pytest.importorskip("torch")
    backend, reason = choose_backend()
    assert backend == "pythonforce"
    assert reason.startswith("PythonForce: openmm-torch is not installed, and there is")
    for words in (
        "(the plugin expects a C++ compiler, found no CXX=/nonexistent",
        "apt install g++",
        "torch's memory",
        "slower",
    ):
        assert words in reason


def test_device(no_openmmtorch):
    choice = choose_backend(device="cuda:1")
    assert choice == ("pythonforce", "PythonForce: device='cuda:1' asked for")


@pytest.mark.parametrize("wish", ["CUDA", "CPU", None])
@pytest.mark.parametrize("obstacle", ["it lacks cuda.h", ""])
def test_a_gpu_is_used(no_openmmtorch, monkeypatch, wish, obstacle):
    """Where OpenMM would run on it: by the native force, if it has kernels for it."""
    torch = pytest.importorskip("torch")
    cuda = type("Platform", (), {"getName": staticmethod(lambda: "CUDA")})
    platforms = [cuda, openmm.Platform.getPlatformByName("CPU")]
    monkeypatch.setattr(openmm.Platform, "getNumPlatforms", lambda: 2)
    monkeypatch.setattr(openmm.Platform, "getPlatform", platforms.__getitem__)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(backends, "obstacle_on", lambda name: obstacle)
    monkeypatch.delenv("OPENMM_DEFAULT_PLATFORM")
    if wish:
        monkeypatch.setenv("OPENMM_DEFAULT_PLATFORM", wish)
    backend, reason = choose_backend()
    on_card = wish != "CPU"
    assert backend == ("pythonforce" if on_card and obstacle else "native")
    assert reason.endswith("the GPU idle (it lacks cuda.h)") == (
        on_card and bool(obstacle)
    )
    assert reason.endswith("card of OpenMM's Platform CUDA") == (
        on_card and not obstacle
    )


def test_nothing_is_there(no_openmmtorch, no_torch, no_compiler):
    with pytest.raises(ImportError) as error:
        choose_backend()
    for words in ("backend='auto' expects", "C++ compiler", "openmm-torch", "torch is"):
        assert words in str(error.value)


def test_torch_s_kernel(model, no_openmmtorch, monkeypatch):
    pytest.importorskip("torch")
    options, reason = resolve([model], ForceOptions(kernel="plain"))
    assert options == ForceOptions(kernel="plain", backend="pythonforce")
    assert "kernel='plain' was asked for" in reason
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="kernel='plain' was asked for"):
        resolve([model], ForceOptions(kernel="plain"))


@pytest.mark.parametrize("backend", ["pythonforce", "native"])
def test_the_force_keeps_the_reason(model, no_openmmtorch, monkeypatch, backend):
    """In copies, whatever OpenMM's parser does to the end of a text."""

    def no_plugin():
        raise ImportError("no compiler")

    skip_without(backend)
    if backend == "pythonforce":
        monkeypatch.setattr(backends, "plugin", no_plugin)
    topology = make_topology(["O", "H", "H"])
    system = copy.deepcopy(AllegroPotential(model).create_system(topology))
    about = allegro_module(system.getForce(0))
    if backend == "native":
        xml = ElementTree.fromstring(openmm.XmlSerializer.serialize(system))
        about = xml.find("Forces/Force").attrib["about"]
    expected = "native: openmm-torch is not installed"
    if backend == "pythonforce":
        expected = "PythonForce: openmm-torch is not installed, and there is no native"
    assert description(about)["backend"] == backend
    assert description(about)["backend_reason"].startswith(expected)
