# SPDX-License-Identifier: MIT
"""The pair style refuses what models with charges lack, in one sentence that helps."""

import re

import pytest
from lammps_charged import charged_model
from lammps_session import needs_lammps, run_session

from openmm_allegro import Model
from openmm_allegro.lammps import export_model

pytestmark = needs_lammps

INPUT = """\
units metal
atom_style {style}
boundary {boundary}
region box block 0 9 0 9 0 9
create_box 3 box
create_atoms 1 single 3 3 3
create_atoms 2 single 4 3 3
create_atoms 3 single 4.3 4.9 3
mass 1 1.008
mass 2 15.999
mass 3 22.99
pair_style {pair}
pair_coeff * * {coeff}
{waves}
{after}
{end}
"""
WAVES = "kspace_style ewald 1e-6\nkspace_modify gewald {} compute no"
RIGHT = WAVES.format(0.66666667)
REMEDY = (
    "kspace_style pppm 1e-6 and kspace_modify gewald 0.66666666666666663 compute no"
)


def commands(**changes):
    values = {"style": "charge", "boundary": "p p p", "pair": "allegro"}
    values |= {"coeff": "learned.allegro H O Na", "waves": RIGHT}
    values |= {"after": "", "end": "run 0"}
    return INPUT.format(**values | changes)


# Commands and parts of the error, in their order.
REFUSED = {
    "no_waves": (
        commands(waves=""),
        "expected kspace_style pppm or ewald for the model with charges learned.allegro"
        ", found none",
        REMEDY,
    ),
    "width": (commands(waves=WAVES.format(0.6)), "found gewald 0.600000", REMEDY),
    "computed_twice": (
        commands(waves=RIGHT.replace("compute no", "compute yes")),
        "expected kspace_modify compute no",
        "found yes",
        REMEDY,
    ),
    "other_waves": (
        commands(waves=RIGHT.replace("ewald 1e-6", "pppm/cg 1e-6 0")),
        "found pppm/cg",
        REMEDY,
    ),
    "slab": (
        commands(waves=f"{RIGHT} slab 3.0", boundary="p p f"),
        "expected a box that is periodic along all of its vectors or none",
        "found 2 of 3",
    ),
    "partly_periodic": (commands(waves="", boundary="p p f"), "found 2 of 3"),
    "without_box": (
        commands(boundary="f f f"),
        "Cannot use non-periodic boundaries with Ewald",
    ),
    "atomic": (
        commands(style="atomic", waves=""),
        "expected an atom_style with charges for the model with charges learned.allegro"
        ", such as charge or full, found atom_style atomic",
    ),
    "stress_of_atoms": (
        commands(
            after="compute s all stress/atom NULL\ncompute m all reduce max c_s[1]\n"
            "thermo_style custom step c_m"
        ),
        "expected no stress of atoms and no heat flux for a model with charges",
    ),
    "centroid_stress": (
        commands(
            after="compute s all centroid/stress/atom NULL virial\n"
            "compute m all reduce max c_s[1]\nthermo_style custom step c_m",
            boundary="f f f",
            waves="",
        ),
        "expected no stress of atoms and no heat flux for a model with charges",
    ),
    "respa": (
        commands(end="run_style respa 2 2 pair 1 kspace 2\nrun 1"),
        "expected run_style verlet",
        "found run_style respa",
    ),
    "null": (
        commands(
            pair="hybrid/overlay allegro zero 3.0",
            coeff="allegro learned.allegro H O NULL\npair_coeff * 3 zero",
        ),
        "expected an element for each type",
        "found NULL for type 3",
    ),
    "other_charges": (
        commands(
            pair="hybrid/overlay allegro coul/long 3.0",
            coeff="allegro learned.allegro H O Na\npair_coeff * * coul/long",
        ),
        "expected no other pair style of charges",
        "found one in pair_style hybrid/overlay",
    ),
    "delta": (
        commands(
            pair="hybrid/overlay allegro zero 3.0",
            coeff="allegro delta.allegro H O Na\npair_coeff * * zero",
        ),
        "expected a model of kind total",
        "delta.allegro of kind delta",
    ),
    "total_of_none": (
        commands(pair="allegro total_charge 1", coeff="none.allegro H O Na", waves=""),
        "expected a model with charges beside total_charge, found none.allegro without",
    ),
    "total_not_a_number": (
        commands(pair="allegro total_charge one"),
        "Expected floating point",
    ),
    "argument": (
        commands(pair="allegro charge 1"),
        "expected no arguments or total_charge and a number, found charge",
    ),
    "waves_of_none": (
        commands(coeff="none.allegro H O Na"),
        "KSpace style is incompatible with Pair style",
    ),
    "some_members": (
        commands(coeff="learned.allegro none.allegro H O Na"),
        "expected models with charges of one width or none, found 0.666667 in learned",
        "and 0.000000 in none.allegro",
    ),
}
ACCEPTED = {
    "right": commands(),
    "hybrid": commands(
        pair="hybrid/overlay allegro zero 3.0",
        coeff="allegro learned.allegro H O Na\npair_coeff * * zero",
    ),
    "mesh": commands(waves=RIGHT.replace("ewald 1e-6", "pppm 1e-6")),
    "total": commands(pair="allegro total_charge -1"),
    "minimised": commands(end="run_style respa 2 2 pair 1 kspace 2\nminimize 0 0 1 1"),
    "none": commands(style="atomic", coeff="none.allegro H O Na", waves=""),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("charged")
    for name, kind in (("learned", "total"), ("none", "total"), ("delta", "delta")):
        model = charged_model("none" if name == "none" else "learned")
        parts = model.config, model.statistics, model.energy, kind, "float64"
        export_model(Model(*parts), folder / f"{name}.allegro")
    return run_session(ACCEPTED | {n: c[0] for n, c in REFUSED.items()}, folder)


@pytest.mark.parametrize("name", REFUSED)
def test_misuse_is_refused_in_one_sentence(outcomes, name):
    error = outcomes[name].error
    for part in REFUSED[name][1:]:
        assert re.search(re.escape(part), error), error
    assert ". " not in error.partition(" (src")[0].replace("ERROR on proc 0: ", "")


@pytest.mark.parametrize("name", ACCEPTED)
def test_right_use_is_not_refused(outcomes, name):
    assert not outcomes[name].error
