# SPDX-License-Identifier: MIT
"""Models go back to nequip; what is not theirs or not ours is refused with a reason."""

import copy
import shlex
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from openmm import app, unit

pytest.importorskip("allegro")
pytest.importorskip("nequip")

from helpers import FULL, tiny_config, tiny_energy, tiny_statistics
from nequip_helpers import (
    SMALL,
    SPLINE,
    ZBL,
    crystal,
    nequip_result,
    our_result,
    write_checkpoint,
)
from openmm_helpers import make_topology
from outcome_helpers import outcome_of

from openmm_allegro import Model, load_model
from openmm_allegro.cli.main import main
from openmm_allegro.interop.nequip import export_model, import_model
from openmm_allegro.interop.nequip.load import load, nequip_state
from openmm_allegro.utils.child import from_child

SHAPES = {
    "all options": FULL,
    "spline": {
        "radial_embedding": "spline",
        "num_splines": 9,
        "spline_span": 4,
        "num_bessels": 8,
    },
    "trainable roots": {"bessel_trainable": True, "embedding_dim": 12},
    "linear": {"latent_nonlinearity": "none", "latent_depth": 2},
    "no hidden layers": {
        **{f"{kind}_depth": 0 for kind in ("two_body", "latent", "readout")},
        # what a file of nequip's does not say
        **{"two_body_width": 64, "latent_width": 64, "readout_width": 32},
        **{f"{kind}_nonlinearity": "none" for kind in ("two_body", "latent")},
        "readout_nonlinearity": "none",
    },
    "uncoupled": {"path_channel_coupling": False, "parity": False, "num_layers": 4},
    "irreps": {
        "edge_irreps": ("0e", "1e", "2e"),
        "tensor_irreps": ("0e", "2e"),
        "num_layers": 3,
    },
    "core": {"zbl": True, "zbl_envelope_p": 8.0, "zbl_coulomb": 14.399649},
}


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint as nequip-allegro does."""
    return write_checkpoint(tmp_path / "model.ckpt")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_there_and_back(shape, dtype, tmp_path):
    config = tiny_config(**SHAPES[shape])
    energy = tiny_energy(config)
    if dtype == "float32":
        energy.network.float().double()
    model = Model(config, tiny_statistics(config), energy, "total", dtype)
    path = export_model(model, tmp_path / "new" / "model.ckpt")
    back = import_model(path)
    assert (back.config, back.statistics) == (config, model.statistics)
    assert back.dtype == dtype
    for ours, theirs in zip(
        energy.network.parameters(), back.energy.network.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    if dtype == "float64":
        theirs = load(path, None)
        for periodic in (True, False):
            atoms = crystal(periodic)
            expected, found = our_result(model, atoms), nequip_result(theirs, atoms)
            assert found[0] == pytest.approx(expected[0], abs=1e-9)
            np.testing.assert_allclose(found[1], expected[1], atol=1e-9)


def nequip_package(path, package):
    """What the command nequip-package does; it changes settings of its process."""
    from nequip.scripts import package as command

    command.main(["build", str(path), str(package)])
    return package.exists()


def test_nequip_can_package_it_and_the_package_comes_back(model, tmp_path):
    path = export_model(model, tmp_path / "model.ckpt")
    package = tmp_path / "model.nequip.zip"
    assert list(from_child(lambda: [nequip_package(path, package)])) == [True]
    back = import_model(package)
    assert (back.config, back.statistics) == (model.config, model.statistics)

    newer = tmp_path / "newer.nequip.zip"
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(newer, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename.endswith("package_metadata.txt"):
                content = content.replace(
                    b"package_version_id: 2", b"package_version_id: 7"
                )
            new.writestr(item, content)
    with pytest.raises(ValueError, match=r"format up to 2, .* found format 7 from"):
        import_model(newer)
    renamed = package.rename(tmp_path / "model.zip")
    with pytest.raises(ValueError, match=r"end in \.nequip\.zip"):
        import_model(renamed)


def test_a_compiled_model_is_refused(tmp_path):
    compiled = tmp_path / "model.nequip.pth"
    torch.jit.script(torch.nn.Linear(2, 2)).save(compiled)
    with pytest.raises(ValueError, match="compiled with TorchScript"):
        import_model(compiled)
    compiled = tmp_path / "model.nequip.pt2"
    with zipfile.ZipFile(compiled, "w") as archive:
        archive.writestr("model/data/aotinductor/model/a.so", b"")
    with pytest.raises(ValueError, match="compiled with AOTInductor"):
        import_model(compiled)


def test_corrupt_files_are_refused(checkpoint, tmp_path):
    content = checkpoint.read_bytes()
    cases = {
        "truncated": (content[: len(content) // 2], "corrupt, truncated or"),
        "empty": (b"", "corrupt, truncated or"),
        "changed": (_with_a_changed_byte(checkpoint), "bad checksum"),
    }
    for name, (bad, message) in cases.items():
        path = tmp_path / f"{name}.ckpt"
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=message):
            import_model(path)
    with zipfile.ZipFile(tmp_path / "other.ckpt", "w") as archive:
        archive.writestr("a/b.txt", "no model")
    with pytest.raises(ValueError, match="zip archive of another kind"):
        import_model(tmp_path / "other.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "lightning.ckpt")
    with pytest.raises(ValueError, match=r"cannot load \(KeyError"):
        import_model(tmp_path / "lightning.ckpt")
    with pytest.raises(FileNotFoundError, match="found nothing at"):
        import_model(tmp_path / "absent.ckpt")


def _with_a_changed_byte(path):
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda item: item.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + largest.file_size // 2] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "_target_": "nequip.model.NequIPGNNModel",
                "num_features": 4,
                "num_layers": 1,
                "l_max": 1,
                "r_max": 3.5,
            },
            r"expected an Allegro model .* found a NequIP model",
        ),
        (
            {
                "pair_potential": {
                    "_target_": "nequip.nn.pair_potential.LennardJones",
                    "lj_sigma": 1.0,
                    "lj_epsilon": 0.1,
                }
            },
            r"found pair_potential \(LennardJones\)",
        ),
        ({"allegro_mlp_nonlinearity": "ssp"}, "nonlinearities among silu"),
        ({"readout_mlp_nonlinearity": "tanh"}, r"found .*\(Tanh\)"),
        (
            {"pair_potential": {**ZBL, "chemical_species": ["H", "O", "K"]}},
            r"a ZBL core for .* found \('H', 'O', 'K'\)",
        ),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(changes, message, tmp_path):
    if "NequIP" in changes.get("_target_", ""):
        kept = ("seed", "model_dtype", "type_names", "avg_num_neighbors")
        kept += ("per_type_energy_scales", "per_type_energy_shifts")
        changes = dict.fromkeys(SMALL) | {k: SMALL[k] for k in kept} | changes
    path = write_checkpoint(tmp_path / "model.ckpt", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        import_model(path)
    assert str(path) in str(caught.value)


def test_a_part_that_is_not_known_is_not_dropped(checkpoint, monkeypatch):
    """Someone's extension: one more module, or one more weight."""
    from openmm_allegro.interop.nequip import convert

    original = convert.load

    def with_step(path, key):
        model = original(path, key)
        network = next(m for m in model.modules() if hasattr(m, "allegro"))
        network.add_module("charges", torch.nn.Identity())
        return model

    def with_weight(path, key):
        model = original(path, key)
        network = next(m for m in model.modules() if hasattr(m, "allegro"))
        network.allegro.strength = torch.nn.Parameter(torch.ones(1))
        return model

    def with_other_function(path, key):
        model = original(path, key)
        module = next(m for m in model.modules() if hasattr(m, "norm_module"))
        forward = module.forward
        module.forward = lambda data: _scaled(forward(data))
        return model

    def with_nan(path, key):
        model = original(path, key)
        next(model.parameters()).data[0, 0] = float("nan")
        return model

    class LongRange(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, data):
            return self.inner(data)

    def with_wrapper(path, key):
        model = original(path, key)
        model.model = LongRange(model.model)
        return model

    def with_buffer(path, key):
        model = original(path, key)
        network = next(m for m in model.modules() if hasattr(m, "allegro"))
        network.allegro.register_buffer("charges", torch.ones(1))
        return model

    for changed, message in (
        (with_step, "found charges"),
        (with_weight, "allegro.strength"),
        (with_other_function, "found a difference of 0.0001"),
        (with_nan, "a weight is not finite"),
        (with_wrapper, r"within GraphModel.*found model \(LongRange\)"),
        (with_buffer, "model.func.allegro.charges"),
    ):
        monkeypatch.setattr(convert, "load", changed)
        with pytest.raises(ValueError, match=message):
            import_model(checkpoint)


def _scaled(data):
    return data | {"atomic_energy": data["atomic_energy"] * 1.0001}


def test_bad_units_and_model_key(checkpoint):
    with pytest.raises(ValueError, match=r"length_unit of .* found 'mile'"):
        import_model(checkpoint, length_unit="mile")
    with pytest.raises(ValueError, match=r"energy_unit of .* found 'kcal'"):
        import_model(checkpoint, energy_unit="kcal")
    with pytest.raises(ValueError, match=r"\['sole_model'\] .* found 'other'"):
        import_model(checkpoint, model_key="other")


def test_bad_exports(model, tmp_path):
    with pytest.raises(ValueError, match=r"named \*\.ckpt"):
        export_model(model, tmp_path / "model.pt")
    delta = Model(model.config, model.statistics, model.energy, "delta", "float64")
    with pytest.raises(ValueError, match="kind total, found kind delta"):
        export_model(delta, tmp_path / "model.ckpt")
    config = tiny_config(zbl=True, zbl_coulomb=7.0)
    odd = Model(config, tiny_statistics(config), tiny_energy(config))
    with pytest.raises(ValueError, match="zbl_coulomb"):
        export_model(odd, tmp_path / "model.ckpt")
    odd = Model(model.config, model.statistics, copy.deepcopy(model.energy))
    odd.energy.terms["spring"] = torch.nn.Identity()
    with pytest.raises(ValueError, match=r"among \['zbl'\].*found spring"):
        export_model(odd, tmp_path / "model.ckpt")
    assert not list(tmp_path.iterdir())


def test_command_line(checkpoint, tmp_path, capsys):
    model = str(tmp_path / "model.safetensors")
    outcome = outcome_of(tmp_path / "x.json", "import", checkpoint, "-o", model)
    assert outcome["results"]["cutoff"] == 3.5 and outcome["units"]["cutoff"] == "Å"
    assert load_model(model).provenance["imported_from"] == "model.ckpt"
    assert main(["import", str(checkpoint), "-o", model]) == 2
    assert "--force" in capsys.readouterr().err
    units = ["--length-unit", "bohr", "--energy-unit", "hartree", "--force"]
    assert main(["import", str(checkpoint), "-o", model, *units]) == 0
    assert load_model(model).config.cutoff == pytest.approx(3.5 * 0.529177, rel=1e-6)
    assert main(["import", str(checkpoint), "-o", model, "--element", "H"]) == 2
    assert main(["import", str(checkpoint), "-o", str(checkpoint), "--force"]) == 2
    assert "other than the input" in capsys.readouterr().err
    back, mine = tmp_path / "back.ckpt", tmp_path / "back.extxyz"
    mine.write_text("my own data")
    outcome = outcome_of(tmp_path / "x.json", "export", model, "-o", back)
    assert outcome["files"] == [str(back)]
    assert mine.read_text() == "my own data"
    assert main(["export", model, "-o", str(back)]) == 2
    back.unlink()
    assert main(["export", model, "-o", str(back)]) == 2  # the example is still there
    assert main(["export", model, "-o", str(back), "--force"]) == 0


def test_without_nequip(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "allegro", None)
    with pytest.raises(ImportError, match=r"openmm-allegro\[nequip\]"):
        import_model(checkpoint)


@pytest.mark.parametrize("seed", range(4))
def test_energies_of_all_electrons_do_not_blur_the_check(seed, tmp_path):
    path = write_checkpoint(
        tmp_path / "model.ckpt",
        seed=seed,
        per_type_energy_shifts={"H": -13.6, "O": -2000.0, "Na": -70045.0},
    )
    assert import_model(path).provenance["difference_from_nequip"] < 1e-10


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_check_sees_each_pair_of_elements(dtype, tmp_path, monkeypatch):
    """A weight of one ordered pair that is wrong by a thousandth, under a core."""
    from openmm_allegro.interop.nequip import convert

    path = write_checkpoint(
        tmp_path / "model.ckpt",
        radial_chemical_embed=SPLINE,
        pair_potential=ZBL,
        per_edge_type_cutoff={"O": {"O": 1.2}},
        model_dtype=dtype,
    )
    theirs = load(path, None)
    monkeypatch.setattr(convert, "load", lambda path, key: theirs)
    original = convert.read_weights
    for row in range(9):

        def wrong(parts, energy, row=row):
            original(parts, energy)
            energy.network.embedding.weight.data[row] *= 1.001

        monkeypatch.setattr(convert, "read_weights", wrong)
        with pytest.raises(ValueError, match="found a difference of"):
            import_model(path)


def test_spline_weights_of_single_precision_models(tmp_path):
    """nequip keeps those in double; ours are what a float32 file can hold."""
    path = write_checkpoint(
        tmp_path / "model.ckpt", radial_chemical_embed=SPLINE, model_dtype="float32"
    )
    with nequip_state():
        model = import_model(path)
    assert model.dtype == "float32"
    assert model.provenance["difference_from_nequip"] < 1e-5


def test_lines_of_the_manual(water_box, tmp_path, monkeypatch):
    """The three lines of "You have a nequip-allegro model"."""
    page = Path(__file__).parents[2] / "docs" / "interop.md"
    section = page.read_text().partition("## You have a nequip-allegro model")[2]
    lines = section.partition("```sh\n")[2].partition("```")[0].strip().splitlines()
    assert len(lines) == 3
    monkeypatch.chdir(tmp_path)
    symbols, positions, box = water_box
    write_checkpoint("best.ckpt")
    with open("system.pdb", "w") as file:
        topology = make_topology(symbols, box, waters=True)
        for index, atom in enumerate(topology.atoms()):
            atom.name = ("O", "H1", "H2")[index % 3]
        app.PDBFile.writeFile(topology, positions * unit.nanometer, file)
    for line in lines[1:]:
        command = shlex.split(line)
        assert command.pop(0) == "openmm-allegro"
        if command[0] == "simulate":
            command += ["--steps", "20", "--platform", "CPU", "--no-minimize"]
        assert main(command) == 0
    assert (tmp_path / "runs" / "mine.xtc").stat().st_size > 0
