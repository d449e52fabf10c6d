# SPDX-License-Identifier: MIT
"""The input of LAMMPS: what is said of each stage, and where it begins."""

import re
from dataclasses import replace

import pytest
from lammps_folders import plan_of

from openmm_allegro.lammps.input import input_text
from openmm_allegro.lammps.plan import AtomType, Begin, read_plan, write_plan
from openmm_allegro.simulate.settings import Stage

TYPES = (AtomType("H", (1.008, 3.0, 3.0)), AtomType("O", (15.999, 12.0, 12.0)))
STAGES = (
    Stage("melt", steps=60, minimize=True, report_interval=10),
    Stage("ramp", steps=90, report_interval=30, temperature_k=(300.0, 600.0, 450.0)),
    Stage("npt", steps=90, report_interval=30, ensemble="npt", draw_velocities=True),
)
NAMES = ("1-melt", "2-ramp", "3-npt")


@pytest.fixture
def plan():
    return plan_of(STAGES, names=NAMES, types=TYPES, models=("a.allegro", "b.allegro"))


def commands(text):
    """Commands by their first word, in order, without comments; lines joined."""
    text = re.sub(r"&\n *", "", text)
    lines = re.sub(r"(^|  )#.*", "", text, flags=re.MULTILINE).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


def stage_of(text, name):
    """Commands of a stage."""
    parts = re.split(r"# ---- Stage (\S+):.*", text)
    return commands(parts[parts.index(name) + 1])


def test_stages_follow_each_other(plan, tmp_path):
    text = input_text(plan, tmp_path)
    assert ("shell", f'cd "{tmp_path}"') in commands(text)
    assert ("read_data", "system.data") in commands(text)
    assert ("pair_coeff", "* * a.allegro b.allegro H O") in commands(text)
    first, second, third = (stage_of(text, name) for name in NAMES)
    assert [name for name, _ in first][:3] == ["thermo", "minimize", "velocity"]
    assert ("velocity", "all create 300 7 mom yes dist gaussian") in first
    stage = replace(STAGES[0], minimize_tolerance_kj_mol_nm=10.0)
    tight = replace(plan, names=NAMES[:1], stages=(stage,))
    texts = text, input_text(tight, tmp_path)
    norms = [dict(stage_of(t, "1-melt"))["minimize"].split()[1] for t in texts]
    assert float(norms[0]) == pytest.approx(100 * float(norms[1]), rel=1e-5)
    assert ("timestep", "0.0005") in first
    assert ("run", "60 upto") in first
    # those of hydrogens change, and velocities go on
    assert ("mass", "1 3") in second and ("mass", "2 12") in second
    assert [rest for name, rest in second if name == "velocity"] == [
        "all set v_scaled_vx v_scaled_vy v_scaled_vz",
        "all zero linear",
    ]
    (scale,) = (rest for _, rest in second if rest.startswith("scale "))
    factors = re.findall(r"\(type==(\d)\)\*([-.\d]+)", scale)
    for (kind, factor), one in zip(factors, TYPES, strict=True):
        assert TYPES[int(kind) - 1] is one
        energies = one.masses[0], one.masses[1] * (1.0 + float(factor)) ** 2
        assert energies[1] == pytest.approx(energies[0])
    assert "minimize" not in dict(second)
    runs = [rest for name, rest in second if name == "run"]
    assert runs == ["45 upto start 0 stop 45", "90 upto start 45 stop 90"]
    baths = [r.split() for n, r in second if n == "fix" and r.startswith("bath")]
    assert [bath[3:6] for bath in baths] == [
        ["300", "600", "1"],
        ["600", "450", "1"],
    ]
    assert baths[0][6] != baths[1][6]  # seeds
    assert "mass" not in dict(third)
    assert ("velocity", "all create 300 9 mom yes dist gaussian") in third
    for name, lines in zip(NAMES, (first, second, third), strict=True):
        assert ("write_restart", f"{name}.restart") in lines
        fixed = [rest.split()[0] for word, rest in lines if word == "fix"]
        ended = [rest.split()[0] for word, rest in lines if word == "unfix"]
        assert set(fixed) == set(ended)


def test_restart_continues_on_the_same_ramp(plan, tmp_path):
    begin = Begin(1, 60, "2-ramp.restart.1", 30)
    text = input_text(plan, tmp_path, begin)
    assert "Stage 1-melt" not in text
    assert ("read_restart", "2-ramp.restart.1") in commands(text)
    assert "is_file(2-ramp.part.xtc)" in text  # which another LAMMPS writes
    assert "is_file(2-ramp.csv)" not in text
    assert "read_data" not in dict(commands(text))
    lines = stage_of(text, "2-ramp")
    assert not {"velocity", "minimize", "reset_timestep", "mass"} & {
        n for n, _ in lines
    }
    assert [rest for name, rest in lines if name == "run"] == [
        "90 upto start 45 stop 90"
    ]
    assert ("dump_modify", "frames unwrap yes delay 31") in lines
    assert "2-ramp.part.xtc" in dict(lines)["dump"]
    assert any("append 2-ramp.csv" in rest for name, rest in lines if name == "fix")
    new = [rest for name, rest in lines if name == "fix" and "langevin" in rest]
    old = [
        rest
        for name, rest in stage_of(input_text(plan, tmp_path), "2-ramp")
        if name == "fix" and "langevin" in rest
    ]
    assert new[0].split()[:6] == old[1].split()[:6]
    assert new[0].split()[6] != old[1].split()[6]  # others than from the start on
    assert ("reset_timestep", "0") in stage_of(text, "3-npt")


def test_next_stage_begins_with_the_end_of_the_one_before(plan, tmp_path):
    text = input_text(plan, tmp_path, Begin(1, 0, "1-melt.restart"))
    assert "is_file(2-ramp.csv)" in text
    lines = stage_of(text, "2-ramp")
    assert ("mass", "1 3") in lines and ("reset_timestep", "0") in lines
    assert dict(lines)["velocity"] == "all zero linear"


def test_folder_that_lammps_cannot_name(plan, tmp_path):
    folder = tmp_path / "jörg"
    text = input_text(plan, folder)
    assert "shell" not in dict(commands(text))
    assert "# ---- Run LAMMPS in this folder" in text
    assert f"run       cd '{tmp_path}/j?rg' && mpirun -np 4 lmp -in in.lammps" in text
    text.encode("ascii")


def test_plugin_of_the_folder_is_loaded(tmp_path):
    """By a path: a name alone would be looked for among libraries."""
    lines = commands(input_text(plan_of(STAGES[:1], plugin="xplugin.so"), tmp_path))
    loaded = lines.index(("plugin", "load ./xplugin.so"))
    assert loaded < lines.index(("pair_style", "allegro"))


def test_velocities_of_the_data_are_kept(plan, tmp_path):
    text = input_text(plan_of(STAGES[:1], velocities=True), tmp_path)
    assert dict(commands(text))["velocity"] == "all zero linear"


def test_table_has_the_columns_of_openmm(plan, tmp_path):
    text = input_text(plan, tmp_path)
    fixes = [rest for name, rest in commands(text) if name == "fix"]
    fixed = [rest for rest in fixes if rest.startswith("table")]
    nvt, _, npt = (re.search("title '#(.*)'", one)[1] for one in fixed)
    assert nvt == (
        '"Step","Time (ps)","Potential Energy (kJ/mole)","Kinetic Energy (kJ/mole)",'
        '"Total Energy (kJ/mole)","Temperature (K)","Box Volume (nm^3)",'
        '"Speed (ns/day)"'
    )
    assert '"Density (g/mL)"' in npt
    assert len(re.search(r'"(.*?)"', fixed[2])[1].split(",")) == len(npt.split(","))


def test_many_atoms_have_no_frames(tmp_path):
    text = input_text(plan_of(STAGES[:1], frames=False), tmp_path)
    assert "dump" not in dict(commands(text))
    assert "\n#dump " in text
    assert "\n#undump" in text


def test_atoms_without_a_box(tmp_path):
    text = input_text(plan_of(STAGES[:1], periodic=False), tmp_path)
    assert ("boundary", "s s s") in commands(text)
    assert "Volume" not in text.partition("Stage")[2]


def test_differences_are_said_once(plan, tmp_path):
    text = input_text(plan, tmp_path)
    head = text.partition("# ---- ")[0]
    assert len(re.findall("langevin-middle: Langevin forces", head)) == 1
    assert len(re.findall("barostat", head)) == 1
    assert (
        max(len(line) for line in head.splitlines() if str(tmp_path) not in line) < 89
    )
    text.encode("ascii")  # LAMMPS warns of others


def test_plan_is_read_back(plan, tmp_path):
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan


def test_damaged_plans(plan, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected plan\.json in the folder"):
        read_plan(tmp_path)
    write_plan(tmp_path, plan)
    path = tmp_path / "plan.json"
    text = path.read_text()
    path.write_text(text.replace('"format_version": 1', '"format_version": 9'))
    with pytest.raises(ValueError, match=r"expected format_version 1 .* found 9"):
        read_plan(tmp_path)
    path.write_text(text.replace('"seed"', '"sed"'))
    with pytest.raises(ValueError, match=r"expected a plan in .* as it was written"):
        read_plan(tmp_path)
