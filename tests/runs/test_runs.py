# SPDX-License-Identifier: MIT
"""A run read back: its files, table, charges and velocities."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj")

from report_helpers import salt_water, walk, write_run  # noqa: E402

from openmm_allegro.runs import run as run_module  # noqa: E402
from openmm_allegro.runs.charges import read_charges  # noqa: E402
from openmm_allegro.runs.energies import equilibrated, read_table  # noqa: E402
from openmm_allegro.runs.names import (  # noqa: E402
    OTHER_SUFFIXES,
    SUFFIXES,
    adopt_former_names,
    check_output,
    paths_of,
    remove_output,
    state_path,
)
from openmm_allegro.runs.run import find_runs, read_run, read_stages  # noqa: E402
from openmm_allegro.runs.source import Source  # noqa: E402


def test_a_prefix_and_files_are_the_same_run(tmp_path):
    prefix = write_run(tmp_path / "nvt", walk(salt_water(3, 1), 5))
    paths = paths_of(prefix)
    (run,), words = find_runs([str(prefix), "Na-O"])
    assert words == ["Na-O"] and run.stage == "nvt" and run.has_frames
    for kind in ("trajectory", "topology", "energies"):
        assert getattr(run, kind) == paths[kind]
    assert run == read_run(prefix) == read_stages(prefix)[0]
    given = [str(paths[kind]) for kind in ("trajectory", "topology", "energies")]
    (alone,), words = find_runs(given)
    assert (alone.trajectory, alone.topology, alone.energies) == tuple(
        paths[kind] for kind in ("trajectory", "topology", "energies")
    )
    assert not words and not alone.record and alone.target is None


def test_another_format_is_found_by_its_ending(tmp_path, monkeypatch):
    trajectory = walk(salt_water(3, 1), 5)
    trajectory.save_pdb(str(tmp_path / "x.pdb"))
    (tmp_path / "x.json").write_text("{}")
    trajectory.save_dcd(str(tmp_path / "x.dcd"))
    assert read_run(tmp_path / "x").trajectory is None
    monkeypatch.setattr(run_module, "TRAJECTORIES", (".xtc", ".dcd"))
    (run,), _ = find_runs([str(tmp_path / "x")])
    assert run.trajectory == tmp_path / "x.dcd" and run.velocities is None
    assert sum(chunk.n_frames for chunk in Source([run]).frames()) == 5
    # one that holds its topology, and no velocities
    monkeypatch.setattr(run_module, "TRAJECTORIES", (".xtc",))
    monkeypatch.setattr(run_module, "WITH_TOPOLOGY", (".h5", ".pdb"))
    run = read_run(tmp_path / "x")
    assert run.trajectory == tmp_path / "x.pdb" and run.velocities is None


def test_a_table_is_read_up_to_where_it_was_cut(tmp_path):
    path = tmp_path / "e.csv"
    head = '#"Step","Time (ps)","Temperature (K)","Speed (ns/day)"'
    rows = ["1,0.1,300,--", "2,0.2,301,1.0"]
    repeated = head.lstrip("#")
    path.write_text("\n".join([head, *rows, head, repeated, "3,0.3,299,1.0", "4,0."]))
    table = read_table(path)
    assert list(table) == ["step", "time", "temperature"]
    np.testing.assert_allclose(table["time"], [0.1, 0.2, 0.3])
    path.write_text(head.replace("Temperature (K)", "Density (g/mL)") + "\n1,0.1,?,1")
    assert np.isnan(read_table(path)["density"][0])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r'a column "Time \(ps\)" in .* found a, b'):
        read_table(path)


def test_where_a_run_begins_to_count(tmp_path):
    assert equilibrated(read_run(write_run(tmp_path / "a"))).time == pytest.approx(2.1)
    nve = read_run(write_run(tmp_path / "b", ensemble="nve"))
    assert equilibrated(nve) == (0.0, "nothing is left out")
    few = read_run(write_run(tmp_path / "c", rows=20))
    assert equilibrated(few) == (pytest.approx(0.2), "10% of the run")
    head = '#"Step","Time (ps)","Temperature (K)"'
    for times, start in (([10.1, 10.2, 10.3], 10.2), ([0.1, np.nan, 2.0], 0.2)):
        rows = [f"{i},{time},300" for i, time in enumerate(times)]
        (tmp_path / "c.csv").write_text("\n".join([head, *rows]))
        begun = equilibrated(read_run(tmp_path / "c"))
        assert begun == (pytest.approx(start), "10% of the run")
    (tmp_path / "c.csv").write_text(f"{head}\n1,nan,300\n")
    assert equilibrated(read_run(tmp_path / "c")).time == 0
    (tmp_path / "c.csv").unlink()
    assert equilibrated(read_run(tmp_path / "c")).time == 0


def test_temperature_of_thermostats_ramps_and_nve(tmp_path):
    def temperature(name, given=None, **record):
        run = read_run(write_run(tmp_path / name, **record))
        return Source([run], temperature=given).temperature()

    assert temperature("nvt", temperature=310.0) == 310
    assert temperature("same", temperature=[310.0, 310.0]) == 310
    # Its velocities began at the record's temperature, which does not stay.
    assert temperature("nve", temperature=400.0, ensemble="nve") == pytest.approx(
        300, abs=3
    )
    with pytest.raises(ValueError, match=r"--temperature in K, .* found 10, 300"):
        temperature("ramp", temperature=[10.0, 300.0])
    with pytest.raises(ValueError, match=r"--temperature in K, .* found 0$"):
        temperature("cold", given=0.0)
    assert temperature("ramp", given=200.0, temperature=[10.0, 300.0]) == 200


def test_charges_by_element_residue_kind_formula_and_file(tmp_path):
    topology = salt_water(2, 1)
    charges = read_charges("Na=1,Cl=-1", topology)
    assert charges.of_atoms.tolist() == [0] * 6 + [1, -1]
    assert list(charges.species) == ["Na", "Cl"]
    for name in ("HOH", "water", "H2O"):
        of_atoms = read_charges({name: 2.0}, topology).of_atoms
        assert of_atoms[:3].sum() == pytest.approx(2)
        masses = np.array([15.99943, 1.007947, 1.007947])
        np.testing.assert_allclose(of_atoms[:3], 2 * masses / masses.sum())
    path = tmp_path / "q.txt"
    np.savetxt(path, charges.of_atoms)
    from_file = read_charges(str(path), topology)
    assert from_file.of_atoms.tolist() == charges.of_atoms.tolist()
    assert not from_file.species
    assert read_charges(None, topology).numbers == {"Na": 1, "Cl": -1}
    np.savetxt(path, [1.0])
    with pytest.raises(ValueError, match=r"expected 8 charges in .* found shape"):
        read_charges(path, topology)
    with pytest.raises(ValueError, match="one charge other than 0"):
        read_charges({"Na": 0}, topology)


def test_records_are_checked(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"steps": "many"}))
    with pytest.raises(
        ValueError, match=r"a number as steps in .*a\.json, found 'many"
    ):
        find_runs([str(tmp_path / "a")])
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"a JSON object in .*a\.json, found a list"):
        find_runs([str(tmp_path / "a")])


def test_what_runs_and_quantities_import():
    """Parsers are made from them: they wait for no library of analysis."""
    heavy = ["mdtraj", "scipy", "matplotlib", "freud", "torch", "openmm"]
    code = f"""
import sys
import openmm_allegro.runs.source, openmm_allegro.measure.quantities
import openmm_allegro.cli.analyze, openmm_allegro.cli.report, openmm_allegro.report
print(*(name for name in {heavy} if name in sys.modules))
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []


def test_the_manual_has_a_row_for_each_file_of_a_run():
    page = (Path(__file__).parents[2] / "docs/resume.md").read_text()
    table = page.split("<!-- files of a run -->")[1].split("<!--")[0]
    rows = [row.split("|")[1] for row in table.strip().splitlines()[2:]]
    endings = [name for row in rows for name in re.findall("`([^`]+)`", row)]
    assert sorted(endings) == sorted((SUFFIXES | OTHER_SUFFIXES).values())


def test_a_state_of_an_earlier_version_is_known_by_its_content(tmp_path):
    prefix = tmp_path / "nvt"
    former, present = tmp_path / "nvt.xml", tmp_path / "nvt.state.xml"
    former.write_text('<?xml version="1.0" ?>\n<System/>')  # of the user
    assert state_path(prefix) == present
    adopt_former_names(prefix)
    remove_output(prefix)
    assert former.exists() and check_output(prefix)["state"] == present
    former.write_text('<?xml version="1.0" ?>\n<State/>')
    assert state_path(prefix) == former
    with pytest.raises(FileExistsError, match=r"no output yet, found .*nvt\.xml;"):
        check_output(prefix)  # all that is left of a run
    check_output(prefix, overwrite=True)
    adopt_former_names(prefix)
    assert state_path(prefix) == present and not former.exists()
    former.write_bytes(present.read_bytes())
    remove_output(prefix)
    assert not former.exists() and not present.exists()
