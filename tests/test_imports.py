# SPDX-License-Identifier: MIT
"""Rules of imports, of what is loaded, and of lengths of files."""

import ast
import functools
import importlib
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from openmm_allegro.cli.main import VERBS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "openmm_allegro"
# What is on a line may be imported by the lines below, not by its neighbours.
STAIRS = [
    ["_version", "units", "utils"],
    ["topology"],
    ["structure", "neighbors"],
    ["model"],
    ["kernels"],
    ["modelfile"],
    ["plugin"],
    ["forces"],
    ["classical", "registration"],
    ["training", "mixing"],
    ["potential"],
    ["nuclei"],
    ["reporters", "interop", "inputs"],
    ["bias"],
    ["simulate"],
    ["replica_exchange", "lammps"],
    ["alchemical", "learn"],
    ["cli"],
    ["openmm_allegro"],
]
# The stairs of the analysis, which stand on the first two lines and end in cli.
BESIDE = [["analysis"], ["runs"], ["measure"], ["report"]]
# Single modules that others may import all the same, and why.
EXCEPTIONS = {
    # Pure strings: the suffixes of a run's files are known there alone.
    "runs.names": [
        *("nuclei", "reporters", "simulate", "replica_exchange", "lammps"),
        *("alchemical", "learn"),
    ],
    # What a minimisation did, in the words of the page, is told as it ends.
    "runs.minimization": ["simulate", "replica_exchange"],
    # So are the columns of a table of energies.
    "runs.table": ["reporters", "lammps"],
    # What LAMMPS wrote is cut where its frames end, to the step of a restart file.
    "runs.trajectories.gromacs": ["lammps"],
    "runs.restarts": ["lammps"],
    # A run may begin where a trajectory ended; a damaged one is read in a child.
    "runs.trajectories.read": ["inputs"],
    # Replicas are read back where they are sampled, as mdtraj's trajectories.
    "runs.topology": ["replica_exchange"],
    # Formulas of free energies, arrays in and arrays out, and their figures.
    "analysis.states": ["alchemical"],
    "analysis.statistics": ["alchemical"],
    "analysis.figures.states": ["alchemical"],
}


@functools.cache
def modules():
    """All modules by dotted name below the package, with their paths."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@functools.cache
def tree(path):
    """What a module's text means, which several tests look at."""
    return ast.parse(path.read_text())


@functools.cache
def imports_of(name):
    """Modules of the package that a module imports, anywhere in it, and where."""
    known = modules()
    path, found = known[name], []
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part != "__init__"]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
            targets = [t[1:] or [""] for t in targets if t[0] == "openmm_allegro"]
        elif isinstance(node, ast.ImportFrom):
            origin = (node.module or "").split(".") if node.module else []
            if node.level:
                origin = package[: len(package) - node.level + 1] + origin
            elif origin[:1] == ["openmm_allegro"]:
                origin = origin[1:]
            else:
                continue
            targets = [[*origin, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            while target and ".".join(target) not in known:
                target = target[:-1]
            found.append((".".join(target) or "__init__", node.lineno))
    return found


def top(name):
    return "openmm_allegro" if name == "__init__" else name.split(".")[0]


def allowed():
    """Map each name at the top to those that it may import."""
    below = {}
    for stairs, floor in ((STAIRS, []), (BESIDE, STAIRS[0] + STAIRS[1])):
        passed = set(floor)
        for step in stairs:
            below |= {name: set(passed) for name in step}
            passed |= set(step)
    for name in ("cli", "openmm_allegro"):
        below[name] |= {other for step in BESIDE for other in step}
    return below


def test_modules_import_what_stands_before_them():
    known, below, wrong = modules(), allowed(), []
    for name, path in known.items():
        for target, line in imports_of(name):
            own = top(name) == top(target)
            exception = top(name) in EXCEPTIONS.get(target, [])
            if not (own or exception or top(target) in below[top(name)]):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {target}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_no_circle():
    graph = {name: {t for t, _ in imports_of(name)} - {name} for name in modules()}
    # A package is imported before its modules; it is no circle that it imports them.
    done, trail = set(), []

    def visit(name):
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        trail.append(name)
        for target in sorted(graph[name]):
            visit(target)
        done.add(trail.pop())

    for name in graph:
        visit(name)


def test_nothing_imports_systems_or_benchmarks():
    for name, path in modules().items():
        outside = {"systems", "benchmarks", "examples", "tests"}
        assert not foreign_imports(path) & outside, name


def test_constants_of_nature_stand_in_one_place():
    digits = re.compile(r"1\.380649|6\.02214|1\.602176|8\.31446|MOLAR_GAS")
    there = [
        path.name for path in modules().values() if digits.search(path.read_text())
    ]
    assert there == ["units.py"]


def test_public_names():
    """Those that a package exports are there, although they are imported late."""
    for path in PACKAGE.glob("**/__init__.py"):
        package = importlib.import_module(".".join(path.parent.relative_to(ROOT).parts))
        for name in getattr(package, "__all__", []):
            assert name in dir(package)
            if path.with_name(f"{name}.py").exists():  # which could take the name
                module = importlib.import_module(f"{package.__name__}.{name}")
                assert getattr(package, name) is not module
            try:
                assert getattr(package, name) is not None
            except ModuleNotFoundError as error:  # an extra that is not installed
                assert not error.name.startswith("openmm_allegro")


def test_few_modules_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_short_modules_and_functions():
    long = defaultdict(list)
    for path in modules().values():
        text = path.read_text()
        where = str(path.relative_to(ROOT))
        count = len(text.splitlines())
        if count > 400:
            long["modules"].append(f"{where}: {count}")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and body_length(node) > 80:
                long["functions"].append(f"{where} {node.name}: {body_length(node)}")
    for folder in ("benchmarks", "examples", "systems", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.read_text().count("\n") > 400:
                long["modules"].append(str(path.relative_to(ROOT)))
    assert not long


def body_length(function):
    """Lines of a function below its docstring."""
    first, last = function.body[0], function.body[-1]
    has_docstring = ast.get_docstring(function) is not None
    start = first.end_lineno if has_docstring else first.lineno - 1
    return last.end_lineno - start


HEAVY = ["torch", "e3nn", "openmm", "lightning", "nequip"]
SLOW = [*HEAVY, "mdtraj", "matplotlib", "ase"]
HELP = "from openmm_allegro.cli import main\ntry: main({})\nexcept SystemExit: pass"
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""
# What mdtraj, freud or ase import is theirs: mdtraj takes OpenMM's units if it can.
LIGHT = ("utils", "topology", "analysis", "runs", "measure", "report")


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import openmm_allegro", [*SLOW, "numpy", "scipy"]),
        ("from openmm_allegro import runs, utils", SLOW),
        ("from openmm_allegro import measure", HEAVY),
        ("from openmm_allegro import analysis, report", ["torch", "e3nn"]),
        # By each process of a run of LAMMPS under MPI.
        ("from openmm_allegro.lammps import build", [*SLOW, "numpy", "ctypes"]),
        (HELP.format(["--help"]), [*SLOW, "numpy", "scipy"]),
        ("\n".join(HELP.format([verb, "--help"]) for verb in VERBS), SLOW),
        (HELP.format(["analyze", "rdf", "--help"]), SLOW),
    ],
)
def test_what_is_loaded(code, absent):
    code += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = run_python(code).splitlines()[-1].split()
    assert not set(loaded) & set(absent)


def test_analysis_needs_neither_torch_nor_openmm(tmp_path):
    """All its modules can be imported, and a quantity measured, where there is none."""
    mdtraj = pytest.importorskip("mdtraj")
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(8):
        element = mdtraj.element.argon
        topology.add_atom("Ar", element, topology.add_residue("Ar", chain))
    positions = np.random.default_rng(0).random((20, 8, 3))
    cells = {"unitcell_lengths": np.ones((20, 3)), "unitcell_angles": [[90] * 3] * 20}
    trajectory = mdtraj.Trajectory(positions, topology, **cells)
    trajectory.save(str(tmp_path / "x.xtc"))
    trajectory[0].save(str(tmp_path / "x.pdb"))
    names = [n.removesuffix(".__init__") for n in modules() if top(n) in LIGHT]
    code = WITHOUT.format(HEAVY)
    code += "import " + ", ".join(f"openmm_allegro.{name}" for name in names) + "\n"
    code += "from openmm_allegro.cli import main\nsys.exit(main(sys.argv[1:]))"
    files = [str(tmp_path / "x.xtc"), str(tmp_path / "x.pdb")]
    assert "Ar-Ar" in run_python(code, "analyze", "rdf", *files)


def run_python(code, *arguments):
    """Text that a program prints."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_analysis_imports_neither_torch_nor_openmm():
    """In no function either."""
    for name, path in modules().items():
        if top(name) in LIGHT:
            assert not foreign_imports(path) & set(HEAVY), name


@functools.cache
def foreign_imports(path):
    """Names at the top of other packages' modules that a module imports."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_modules_of_tests_have_names_of_their_own():
    """Tests import helpers and scripts by their names alone, from several folders."""
    folders = {"tests": "*.py", "tests/*/**": "test_*.py", "benchmarks": "*.py"}
    paths = [
        p for folder, names in folders.items() for p in ROOT.glob(f"{folder}/{names}")
    ]
    stems = [path.stem for path in paths]
    assert sorted(stems) == sorted(set(stems))
