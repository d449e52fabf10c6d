# SPDX-License-Identifier: MIT
"""Imported models have the function that nequip itself gives the same file."""

import itertools

import numpy as np
import pytest
import torch

pytest.importorskip("allegro")
pytest.importorskip("nequip")

from nequip_helpers import (
    BESSEL,
    CUTOFFS,
    ELEMENTS,
    SPLINE,
    ZBL,
    crystal,
    full,
    nequip_result,
    our_result,
    write_checkpoint,
)

from openmm_allegro import load_model, save_model
from openmm_allegro.interop.nequip import import_model
from openmm_allegro.interop.nequip.load import load
from openmm_allegro.units import (
    ENERGY_UNITS_IN_EV,
    EV_TO_KJ_PER_MOL,
    LENGTH_UNITS_IN_ANGSTROM,
)

GRID = list(itertools.product(range(4), range(1, 5), (True, False), (True, False)))
FEATURES = {
    "backward normalization": {"forward_normalize": False},
    "one weight for all irreps": {"weight_individual_irreps": False, "num_layers": 3},
    "trainable Bessel roots": {
        "radial_chemical_embed": {**BESSEL, "bessel_trainable": True}
    },
    "embedding width": {"radial_chemical_embed_dim": 10},
    "odd spline width": {
        "radial_chemical_embed": SPLINE,
        "radial_chemical_embed_dim": 7,
    },
    "spline without overlap": {
        "radial_chemical_embed": {**SPLINE, "spline_span": 1, "num_splines": 3}
    },
    "no hidden layers": {
        "scalar_embed_mlp_hidden_layers_depth": 0,
        "allegro_mlp_hidden_layers_depth": 0,
        "readout_mlp_hidden_layers_depth": 0,
    },
    "deep": {
        "scalar_embed_mlp_hidden_layers_depth": 3,
        "allegro_mlp_hidden_layers_depth": 2,
        "readout_mlp_hidden_layers_depth": 2,
    },
    "mish and gelu": {
        "scalar_embed_mlp_nonlinearity": "mish",
        "allegro_mlp_nonlinearity": "gelu",
        "readout_mlp_nonlinearity": "mish",
    },
    "linear": {
        "scalar_embed_mlp_nonlinearity": None,
        "allegro_mlp_hidden_layers_depth": 2,
        "allegro_mlp_nonlinearity": "None",
        "readout_mlp_nonlinearity": "null",
    },
    "a number for each type": {
        "avg_num_neighbors": {"H": 3.3, "O": 7.7, "Na": 12.0},
        "per_type_energy_scales": {"H": 1.0, "O": 2.0, "Na": 0.3},
    },
    "trained scales and shifts": {
        "per_type_energy_scales_trainable": True,
        "per_type_energy_shifts_trainable": True,
    },
    "no scales and shifts": {
        "per_type_energy_scales": None,
        "per_type_energy_shifts": None,
    },
    "envelope of the core": {"pair_potential": {**ZBL, "polynomial_cutoff_p": 8}},
    "chosen irreps": {**full("0e+1o+2e", "0e+1o+1e+2e"), "num_layers": 3},
    "even harmonics": {**full("0e+1e+2e", "0e+1e+2e"), "num_layers": 3},
    "a degree left out": {**full("0e+2e", "0e+2e"), "num_layers": 3},
    "one element": {
        "type_names": ["Na"],
        "per_type_energy_shifts": {"Na": -1.0},
    },
}


def compare(path, dtype, model=None):
    """Largest differences of energy and forces from nequip's, after a round trip."""
    model = model or import_model(path)
    file = save_model(model, path.with_suffix(".safetensors"))
    model = load_model(file)
    model.energy.set_dtype(dtype)
    theirs = load(path, None)
    worst = 0.0
    for periodic in (True, False):
        atoms = crystal(periodic)
        if len(model.config.elements) == 1:
            atoms.symbols[:] = model.config.elements[0]
        energy, forces, stress = nequip_result(theirs, atoms)
        ours = our_result(model, atoms)
        assert abs(forces).max() > 0.01  # else agreement would say nothing
        worst = max(worst, abs(ours[1] - forces).max())
        if dtype == torch.float64:
            worst = max(worst, abs(ours[0] - energy))
            if periodic:
                np.testing.assert_allclose(ours[2], stress, atol=1e-10)
        else:
            assert ours[0] == pytest.approx(energy, abs=1e-5 * len(atoms))
    return worst


def is_quick(index):
    """One kind of paths for each degree and number of layers, of which few are many.

    Each degree has one layer and two, and one degree has three and four; each kind of
    paths is there twice or more.
    """
    l_max, layers, *_ = GRID[index]
    kind = (index // 4 + index // 16) % 4
    return index % 4 == kind and (layers <= 2 or l_max == 1)


CASES = [
    pytest.param(*values, marks=() if is_quick(i) else pytest.mark.slow)
    for i, values in enumerate(GRID)
]


@pytest.mark.parametrize(("l_max", "layers", "parity", "coupling"), CASES)
def test_grid(l_max, layers, parity, coupling, tmp_path):
    index = GRID.index((l_max, layers, parity, coupling))
    changes = {
        "l_max": l_max,
        "num_layers": layers,
        "parity": parity,
        "tp_path_channel_coupling": coupling,
        # each with each of the others somewhere in the grid
        "radial_chemical_embed": SPLINE if (index // 5) % 2 else BESSEL,
        "per_edge_type_cutoff": CUTOFFS if (index // 3) % 2 else None,
        "pair_potential": ZBL if (index // 7) % 2 else None,
        "seed": index,
    }
    path = write_checkpoint(tmp_path / "model.ckpt", **changes)
    assert compare(path, torch.float64) < 1e-9
    if index % 4 == 0:
        changes["model_dtype"] = "float32"
        path = write_checkpoint(tmp_path / "single.ckpt", **changes)
        # Untrained, some have forces of 800 eV/Å, where float32 cannot have 1e-5 eV/Å.
        force = abs(nequip_result(path, crystal(True))[1]).max()
        changes["per_type_energy_scales"] = 3.0 * min(1.0, 4.0 / force)
        write_checkpoint(path, **changes)
        assert compare(path, torch.float32) < 1e-5


@pytest.mark.parametrize("name", FEATURES)
def test_features(name, tmp_path):
    path = write_checkpoint(tmp_path / "model.ckpt", **FEATURES[name])
    assert compare(path, torch.float64) < 1e-9


def test_trained_values_are_read(tmp_path):
    """Values that differ from what the arguments would give."""
    path = write_checkpoint(
        tmp_path / "model.ckpt",
        radial_chemical_embed={**BESSEL, "bessel_trainable": True},
        per_type_energy_scales_trainable=True,
        per_type_energy_shifts_trainable=True,
    )
    content = torch.load(path, weights_only=False)
    for name, value in content["state_dict"].items():
        if any(part in name for part in ("bessel_weights", "scales", "shifts")):
            value.mul_(1.03)
    torch.save(content, path)
    model = import_model(path)
    assert model.statistics.shifts == pytest.approx((-13.39, -412.0, -1339.0))
    assert compare(path, torch.float64, model) < 1e-9


@pytest.mark.parametrize("units", ["metal", "real"])
def test_units(units, tmp_path):
    """Data in kcal/mol: the same numbers, read as another unit."""
    path = write_checkpoint(
        tmp_path / "model.ckpt", pair_potential={**ZBL, "units": units}
    )
    if units == "metal":
        with pytest.raises(ValueError, match=r"ZBL core in the units .* found one"):
            import_model(path, energy_unit="kcal/mol")
        return
    model = import_model(path, energy_unit="kcal/mol")
    atoms = crystal(True)
    energy, forces, _ = nequip_result(path, atoms)
    ours = our_result(model, atoms)
    unit = ENERGY_UNITS_IN_EV["kcal/mol"]
    assert ours[0] == pytest.approx(energy * unit, abs=1e-9)
    np.testing.assert_allclose(ours[1], forces * unit, atol=1e-9)
    with pytest.raises(ValueError, match="ZBL core"):
        import_model(path)


@pytest.mark.parametrize("length_unit", ["nm", "bohr"])
def test_length_units(length_unit, tmp_path):
    unit = LENGTH_UNITS_IN_ANGSTROM[length_unit]
    path = write_checkpoint(
        tmp_path / "model.ckpt",
        r_max=3.5 / unit,
        per_edge_type_cutoff={"H": 2.2 / unit, "O": {"H": 3.0 / unit}},
    )
    model = import_model(path, length_unit=length_unit, energy_unit="hartree")
    assert model.config.cutoff == pytest.approx(3.5)
    assert model.config.pair_cutoffs["O-H"] == pytest.approx(3.0)
    assert model.provenance["imported_units"] == {
        "length": length_unit,
        "energy": "hartree",
    }
    atoms = crystal(True)
    ours = our_result(model, atoms)
    atoms.set_cell(atoms.cell / unit, scale_atoms=True)
    energy, forces, _ = nequip_result(path, atoms)
    hartree = ENERGY_UNITS_IN_EV["hartree"]
    assert ours[0] == pytest.approx(energy * hartree, abs=1e-8)
    np.testing.assert_allclose(ours[1], forces * hartree / unit, atol=1e-8)


def test_types_that_are_no_symbols(tmp_path):
    path = write_checkpoint(
        tmp_path / "model.ckpt",
        type_names=["A", "O", "Na"],
        per_type_energy_shifts={"A": -1.0, "O": -2.0, "Na": -3.0},
    )
    with pytest.raises(ValueError, match=r"--element TYPE=SYMBOL"):
        import_model(path)
    with pytest.raises(ValueError, match=r"found \['B'\]"):
        import_model(path, elements={"B": "H"})
    model = import_model(path, elements={"A": "H"})
    assert model.config.elements == ELEMENTS


def test_global_state_is_put_back(tmp_path):
    import e3nn

    path = write_checkpoint(tmp_path / "model.ckpt")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    before = torch.get_default_dtype(), dict(e3nn.get_optimization_defaults())
    import_model(path)
    assert torch.rand(1) == expected
    assert (torch.get_default_dtype(), e3nn.get_optimization_defaults()) == before


def test_same_liquid_in_openmm(tmp_path):
    """192 atoms of water, 32 scalar and 16 tensor features: TorchForce on the CPU."""
    import openmm
    from openmm import unit
    from openmm_helpers import make_topology

    from openmm_allegro import AllegroPotential

    path = write_checkpoint(
        tmp_path / "model.ckpt",
        type_names=["H", "O"],
        per_type_energy_shifts={"H": -13.0, "O": -400.0},
        r_max=5.0,
        num_scalar_features=32,
        num_tensor_features=16,
        scalar_embed_mlp_hidden_layers_width=32,
        allegro_mlp_hidden_layers_width=32,
        readout_mlp_hidden_layers_width=16,
        avg_num_neighbors=50.0,
    )
    atoms = liquid_water()
    energy, forces, _ = nequip_result(path, atoms)
    potential = AllegroPotential(import_model(path))
    topology = make_topology(list(atoms.symbols), atoms.cell.array / 10, waters=True)
    for precision in ("double", "mixed"):
        system = potential.create_system(topology, precision=precision)
        context = openmm.Context(
            system,
            openmm.VerletIntegrator(0.001),
            openmm.Platform.getPlatformByName("CPU"),
        )
        context.setPositions(atoms.positions / 10)
        state = context.getState(energy=True, forces=True)
        found = state.getForces(asNumpy=True).value_in_unit(
            unit.kilojoule_per_mole / unit.angstrom
        )
        # the CPU platform keeps positions and forces in single precision
        assert abs(forces).max() > 0.1
        assert abs(found / EV_TO_KJ_PER_MOL - forces).max() < 1e-5
        total = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
        assert total / EV_TO_KJ_PER_MOL == pytest.approx(energy, abs=1e-3)


def liquid_water():
    """64 molecules on a jittered lattice, in random orientation, 12.4 Å box."""
    import ase

    random = np.random.default_rng(2)
    sites = np.stack(np.meshgrid(*[np.arange(4)] * 3), -1).reshape(-1, 3) * 3.1
    sites = sites + random.uniform(-0.2, 0.2, sites.shape)
    water = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    positions = []
    for site in sites:
        axes, _ = np.linalg.qr(random.normal(size=(3, 3)))
        positions.append(site + water @ axes)
    return ase.Atoms(
        ["O", "H", "H"] * 64, np.concatenate(positions), cell=[12.4] * 3, pbc=True
    )
