# SPDX-License-Identifier: MIT
"""The pair style among the commands of LAMMPS."""

import functools

import numpy as np
import pytest
from ase.units import kcal, mol
from helpers import random_ase, tiny_config, tiny_energy, tiny_statistics
from lammps_session import needs_lammps, run_session

from openmm_allegro import Model
from openmm_allegro.lammps import export_model

pytestmark = needs_lammps

ELEMENTS = "H", "O", "Na"
MASSES = 1.008, 15.999, 22.990
CONFIG = tiny_config(elements=list(ELEMENTS))
COMMITTEE = "* * a.allegro b.allegro c.allegro H O Na"
BEFORE = """\
units {units}
atom_style atomic
region box block 0 {} 0 {} 0 {}
create_box 3 box
"""
AFTER = """\
neighbor 0.5 bin
pair_style {style}
compute energies all pe/atom
"""
WITHOUT_SODIUM = "group sodium type 3\ndelete_atoms group sodium compress no\n"
VELOCITIES = "velocity all create 300 1\n"
MOTION = "timestep 0.0002\nfix 1 all nve\nrun {}\n"


def tiny_model(seed, kind="total"):
    """Equal seeds have equal weights."""
    energy = tiny_energy(CONFIG, seed)
    return Model(CONFIG, tiny_statistics(CONFIG), energy, kind, "float64")


@functools.cache
def atoms():
    made = random_ase("large", seed=1, count=40)
    made.wrap()
    return made


def commands(
    style="allegro", *coefficients, units="metal", change="", end="run 0", before=None
):
    """An input: atoms, the pair style with coefficients, and what is run."""
    if before is None:
        before = BEFORE.format(*atoms().cell.diagonal(), units=units)
        for symbol, x in zip(atoms().symbols, atoms().positions, strict=True):
            kind = ELEMENTS.index(symbol) + 1
            before += f"create_atoms {kind} single {x[0]} {x[1]} {x[2]}\n"
        before += "".join(f"mass {k} {mass}\n" for k, mass in enumerate(MASSES, 1))
    coefficients = coefficients or ["* * a.allegro H O Na"]
    pairs = "".join(f"pair_coeff {line}\n" for line in coefficients)
    return before + change + AFTER.format(style=style) + pairs + end


LJ, OVERLAY = "lj/cut 4.0", "hybrid/overlay allegro lj/cut 4.0"
SODIUM_ALONE = "1*2 1*2 0.0 1.0", "1*3 3 0.01 2.5"  # of no other pairs
CASES = {
    "a": commands(),
    "twice": commands("allegro", "* * b.allegro O Na H", "* * a.allegro H O Na"),
    "again": commands(
        "allegro",
        "* * b.allegro H O Na",
        end="run 0\npair_coeff * * c.allegro H O Na\nrun 0\n"
        "pair_style allegro\npair_coeff * * a.allegro H O Na\nrun 0",
    ),
    "table": commands("allegro", "* * table.allegro H O Na"),
    "committee": commands("allegro", COMMITTEE),
    # Deviations in each third step, the last one among them.
    "moved_committee": commands(
        "allegro", COMMITTEE, end=VELOCITIES + MOTION.format(6)
    ),
    "moved_deviation": commands(
        "allegro",
        COMMITTEE,
        end="fix deviation all pair 3 allegro deviation 1\n"
        + VELOCITIES
        + MOTION.format(6),
    ),
    "moved_always": commands(
        "allegro",
        COMMITTEE,
        end="fix deviation all pair 1 allegro deviation 0\n"
        + VELOCITIES
        + MOTION.format(6),
    ),
    "real": commands(units="real"),
    "real_committee": commands("allegro", COMMITTEE, units="real"),
    "lj": commands(LJ, "* * 0.01 2.0"),
    "overlay": commands(OVERLAY, "* * allegro a.allegro H O Na", "* * lj/cut 0.01 2.0"),
    "delta": commands(
        OVERLAY, "* * allegro delta.allegro H O Na", "* * lj/cut 0.01 2.0"
    ),
    "without_sodium": commands(change=WITHOUT_SODIUM),
    "sodium_alone": commands(LJ, *SODIUM_ALONE),
    "null": commands(
        OVERLAY, "* * allegro a.allegro H O NULL", "1*3 3 lj/cut 0.01 2.5"
    ),
    "minimised": commands(end="minimize 0 0 5 20\nrun 0"),
    "moved": commands(end=VELOCITIES + MOTION.format(8)),
    "respa": commands(
        end=VELOCITIES + "run_style respa 2 2 pair 2\n" + MOTION.format(8)
    ),
    "half": commands(
        end=VELOCITIES + MOTION.format(4) + "write_restart half.restart\n"
    ),
    "resumed": commands(before="read_restart half.restart\n", end=MOTION.format(4)),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lammps")
    for seed, name in enumerate("abc"):
        export_model(tiny_model(seed), folder / f"{name}.allegro", precision="double")
    export_model(tiny_model(0, "delta"), folder / "delta.allegro", precision="double")
    export_model(
        tiny_model(0), folder / "table.allegro", precision="double", two_body="table"
    )
    made = run_session(CASES, folder)
    assert not {name: run.error for name, run in made.items() if run.error}
    return made


def assert_equal(found, expected, tolerance=1e-11):
    moved = (found.positions - expected.positions) / atoms().cell.diagonal()
    np.testing.assert_allclose(moved, np.round(moved), rtol=0, atol=tolerance)
    for name in ("energy", "pressure", "forces", "energies"):
        value = getattr(expected, name)
        np.testing.assert_allclose(
            getattr(found, name),
            value,
            rtol=tolerance,
            atol=tolerance * np.abs(value).max(),
        )


def test_deviations_leave_the_motion_as_it_is(outcomes):
    third, always = outcomes["moved_deviation"], outcomes["moved_always"]
    assert_equal(third, outcomes["moved_committee"])
    assert_equal(always, outcomes["moved_committee"])
    assert third.deviation.min() > 0.0
    np.testing.assert_allclose(always.deviation, third.deviation, rtol=1e-9)


@pytest.mark.parametrize("name", ["real", "real_committee"])
def test_units_real_are_those_of_metal_in_kcal_per_mol(outcomes, name):
    metal = outcomes["committee" if "committee" in name else "a"]
    factor = mol / kcal  # LAMMPS's has eight digits
    expected = metal._replace(
        energy=metal.energy * factor,
        pressure=metal.pressure / 1.01325,
        forces=metal.forces * factor,
        energies=metal.energies * factor,
    )
    assert_equal(outcomes[name], expected, 1e-6)


@pytest.mark.parametrize("name", ["twice", "again"])
def test_coefficients_replace_those_before(outcomes, name):
    assert_equal(outcomes[name], outcomes["a"])


@pytest.mark.parametrize("name", ["overlay", "delta"])
def test_overlay_is_the_sum_of_its_styles(outcomes, name):
    assert_equal(outcomes[name], total(outcomes["a"], outcomes["lj"]))


def test_atoms_of_other_styles_are_no_neighbours(outcomes):
    model, others = outcomes["without_sodium"], outcomes["sodium_alone"]
    of_model = np.array(atoms().get_chemical_symbols()) != "Na"
    spread = {
        field: np.zeros_like(getattr(others, field)) for field in ("forces", "energies")
    }
    for field, values in spread.items():
        values[of_model] = getattr(model, field)
    assert_equal(outcomes["null"], total(model._replace(**spread), others))


def total(first, second):
    """The first style and the second one."""
    fields = ("energy", "pressure", "forces", "energies")
    sums = {name: getattr(first, name) + getattr(second, name) for name in fields}
    return second._replace(**sums)


def test_table_is_mapped_into_memory(outcomes):
    table, exact = outcomes["table"], outcomes["a"]
    np.testing.assert_allclose(table.forces, exact.forces, rtol=0, atol=1e-5)
    assert [path.rpartition("/")[2] for path in table.mapped] == ["table.allegro"]
    assert exact.mapped == []


def test_minimisation_goes_downhill(outcomes):
    assert outcomes["minimised"].energy < outcomes["a"].energy


def test_respa_at_the_level_of_pairs_is_verlet(outcomes):
    assert_equal(outcomes["respa"], outcomes["moved"])


def test_restart_goes_on_with_coefficients_given_again(outcomes):
    assert_equal(outcomes["resumed"], outcomes["moved"])
