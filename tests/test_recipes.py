# SPDX-License-Identifier: MIT
"""Recipes of containers, conda and wheels ask for what pyproject.toml asks for."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORDS = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "ENTRYPOINT"}


@pytest.fixture(scope="module")
def recipe():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())


def instructions():
    text = (ROOT / "recipe" / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", "")
    return [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]


def test_container_is_built_from_files_that_are_there():
    words = [word for word, _ in instructions()]
    assert set(words) <= WORDS and words[:2] == ["ARG", "FROM"]
    stages = set()
    for word, rest in instructions():
        if word == "FROM" and " AS " in rest:
            stages.add(rest.rpartition(" AS ")[2])
        if word == "COPY" and "--from=" in rest:
            assert re.match(r"--from=(\w+)", rest)[1] in stages
        elif word == "COPY":
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources)


def test_container_gets_what_it_copies_and_nothing_built():
    """Patterns of the .dockerignore: a star, and what is let in after all."""
    lines = (ROOT / "recipe" / "Dockerfile.dockerignore").read_text().splitlines()
    first, *patterns = [line for line in lines if not line.startswith("#")]
    let_in = {line[1:] for line in patterns if line.startswith("!")}
    copies = [rest for word, rest in instructions() if word == "COPY"]
    copied = {name for rest in copies if "--" not in rest for name in rest.split()[:-1]}
    assert first == "*" and let_in == copied
    assert {"**/__pycache__", "**/*.so"} <= set(patterns)


def test_container_installs_extras_that_are_there():
    (default,) = [r for w, r in instructions() if w == "ARG" and r.startswith("EXTRAS")]
    text = (ROOT / "recipe" / "Dockerfile").read_text()
    for extras in (default, *re.findall(r"--build-arg (EXTRAS=\S+)", text)):
        names = set(extras.partition("=")[2].split(","))
        assert names <= set(PROJECT["project"]["optional-dependencies"])


def test_conda_recipe_has_the_requirements_with_their_bounds(recipe):
    run = {
        re.split(r" [#>=<]", text)[0]: text for text in recipe["requirements"]["run"]
    }
    for requirement in PROJECT["project"]["dependencies"]:
        name, bound = re.match(r"([\w-]+)(.*)", requirement).groups()
        assert run[name] == f"{name} {bound}"
    python = PROJECT["project"]["requires-python"]
    assert run["python"] == f"python {python}"
    assert set(run) - {"python", "cxx-compiler"} == {
        re.match(r"[\w-]+", text)[0] for text in PROJECT["project"]["dependencies"]
    }
    # what wheels are built with too: setuptools, and OpenMM for the plugin
    host = {text.partition(" #")[0] for text in recipe["requirements"]["host"]}
    assert f"openmm {_bound('openmm')}" in host
    (setuptools,) = PROJECT["build-system"]["requires"]
    assert setuptools.replace(">=", " >=") in host
    assert recipe["context"]["version"] == PROJECT["project"]["version"]
    for path in recipe["about"]["license_file"]:
        assert (ROOT / path).is_file()


def test_wheels_are_of_the_pythons_that_are_supported():
    pythons = re.findall(
        r"cp3(\d+)", " ".join(PROJECT["tool"]["cibuildwheel"]["build"])
    )
    classifiers = " ".join(PROJECT["project"]["classifiers"])
    assert pythons == re.findall(r"Python :: 3\.(\d+)", classifiers)


def test_wheels_and_container_are_built_beside_openmm():
    """The plugin is then linked to it, and leaves its library outside the wheel."""
    wheels = PROJECT["tool"]["cibuildwheel"]
    (setuptools,) = PROJECT["build-system"]["requires"]
    needed = {setuptools, f"openmm{_bound('openmm')}"}
    assert needed <= set(shlex.split(wheels["before-build"]))
    text = (ROOT / "recipe" / "Dockerfile").read_text()
    assert all(f'"{one}"' in text for one in needed)
    assert "--no-build-isolation" in wheels["build-frontend"]["args"]
    assert "--exclude libOpenMM.so" in wheels["repair-wheel-command"]
    (tried,) = re.findall(r"{project}/(\S+)", wheels["test-command"])
    assert (ROOT / tried).is_file()


def _bound(name):
    """Bound of a requirement of the package."""
    (line,) = [r for r in PROJECT["project"]["dependencies"] if r.startswith(name)]
    return line.removeprefix(name)


def test_workflows_run_what_there_is():
    yaml = pytest.importorskip("yaml")
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                command = step.get("run", "").split(maxsplit=1)
                if command and command[0].startswith("."):
                    assert (ROOT / command[0]).is_file()
                if command and command[0] == "make":
                    targets = re.findall(
                        r"^(\w+):", (ROOT / "Makefile").read_text(), re.M
                    )
                    assert command[1] in targets
