# SPDX-License-Identifier: MIT
"""The pair style refuses what it cannot compute, in one sentence that helps."""

import hashlib
import os
import re
import subprocess

import numpy as np
import pytest
from helpers import tiny_config, tiny_energy, tiny_statistics
from lammps_session import BIN, MESSAGES, needs_lammps, run_session

from openmm_allegro import Model
from openmm_allegro.lammps import export_model
from openmm_allegro.lammps.export import BLANK, PAGE
from openmm_allegro.modelfile import save_model

pytestmark = needs_lammps

ATOMS = """\
units {units}
atom_style {atom_style}
newton {newton}
region box block 0 9 0 9 0 9
create_box 2 box {box}
create_atoms 1 single 3 3 3
create_atoms 2 single 4 3 3
create_atoms 1 single 4.3 3.9 3
mass 1 1.008
mass 2 {mass}
"""
BONDS = {
    "atom_style": "full",
    "box": "bond/types 1 extra/bond/per/atom 4 extra/special/per/atom 8",
}
BOND = "bond_style zero\nbond_coeff *\n{}create_bonds single/bond 1 1 2\n"
AGAIN = "it was cut or damaged: copy or export it again"
COMMAND = (
    "openmm-allegro lammps MODEL.safetensors SYSTEM.pdb --output FOLDER writes one"
)


def commands(coeff="a.allegro H O", style="allegro", after="", end="run 0", **options):
    defaults = {"units": "metal", "atom_style": "atomic", "newton": "on", "box": ""}
    text = ATOMS.format(**defaults | {"mass": 15.999} | options)
    return f"{text}pair_style {style}\npair_coeff * * {coeff}\n{after}{end}\n"


def of_file(name, *expected):
    return commands(f"{name}.allegro H O"), *expected


NAN = "variable nan atom exp(1000)-exp(1000)\nset atom 2 vx v_nan\n"
# Commands and parts of the error, in their order.
REFUSED = {
    "units": (commands(units="lj"), "expected units metal or real, found units lj"),
    "newton": (commands(newton="off"), "expected newton on, found newton off"),
    "arguments": (
        commands(style="allegro 5.0"),
        "expected no arguments or total_charge and a number, found 5.0; files and "
        "elements are given to pair_coeff",
    ),
    "too_few": (
        commands("a.allegro H"),
        "expected an element or NULL for each of the 2 atom types, found 1",
    ),
    "too_many": (commands("a.allegro H O O"), "of the 2 atom types, found 3"),
    "unknown_element": (
        commands("a.allegro H Cl"),
        "expected elements of the model, H O Na, found Cl for type 2",
    ),
    "null": (
        commands("a.allegro H NULL"),
        "expected an element for type 2, found NULL, which pair_style hybrid",
    ),
    "nulls": (
        commands("allegro a.allegro NULL NULL", "hybrid allegro zero 3.0"),
        "expected an element for some of the types, found NULL for all",
    ),
    "some_types": (
        commands("a.allegro H O", "hybrid allegro zero 3.0").replace(
            "* * a", "1 * allegro a"
        ),
        "expected pair_coeff * *, found other types; those of another style have NULL",
    ),
    "no_file": (
        commands("H O"),
        "expected a file whose name ends in .allegro",
        COMMAND,
    ),
    "model_file": (
        commands("a.safetensors H O"),
        "expected an exported model (*.allegro), found the model file a.safetensors",
        COMMAND,
    ),
    "renamed": of_file(
        "renamed", "found that renamed.allegro is a model file", COMMAND
    ),
    "missing": of_file("missing", "none that can be read (No such file or directory)"),
    "folder": of_file("folder", "found none that can be read (not a file)"),
    "text": of_file("text", "found that text.allegro is another kind of file", COMMAND),
    "empty": of_file("empty", "found that empty.allegro is another kind of file"),
    "cut_header": of_file(
        "cut_header", "found the end of cut_header.allegro before", AGAIN
    ),
    "cut": of_file("cut", r"cut.allegro: expected \d+ bytes, found \d+", AGAIN),
    "damaged": of_file("damaged", "expected the SHA-256 [0-9a-f]{64}, found", AGAIN),
    "json": of_file(
        "json", "expected a header in JSON, found an error at its byte", AGAIN
    ),
    "newer": of_file(
        "newer", "expected format 1 or 2, found 3, written by", "install that"
    ),
    "older": of_file(
        "older", "expected format 1 or 2, found 0, written by", "export the model"
    ),
    "other": of_file(
        "other", "expected the format openmm_allegro.lammps, found openmm_"
    ),
    "no_charges": of_file("no_charges", 'expected "charges" in the header', "no such"),
    "program": of_file(
        "program", "expected a program of format 3, found 99", "export the model again"
    ),
    "index": of_file("index", "index.allegro: expected a program with", "found"),
    "kinds": (
        commands("a.allegro delta.allegro H O"),
        "expected models of one kind, found total in a.allegro and delta in delta",
    ),
    "elements": (
        commands("a.allegro others.allegro H O"),
        "expected models of the same elements in the same order, found H O Na in a",
        "and O H Na in others.allegro",
    ),
    "delta": (
        commands("delta.allegro H O"),
        "expected pair_style hybrid/overlay with the force field that the delta model "
        "delta.allegro corrects, found pair_style allegro",
    ),
    "delta_hybrid": (
        commands("allegro delta.allegro H O", "hybrid allegro"),
        "found pair_style hybrid",
    ),
    "respa": (
        commands(end="run_style respa 2 2 inner 1 2 3 outer 2\nrun 1"),
        "does not support rRESPA inner/middle/outer",
    ),
    "special_bonds": (
        commands(after=BOND.format(""), **BONDS),
        "special_bonds leaves out 1-2 pairs; use special_bonds lj/coul 1 1 1",
    ),
    "special_bonds_later": (
        commands(
            after=BOND.format("special_bonds lj/coul 1 1 1\n")
            + "create_bonds single/bond 1 2 3\n",
            end="run 0\nspecial_bonds lj/coul 1 0 1\nrun 0",
            **BONDS,
        ),
        "special_bonds leaves out 1-3 pairs",
    ),
    "deviation": (
        commands(after="fix d all pair 1 allegro deviation 1\n"),
        "expected two models or more for the deviation of forces, found 1",
    ),
    "same_place": (
        commands(after="create_atoms 2 single 3 3 3\n"),
        "expected a finite energy of each atom, found NaN or infinity for atom [14]",
        "in step 0; the simulation has become unstable",
    ),
    "not_a_number": (
        commands(after=NAN + "neigh_modify delay 10\n", end="fix 1 all nve\nrun 2"),
        "expected a finite position of each atom, found NaN or infinity for atom 2 in "
        "step 1; the simulation has become unstable",
    ),
    # The last ones: the variable stays.
    "kernels": (
        "shell putenv OPENMM_ALLEGRO_KERNELS=/none/_generic.so\n" + commands(),
        "expected compiled kernels of interface",
        "that this processor runs, found /none/_generic.so",
        "OPENMM_ALLEGRO_KERNELS",
    ),
    "other_library": (
        "shell putenv OPENMM_ALLEGRO_KERNELS=libm.so.6\n" + commands(),
        "found libm.so.6 has no function allegro_format",
    ),
}
# Masses of types 1 and 2 that a model of H and O takes, and whether it warns.
MASSES = {
    "usual": (1.008, 15.999, False),
    "rounded": (1.0, 16.0, False),
    "deuterium": (2.014, 15.999, False),
    "repartitioned": (3.024, 11.967, False),
    "light_oxygen": (1.008, 11.967, True),
    "swapped": (15.999, 1.008, True),
    "sodium": (1.008, 22.99, True),
}
ACCEPTED = {
    f"mass_{name}": commands(mass=oxygen, after=f"mass 1 {hydrogen}\n")
    for name, (hydrogen, oxygen, _) in MASSES.items()
} | {
    "no_bonds": commands(**BONDS),
    "excluded": commands(after="neigh_modify exclude type 1 2\n"),
    "included": commands(
        after="group g type 1\natom_modify first g\nneigh_modify include g\n"
    ),
    "overridden": commands(
        "allegro a.allegro H O",
        "hybrid allegro zero 3.0",
        after="pair_coeff 1 2 zero\n",
    ),
    "other_types": commands(
        "allegro a.allegro H NULL",
        "hybrid allegro zero 3.0",
        after="pair_coeff 1*2 2 zero\n",
    ),
    "no_bonds_of_a_kind": commands(
        after=BOND.format("special_bonds lj/coul 1 0 0\n"), **BONDS
    ),
    "bonds_of_other_types": commands(
        "allegro a.allegro H NULL",
        "hybrid allegro zero 3.0",
        after=BOND.format("pair_coeff 1*2 2 zero\n"),
        **BONDS,
    ),
    "small_weights": commands(
        after=BOND.format("special_bonds lj/coul 1e-50 1e-50 0.5\n"), **BONDS
    ),
}

CAUSES = {
    "excluded": "neigh_modify exclude",
    "included": "neigh_modify include",
    "overridden": "pair_coeff 1 2 of another style or none",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lammps")
    write_files(folder)
    return run_session(ACCEPTED | {n: c[0] for n, c in REFUSED.items()}, folder)


def write_files(folder):
    """Models that are right, and what else a user may give."""
    save_model(tiny_model(), folder / "a.safetensors")
    for name, model in (
        ("a", tiny_model()),
        ("delta", tiny_model(kind="delta")),
        ("others", tiny_model(["O", "H", "Na"])),
    ):
        export_model(model, folder / f"{name}.allegro")
    content = (folder / "a.allegro").read_bytes()
    integers = int(re.search(rb'"integers": {"offset": (\d+)', content)[1])
    version = b'"format_version": 1'
    files = {
        "renamed": (folder / "a.safetensors").read_bytes(),
        "text": b"ITEM: TIMESTEP\n0\n",
        "empty": b"",
        "cut_header": content[:200],
        "cut": content[: -PAGE // 2],
        "damaged": content[:-9000] + bytes([content[-9000] ^ 1]) + content[-8999:],
        "json": content.replace(b'"kind":', b'"kind",'),
        "newer": content.replace(version, b'"format_version": 3'),
        "no_charges": content.replace(version, b'"format_version": 2'),
        "older": content.replace(version, b'"format_version": 0'),
        "other": content.replace(b'_allegro.lammps"', b'_allegro.lampps"'),
        "program": with_integer(content, integers, 99),
        "index": with_integer(content, integers + 8, -1),
    }
    for name, data in files.items():
        (folder / f"{name}.allegro").write_bytes(data)
    (folder / "folder.allegro").mkdir()


def tiny_model(elements=("H", "O", "Na"), kind="total"):
    config = tiny_config(elements=list(elements))
    return Model(config, tiny_statistics(config), tiny_energy(config), kind, "float64")


def with_integer(content, offset, value):
    """A file with another number, and the checksum that belongs to it."""
    changed = bytearray(content)
    changed[offset : offset + 8] = np.int64(value).tobytes()
    digits = re.search(rb'"sha256": "([0-9a-f]{64})"}', content).span(1)
    changed[slice(*digits)] = BLANK.encode()
    changed[slice(*digits)] = hashlib.sha256(changed).hexdigest().encode()
    return bytes(changed)


@pytest.mark.parametrize("name", REFUSED)
def test_misuse_is_refused_in_one_sentence(outcomes, name):
    error = outcomes[name].error
    for part in REFUSED[name][1:]:
        assert re.search(
            part if "[" in part or r"\d" in part else re.escape(part), error
        )
    assert ". " not in error.partition(" (src")[0].replace("ERROR on proc 0: ", "")


@pytest.mark.parametrize("name", ACCEPTED)
def test_right_use_is_not_refused(outcomes, name):
    assert not outcomes[name].error


@pytest.mark.parametrize("name", MASSES)
def test_masses_of_other_elements_are_warned_of(outcomes, name):
    *masses, warns = MASSES[name]
    warning = r"WARNING: Pair style allegro: type (\d) has mass (\S+), but (\w+), which"
    warnings = re.findall(warning, outcomes[f"mass_{name}"].log)
    assert bool(warnings) == warns
    for kind, mass, element in warnings:
        assert float(mass) == masses[int(kind) - 1]
        assert element == "HO"[int(kind) - 1]


@pytest.mark.parametrize("name", ACCEPTED)
def test_missing_pairs_are_warned_of(outcomes, name):
    causes = re.findall(r"allegro: (.*) leaves out pairs", outcomes[name].log)
    assert causes == ([CAUSES[name]] if name in CAUSES else [])


def test_log_names_the_model(outcomes):
    log = outcomes["no_bonds"].log
    assert re.search(
        r"Allegro model a\.allegro: total, single precision, two-body part exact, "
        r"cutoff 3 Angstrom, kernel (avx512|avx2|generic), "
        r"digest [0-9a-f]{64}, SHA-256",
        log,
    )


def test_file_that_one_rank_cannot_read_ends_all_ranks(tmp_path):
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
        (folder / "in.lammps").write_text(commands("table.allegro H O"))
    export_model(tiny_model(), folders[0] / "table.allegro", two_body="table")
    command = [BIN / "mpirun"]
    for folder in folders:
        command += [":"] if len(command) > 1 else []
        command += ["-np", "1", "-wdir", folder, BIN / "lmp", "-in", "in.lammps"]
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | MESSAGES,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "found none that can be read (No such file" in done.stdout
    assert "(on rank 1)" in done.stdout
