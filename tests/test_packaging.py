# SPDX-License-Identifier: MIT
"""The files a newcomer meets first: environment.yml, pyproject.toml, Makefile, CI."""

import importlib
import inspect
import os
import re
import tomllib
from pathlib import Path

import pytest

from openmm_allegro.utils.extras import EXTRAS_OF

yaml = pytest.importorskip("yaml")
requirements = pytest.importorskip("packaging.requirements")
utils = pytest.importorskip("packaging.utils")

ROOT = Path(__file__).parents[1]

# A conda match-spec as environment files write it: [channel::]name[version[=build]],
# with a version such as `>=3.11,<3.14`, `=1.5.*`, `==2.9.1`, `8.5` or `>=2|1.9.*`.
CONDA_VERSION = r"(?:(?:==|!=|>=|<=|~=|=|>|<)\s*)?[0-9][0-9A-Za-z_.+!]*(?:\*|\.\*)?"
CONDA_SPEC = re.compile(
    r"(?:[a-z0-9_./-]+::)?"
    r"[a-z0-9_][a-z0-9_.-]*"
    rf"(?:(?:\s+|(?=[=!<>~])){CONDA_VERSION}(?:[,|]{CONDA_VERSION})*"
    r"(?:(?:\s+|=)[A-Za-z0-9_.*]+)?)?"
)


@pytest.fixture(scope="module")
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def conda_specs(environment):
    return [s for s in environment["dependencies"] if isinstance(s, str)]


def pip_specs(environment):
    for entry in environment["dependencies"]:
        if isinstance(entry, dict):
            return entry["pip"]
    return []


def conda_name(spec):
    return re.split(r"[\s=!<>~]", spec.split("::")[-1])[0]


def pins(project, extra=None):
    """Normalised name → specifier of the core requirements or of one extra."""
    table = project["optional-dependencies"]
    bounds = [requirements.Requirement(r) for r in table.get(extra, [])]
    if extra is None:
        bounds = [requirements.Requirement(r) for r in project["dependencies"]]
    return {utils.canonicalize_name(r.name): r.specifier for r in bounds}


def expand(project, extra):
    """An extra's pins with those of the extras it names by self-reference."""
    bounds = pins(project, extra)
    for line in project["optional-dependencies"][extra]:
        requirement = requirements.Requirement(line)
        if requirement.name == project["name"]:
            for inner in requirement.extras:
                for name, specifier in expand(project, inner).items():
                    bounds[name] = bounds.get(name, specifier) & specifier
    bounds.pop(project["name"], None)
    return bounds


@pytest.mark.parametrize(
    "spec",
    [
        "openmm",
        "python>=3.11,<3.14",
        "openmm-torch=1.5.*",
        "pytorch ==2.9.1 cuda*",
        "numpy=2.1=py311_0",
        "conda-forge::openmm>=8.5|8.4.*",
    ],
)
def test_match_spec_pattern_accepts(spec):
    assert CONDA_SPEC.fullmatch(spec)


@pytest.mark.parametrize(
    "spec",
    ["", "open mm", "OpenMM", "openmm=>8.5", "openmm>=", "numpy>=2,", "-e .", "a[b]"],
)
def test_match_spec_pattern_refuses(spec):
    assert not CONDA_SPEC.fullmatch(spec)


def test_environment_is_well_formed(environment):
    assert set(environment) == {"name", "channels", "dependencies"}
    assert environment["name"] == "openmm-allegro"
    # `defaults` beside conda-forge mixes incompatible builds.
    assert environment["channels"] == ["conda-forge"]
    for spec in conda_specs(environment):
        assert CONDA_SPEC.fullmatch(spec), spec
    names = [conda_name(s) for s in conda_specs(environment)]
    assert len(names) == len(set(names))
    tables = [e for e in environment["dependencies"] if not isinstance(e, str)]
    assert all(set(table) == {"pip"} for table in tables) and len(tables) <= 1
    assert not tables or "pip" in names
    for spec in pip_specs(environment):
        if spec != "-e .":
            requirements.Requirement(spec)


def test_environment_has_the_required_packages(environment):
    names = {conda_name(s) for s in conda_specs(environment)}
    required = "python openmm openmm-torch pytorch e3nn mdtraj numpy openmmtools"
    assert set(required.split()) <= names


def test_environment_covers_every_requirement_with_the_same_bounds(
    environment, project
):
    """All that pip would install is in the environment: `-e .` then adds nothing."""
    conda_to_pypi = {"openmm-torch": "openmmtorch", "pytorch": "torch"}
    conda_to_pypi |= {"matplotlib-base": "matplotlib", "openmm-ml": "openmmml"}
    conda_to_pypi |= {"freud": "freud-analysis", "pytables": "tables"}
    bounds = {}
    for spec in conda_specs(environment):
        name = conda_name(spec)
        bounds[conda_to_pypi.get(name, name)] = spec[len(name) :]
    for spec in pip_specs(environment):
        if spec != "-e .":
            requirement = requirements.Requirement(spec)
            bounds[requirement.name] = str(requirement.specifier)
    for extra in (None, "train", "analysis", "bias", "hdf5", "multistate", "dev"):
        bounds_of_extra = expand(project, extra) if extra else pins(project)
        for name, specifier in bounds_of_extra.items():
            assert name in bounds, f"{name} is not in environment.yml"
            if name == "openmm":  # as TorchForce, which is there too, needs it
                continue
            lower = next(str(s) for s in specifier if s.operator == ">=")
            assert lower in bounds[name].split(","), f"{name}: {bounds[name]}"
    python = bounds["python"]
    assert set(python.split(",")) == set(project["requires-python"].split(","))
    assert bounds["openmm"] == ">=8.5,<8.6"


def test_extras(project):
    extras = project["optional-dependencies"]
    assert set(extras) == {
        *("torch", "torchforce", "cuda12", "ase", "openmmml", "nequip", "dispersion"),
        *("lammps", "train", "analysis", "bias", "box", "multistate", "docs", "test"),
        *("hdf5", "smiles", "dev", "all"),
    }
    everything = expand(project, "all")
    for extra in set(extras) - {"cuda12", "all"}:
        assert set(expand(project, extra)) <= set(everything)
    for extra in extras:
        assert expand(project, extra), extra


def test_extras_have_the_packages_that_errors_name_them_for(project):
    """By the name that Python imports; a distribution may be called otherwise."""
    distributions = {"allegro": "nequip-allegro", "freud": "freud-analysis"}
    for package, extras in EXTRAS_OF.items():
        name = utils.canonicalize_name(distributions.get(package, package))
        for extra in extras:
            assert name in expand(project, extra), (package, extra)
        assert name not in pins(project), package


def test_torchforce_pins_the_versions_that_work_together(project):
    expected = {"openmm": "==8.5.*", "openmmtorch": "==1.5.*", "torch": "==2.9.*"}
    found = {name: str(pin) for name, pin in pins(project, "torchforce").items()}
    found.pop("openmm-allegro")  # its extra torch
    # what openmmtorch's wheel for Python 3.13 is linked to, and does not ask for
    assert found.pop("nvidia-cuda-nvrtc") == "==13.*"
    assert found == expected
    bad = {"openmm": "8.6.1", "openmmtorch": "1.6", "torch": "2.10.0"}
    pinned = expand(project, "torchforce")
    for name, version in bad.items():
        assert version not in pinned[name]


def test_cuda_packages_have_the_versions_of_torchforce(project):
    found = expand(project, "cuda12")
    assert found["openmm-cuda-12"] == found["openmm"]
    assert found["openmm-torch-cuda-12"] == found["openmmtorch"]
    assert "torch" in found


def test_core_is_small(project):
    core = pins(project)
    assert set(core) == {"numpy", "openmm", "platformdirs", "safetensors", "tqdm"}
    for version in ("8.4.0", "8.5.2", "8.6.1"):
        assert version in core["openmm"]


def test_training_takes_any_torch_and_openmm(project):
    training = expand(project, "train")
    for version in ("2.9.0", "2.9.1", "2.11.0", "2.11.0+cpu"):
        assert version in training["torch"]
    assert "2.8.0" not in training["torch"]
    assert not {"openmm", "openmmtorch", "mdtraj", "pytest"} & set(training)


def test_console_script_points_at_a_function(project):
    target = project["scripts"]["openmm-allegro"]
    module, _, attribute = target.partition(":")
    assert (module, attribute) == ("openmm_allegro.cli", "main")
    function = getattr(importlib.import_module(module), attribute)
    assert inspect.isfunction(function)


def test_lammps_finds_the_plugin(project):
    """Its lmp calls the function, and has to find MPI's headers."""
    target = project["entry-points"]["lammps.plugins"]["allegro"]
    module, _, attribute = target.partition(":")
    assert inspect.isfunction(getattr(importlib.import_module(module), attribute))
    assert set(pins(project, "lammps")) == {"lammps", "mpich"}


def test_each_source_names_a_license_of_the_project(project):
    """GPL in one folder alone, which has its text."""
    names = set(project["license"].split(" AND "))
    assert names == {"MIT", "GPL-2.0-or-later"}
    folder = ROOT / "openmm_allegro" / "lammps" / "src"
    for path in (ROOT / "openmm_allegro").rglob("*"):
        if path.suffix in (".py", ".h", ".cpp"):
            line = path.read_text().splitlines()[0]
            name = "GPL-2.0-or-later" if path.parent == folder else "MIT"
            assert f"SPDX-License-Identifier: {name}" in line, path
    assert "Version 2, June 1991" in (folder / "LICENSE").read_text()


def test_openmmml_finds_the_potential(project):
    target = project["entry-points"]["openmmml.potentials"]["allegro"]
    module, _, attribute = target.partition(":")
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    assert re.search(rf"^class {attribute}\b", source.read_text(), re.MULTILINE)
    # dev holds the version that runs beside TorchForce
    pinned = expand(project, "all")
    assert "1.7" in pinned["openmmml"] and "1.8" not in pinned["openmmml"]
    extra = pins(project, "openmmml")["openmmml"]
    assert "1.7" in extra and "1.8" in extra and "1.6" not in extra


def test_all_files_of_the_package_are_shipped():
    """Those beside the modules of Python are named in package-data."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shipped = {
        path
        for package, patterns in tool["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    made = (".py", ".pyc", ".so")
    files = {p for p in (ROOT / "openmm_allegro").rglob("*") if p.is_file()}
    assert {path for path in files if path.suffix not in made} == shipped


def test_files_named_by_the_project_exist(project):
    for name in [project["readme"], *project["license-files"]]:
        assert (ROOT / name).is_file(), name


def test_makefile_has_the_newcomers_targets():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):(?!=)", text, re.MULTILINE))
    assert {
        "demo",
        "test",
        "small",
        "slow",
        "venv",
        "lint",
        "format",
        "clean",
    } <= targets


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0].startswith("#!") and "bash" in lines[0]
    assert "set -euo pipefail" in lines
    assert "make test" in lines
