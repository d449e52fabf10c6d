# SPDX-License-Identifier: MIT
"""Programs in the files of models with charges."""

import pytest
import torch
from helpers import CHARGED, ELEMENTS, tiny_config, tiny_energy, tiny_statistics
from model_files import rewrite
from safetensors.numpy import load

from openmm_allegro import Model, load_model, save_model
from openmm_allegro.kernels.inference.fold import fold
from openmm_allegro.kernels.inference.folded import is_foldable, known_program
from openmm_allegro.kernels.inference.program import PANEL, Code, Program, unpack

KINDS = ("none", "constant", "learned")
ROW = PANEL // 8  # numbers of double precision to whose multiples vectors are padded
DTYPES = {"single": torch.float32, "double": torch.float64}


def charged_model(kind):
    charges = {**CHARGED, "charges": kind} if kind != "none" else {}
    config = tiny_config(**charges)
    energy = tiny_energy(config)
    return Model(config, tiny_statistics(config), energy, "total", "float64")


@pytest.fixture(scope="module")
def models():
    return {kind: charged_model(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def contents(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("charged") / "model.safetensors"
    return {k: save_model(model, path).read_bytes() for k, model in models.items()}


def programs_in(content):
    return {n: x for n, x in load(content).items() if n.startswith("folded.")}


@pytest.mark.parametrize("kind", KINDS)
def test_files_hold_the_programs_of_their_models(kind, models, contents, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(contents[kind])
    read = load_model(path)
    assert is_foldable(read)
    for precision, dtype in DTYPES.items():
        expected = fold(models[kind].energy, dtype)
        for one, other in zip(known_program(read, precision), expected, strict=True):
            assert torch.equal(torch.from_numpy(one), other)


def test_programs_of_constant_charges_are_those_of_none(contents):
    without = programs_in(contents["none"])
    for name, array in programs_in(contents["constant"]).items():
        assert array.tobytes() == without[name].tobytes()


@pytest.mark.parametrize("kind, other", [("learned", "none"), ("none", "learned")])
def test_programs_with_other_charges_are_refused(kind, other, contents, tmp_path):
    theirs = programs_in(contents[other])

    def change(header, arrays):
        arrays.update(theirs)

    path = rewrite(tmp_path / "model.safetensors", contents[kind], change)
    with pytest.raises(ValueError, match="energies and charges of the header"):
        load_model(path)


@pytest.mark.parametrize(
    "factor, message",
    [(1.2, "single and .*found charges that differ by"), (1e9, "atom .* a charge w")],
)
def test_charges_that_are_noise_are_refused(contents, tmp_path, factor, message):
    """Programs of both precisions are of one model, and no charge is absurd."""

    def change(header, arrays):
        names = [f"folded.double.{name}" for name in Program._fields]
        program = Program(*(arrays[name] for name in names))
        operations = unpack(program).operations()
        charge = next(op for op in operations if op.code == Code.CHARGE)
        width = -(-charge.width // ROW) * ROW * len(ELEMENTS)
        arrays[names[2]][charge.weights :][:width] *= factor

    path = rewrite(tmp_path / "model.safetensors", contents["learned"], change)
    with pytest.raises(ValueError, match=message):
        load_model(path)
