# SPDX-License-Identifier: MIT
"""Programs of the compiled kernel: in model files, in the cache, folded by torch."""

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from model_files import rewrite
from training_helpers import tiny_config, tiny_model

from openmm_allegro import load_model, save_model
from openmm_allegro.cli import main
from openmm_allegro.kernels.inference import fold as fold_module
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.kernels.inference.program import (
    FORMER,
    Header,
    Program,
    from_former,
    unpack,
)
from openmm_allegro.model.energy import ZBL
from openmm_allegro.model.model import digest
from openmm_allegro.modelfile import read_header
from openmm_allegro.modelfile.programs import ARRAYS
from openmm_allegro.topology.elements import ATOMIC_NUMBERS

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "data" / "nequip_allegro"
DTYPES = {"single": torch.float32, "mixed": torch.float32, "double": torch.float64}
WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("torch", "e3nn", "ase", "mdtraj", "lightning"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENMM_ALLEGRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "programs"


@pytest.fixture
def old(tmp_path):
    """A file as earlier versions wrote them."""
    path = tmp_path / "old.safetensors"
    shutil.copy(OLD / "zbl_cutoffs.safetensors", path)
    return path


@pytest.fixture
def folds(monkeypatch):
    """Dtypes that torch folds to from now on."""
    calls = []

    def count(energy, dtype):
        calls.append(dtype)
        return fold(energy, dtype)

    monkeypatch.setattr(fold_module, "fold", count)
    return calls


def same(first, second):
    return all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(first, second, strict=True)
    )


def fresh(model, precision):
    return [a.numpy() for a in fold(model.energy, DTYPES[precision])]


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("name", ["spline", "irreps", "zbl_cutoffs", "l1_uncoupled"])
def test_the_file_holds_what_a_fresh_fold_gives(name, precision, tmp_path, folds):
    path = save_model(load_model(OLD / f"{name}.safetensors"), tmp_path / "m")
    folds.clear()
    model = load_model(path)
    program = folded(model, precision)
    assert not folds and not model.is_built
    assert same(program, fresh(model, precision))
    assert same(program, folded(model, precision))  # built now, with the same weights
    assert not folds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_in_memory_is_folded_as_it_is(dtype, folds):
    """Its weights may have more digits than its file would."""
    model = tiny_model(dtype)
    with torch.no_grad():
        next(model.energy.parameters()).mul_(1.0 + 1e-12)
    assert same(folded(model, "double"), fresh(model, "double"))
    assert len(folds) == 1


def test_changed_weights_are_folded_anew(tmp_path):
    model = load_model(save_model(tiny_model(), tmp_path / "model.safetensors"))
    before, own = folded(model, "double"), digest(model)
    with torch.no_grad():
        next(model.energy.parameters()).mul_(2.0)  # exact in float32
    after = folded(model, "double")
    assert digest(model) != own
    assert not same(before, after) and same(after, fresh(model, "double"))
    again = load_model(save_model(model, tmp_path / "again.safetensors"))
    assert same(folded(again, "double"), after)


def shift_energies(energy):
    energy.shifts += 1.0


def scale_energies(energy):
    energy.factors *= 2.0


def add_repulsion(energy):
    energy.terms["zbl"] = ZBL(tiny_config(zbl=True))


@pytest.mark.parametrize("change", [shift_energies, scale_energies, add_repulsion])
def test_a_network_is_folded_as_it_was_changed(tmp_path, change):
    """In what its file does not hold, too."""
    path = save_model(tiny_model(), tmp_path / "model.safetensors")
    model = load_model(path)
    before = folded(model, "double")
    change(model.energy)
    after = folded(model, "double")
    assert not same(before, after) and same(after, fresh(model, "double"))
    again = load_model(save_model(model, tmp_path / "again.safetensors"))
    assert same(folded(again, "double"), before)  # as the file describes it


def test_another_dtype_is_another_model(tmp_path):
    model = load_model(save_model(tiny_model(), tmp_path / "model.safetensors"))
    before = digest(model)
    model.dtype = "float64"
    again = load_model(save_model(model, tmp_path / "again.safetensors"))
    assert digest(model) == digest(again) != before
    assert all(array.dtype == "float64" for array in again.stored.weights.values())
    assert same(folded(again, "double"), folded(model, "double"))


def test_old_files_are_folded_once(old, cache, folds):
    program = folded(load_model(old), "double")
    assert same(program, fresh(load_model(old), "double"))
    for _ in range(2):
        model = load_model(old)  # which the kernel has looked at instead of torch
        assert same(folded(model, "double"), program) and not model.is_built
    assert folds == [torch.float64]
    for precision in ("mixed", "single"):
        assert same(folded(load_model(old), precision), fresh(model, precision))
    assert folds == [torch.float64, torch.float32]
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flip", "swap"])
def test_a_damaged_cache_is_made_anew(old, cache, folds, damage):
    program = folded(load_model(old), "single")
    (path,) = cache.iterdir()
    content = path.read_bytes()
    if damage == "swap":  # the other precision under this name
        folded(load_model(old), "double")
        (other,) = set(cache.iterdir()) - {path}
        path.write_bytes(other.read_bytes())
    else:
        flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
        path.write_bytes(content[:-20] if damage == "cut" else flipped)
    count = len(folds)
    assert same(folded(load_model(old), "single"), program)
    assert len(folds) == count + 1 and path.read_bytes() == content


def test_no_folder_for_the_cache(old, cache):
    cache.parent.write_text("in its place")
    assert len(folded(load_model(old), "single").weights)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_cache_of_another_user(old, cache):
    """That the home of a container often is."""
    model = load_model(old)
    cache.parent.mkdir(mode=0o700)
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert pool.submit(folded_by_nobody, model).result()


def folded_by_nobody(model):
    os.setuid(65534)
    return len(folded(model, "single").weights) > 0


def test_programs_of_another_format_are_not_used(tmp_path, folds, caplog):
    path = save_model(tiny_model(), tmp_path / "model.safetensors")
    program = folded(load_model(path), "single")

    def change(header, arrays):
        header["programs"]["format"] += 1
        for name in ARRAYS:
            arrays[name][:] = 7

    folds.clear()
    rewrite(path, path.read_bytes(), change)
    assert same(folded(load_model(path), "single"), program)
    assert folds == [torch.float32]
    assert "holds programs of format 4 instead of 3, which are not used" in caplog.text
    code = "from openmm_allegro import load_model, save_model\n"
    code += "save_model(load_model(sys.argv[1]), sys.argv[2])"
    done = run(code, path, tmp_path / "again", cache=tmp_path / "none" / "programs")
    assert f"{path}: expected" in done.stderr
    assert "format 3, found programs of format 4, and torch" in done.stderr


def test_programs_of_other_weights_are_not_used(tmp_path, folds, caplog):
    path = save_model(tiny_model(), tmp_path / "model.safetensors")

    def change(header, arrays):
        arrays["readout.layers.0.weight"] *= 1.5

    model = load_model(rewrite(path, path.read_bytes(), change))
    assert "holds programs of other weights than its own" in caplog.text
    folds.clear()
    program = folded(model, "double")
    assert len(folds) == 1 and same(program, fresh(model, "double"))


def test_convert_an_old_file(old, tmp_path, capsys):
    new = tmp_path / "new.safetensors"
    assert main(["info", str(old)]) == 0
    assert json.loads(capsys.readouterr().out)["programs"] is None
    command = ["import", str(old), "-o", str(new)]
    assert main([*command, "--energy-unit", "kJ/mol"]) == 2
    assert "expected no --energy-unit for a model file" in capsys.readouterr().err
    assert not new.exists() and main(command) == 0
    before, after = load_model(old), load_model(new)
    assert digest(after) == digest(before) and after.provenance == before.provenance
    assert main(["info", str(new)]) == 0
    text = capsys.readouterr().out
    assert json.loads(text[text.index("{") :])["programs"]["digest"] == digest(after)


class Nothing(torch.nn.Module):
    """A term of the energy that programs do not have."""

    def forward(self, r, center_types, neighbor_types):
        return 0.0 * r.sum(-1)


def test_a_model_that_cannot_be_folded_has_no_programs(tmp_path):
    model = tiny_model()
    model.energy.terms["nothing"] = Nothing()
    path = save_model(model, tmp_path / "model.safetensors")
    assert read_header(path)["programs"] is None
    changed = load_model(save_model(tiny_model(), tmp_path / "other.safetensors"))
    changed.energy.terms["nothing"] = Nothing()
    for one in (model, changed):
        with pytest.raises(ValueError, match=r"backend='native', expects an energy of"):
            folded(one, "single")


def run(code, *arguments, cache):
    command = [sys.executable, "-c", WITHOUT_TORCH + code, *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "OPENMM_ALLEGRO_CACHE": str(cache.parent)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_model_is_used_without_torch(tmp_path, cache):
    path = ROOT / "systems" / "nacl_aq" / "nacl_aq.safetensors"
    code = """
import hashlib
from openmm_allegro import load_model, save_model
from openmm_allegro.cli import main
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.model.model import digest
model = load_model(sys.argv[1])
for precision in ("mixed", "double"):
    content = b"".join(array.tobytes() for array in folded(model, precision))
    print(hashlib.sha256(content).hexdigest())
print(digest(model), model.num_weights)
save_model(model, sys.argv[2])
main(["info", sys.argv[1]])
try:
    model.energy
except ImportError as error:
    print(error)
"""
    again = tmp_path / "again.safetensors"
    done = run(code, path, again, cache=cache)
    assert done.returncode == 0, done.stderr
    single, double, numbers, rest = done.stdout.split("\n", 3)
    model = load_model(path)
    for found, precision in ((single, "mixed"), (double, "double")):
        content = b"".join(a.tobytes() for a in fresh(model, precision))
        assert found == hashlib.sha256(content).hexdigest()
    assert numbers == f"{digest(model)} {model.num_weights}"
    assert '"programs": {' in rest and '"num_weights": 62688' in rest
    assert "expects torch and e3nn" in rest and "backend='native'" in rest
    present = save_model(load_model(path), tmp_path / "present.safetensors")
    assert again.read_bytes() == present.read_bytes()


def test_an_old_file_without_torch(old, tmp_path, cache):
    """It is read; a program comes from the cache alone."""
    code = """
from openmm_allegro import load_model
from openmm_allegro.kernels.inference.folded import folded
model = load_model(sys.argv[1])
print(model.num_weights)
print(len(folded(model, "single").weights))
"""
    done = run(code, old, cache=cache)
    assert done.returncode and int(done.stdout)
    message = done.stderr.strip().splitlines()[-1]
    assert f"{old}: expected a model file with programs" in message
    assert "openmm-allegro import OLD.safetensors -o NEW.safetensors" in message
    assert "pip install 'openmm-allegro[torch]'" in message
    convert = "from openmm_allegro.cli import main; sys.exit(main(sys.argv[1:]))"
    done = run(convert, "import", old, "-o", tmp_path / "new", cache=cache)
    assert done.returncode == 2 and not (tmp_path / "new").exists()
    assert f"{old}: expected a model file with programs" in done.stderr
    program = folded(load_model(old), "single")
    done = run(code, old, cache=cache)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) == len(program.weights)
    assert np.isfinite(program.weights).all()


@pytest.mark.parametrize("name", ["zbl_cutoffs", "l1_uncoupled"])
def test_programs_of_the_former_format_are_those_of_a_fresh_fold(name):
    """Those had charges in the place of a core's terms."""
    model = load_model(OLD / f"{name}.safetensors")
    program = Program(*fresh(model, "double"))
    parts = unpack(program)
    types, config = parts.header.types, model.config
    numbers = [ATOMIC_NUMBERS[e] for e in config.elements]
    charges = np.array(numbers) * float(config.zbl)
    coulomb = config.zbl_coulomb if config.zbl else 0.0
    cut = 3 + 3 * types, 3 + 3 * types + types**2
    begin, cutoffs, _ = np.split(program.constants, cut)
    end = np.concatenate([parts.arrays[name] for name in ("roots", "term_value")])
    scalars = [*begin[:2], coulomb, begin[2]]
    integers = program.integers.copy()
    integers[0], integers[Header._fields.index("core")] = FORMER, config.zbl
    former = Program(
        integers,
        np.concatenate((scalars, begin[3:], charges, cutoffs, end)),
        program.weights,
    )
    assert same(from_former(former), program)
