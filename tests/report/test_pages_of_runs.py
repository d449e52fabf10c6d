# SPDX-License-Identifier: MIT
"""The page of protocols, of unfinished and odd runs, and of parallel tempering."""

import json
import re

import pytest

mdtraj = pytest.importorskip("mdtraj")

from report_helpers import (  # noqa: E402
    Page,
    salt_water,
    walk,
    write_run,
)

from openmm_allegro.report import details, report  # noqa: E402
from openmm_allegro.report.production import (  # noqa: E402
    make_production,
)
from openmm_allegro.runs.energies import (  # noqa: E402
    degrees_of_freedom,
)
from openmm_allegro.runs.run import read_run  # noqa: E402

pytestmark = pytest.mark.usefixtures("undrawn", "read_here")


def test_protocol_without_trajectory(tmp_path):
    """Unfinished, with events, a model that is an attack, and no frames at all."""
    attack = '"><script>alert(1)</script>'
    write_run(tmp_path / "1-heat", temperature=[10.0, 300.0], model=attack)
    write_run(
        tmp_path / "2-hold",
        completed_steps=5000,
        model=attack,
        model_sha256="00",
        ml_region="22 atoms: 0-21",
    )
    stages = {"stages": ["1-heat", "2-hold", "3-produce"]}
    (tmp_path / "protocol.json").write_text(json.dumps(stages))
    (tmp_path / "2-hold.events.csv").write_text(
        "step,time_ps,watchdog,action,message\n4000,4.0,contacts,warn,<b>O-H & H</b>\n"
    )
    path = report(tmp_path)
    assert path == tmp_path / "report.html"
    source = path.read_text()
    page = Page(source)
    assert "<script>alert" not in source and "<b>O-H" not in source
    assert "Model's region" in page.text and "22 atoms: 0-21" in page.text
    assert attack in page.text and "<b>O-H & H</b>" in page.text
    assert "10 → 300" in page.text
    assert "2-hold is unfinished: 5,000 of 20,000 steps" in page.text
    assert "Events that watchdogs reported: 1" in page.text
    assert "Not computed: expected a trajectory" in page.text
    assert any("Temperature" in a["alt"] for t, a in page.elements if t == "img")


def test_protocol_analyses_the_last_stage_with_a_trajectory_or_the_one_asked(tmp_path):
    trajectory = walk(salt_water(3, 1), 12)
    write_run(tmp_path / "a", trajectory)
    write_run(tmp_path / "b", trajectory, ensemble="nve")
    write_run(tmp_path / "c", rows=5)
    (tmp_path / "protocol.json").write_text(json.dumps({"stages": ["a", "b", "c"]}))
    page = Page(report(tmp_path).read_text())
    assert "Structure and kinetics are of b" in page.text
    assert "drift of the total energy" in page.text
    assert "expected at least 20 frames, found" in page.text
    page = Page(report(tmp_path, overwrite=True, stage="a").read_text())
    assert "Structure and kinetics are of a" in page.text
    with pytest.raises(ValueError, match="expected a stage of a, b, c, found 'd'"):
        report(tmp_path, overwrite=True, stage="d")


def test_warnings(tmp_path):
    trajectory = walk(salt_water(3, 1), 30, step=0.001)
    trajectory.xyz[20:, 1] += [0.15, 0.0, 0.0]  # a bond breaks
    prefix = write_run(tmp_path / "hot", trajectory, temperature=310.0)
    page = Page(report(prefix, start=0.0).read_text())
    assert re.search(
        r"mean temperature of hot, .* is .* errors from the 310 K", page.text
    )
    assert "Broken bonds of the topology: 1" in page.text
    assert "Too short for diffusion" in page.text


def test_last_stage_without_a_frame_is_not_the_one_analysed(tmp_path):
    """Killed before its first frame, or a minimisation: empty files."""
    write_run(tmp_path / "a", walk(salt_water(3, 1), 12))
    write_run(tmp_path / "b", walk(salt_water(3, 1), 2), completed_steps=0)
    (tmp_path / "b.xtc").write_bytes(b"")
    header = (tmp_path / "b.csv").read_text().splitlines()[0]
    (tmp_path / "b.csv").write_text(header + "\n")
    (tmp_path / "protocol.json").write_text(json.dumps({"stages": ["a", "b"]}))
    page = Page(report(tmp_path).read_text())
    assert "Structure and kinetics are of a" in page.text
    page = Page(report(tmp_path / "b").read_text())
    assert re.search(r"Not computed: expected a trajectory.* no frames in", page.text)


def test_records_that_lack_values_or_hold_odd_ones(tmp_path):
    """A null is a missing value; a word where a number belongs is an error."""
    prefix = write_run(tmp_path / "nvt", stopped="full disk", finished=False)
    path = prefix.with_suffix(".json")
    content = json.loads(path.read_text())
    assert "nvt was stopped: full disk" in Page(report(prefix).read_text()).text
    path.write_text(json.dumps(dict.fromkeys(content)))
    empty = Page(report(prefix, overwrite=True).read_text()).text
    path.write_text("{}")
    assert Page(report(prefix, overwrite=True).read_text()).text == empty
    assert "nan" not in empty and "0 of 0" not in empty
    for odd in ({"timestep_fs": "1"}, {"steps": [1]}, {"temperature_k": ["hot"]}):
        path.write_text(json.dumps(content | odd))
        with pytest.raises(ValueError, match=f"as {next(iter(odd))} in .*nvt.json"):
            report(prefix, overwrite=True)


def test_parallel_tempering_has_exchanges_and_no_kinetics(tmp_path):
    """Frames of one temperature, put together from replicas, jump in time."""
    prefix = write_run(
        tmp_path / "cold",
        walk(salt_water(3, 1), 30),
        method="parallel-tempering",
        temperatures_k=[300.0, 330.5],
    )
    prefix.with_suffix(".csv").unlink()
    page = Page(report(prefix).read_text()).text
    assert "300, 330.5 K" in page and "exchanges.csv, which is written when" in page
    assert "time has jumps" in page and "√MSD" not in page
    (tmp_path / "cold.exchanges.csv").write_text("lower (K),replica\n300.0,0\n,1\n")
    page = Page(report(prefix, overwrite=True).read_text()).text
    assert "Neighbours and replicas lower (K) replica 300.0 0" in page


def test_the_card_has_notes_and_no_bookkeeping(tmp_path):
    record = {"stochastic_thermostat": True, "checkpoint_step": 7, "finished": True}
    record |= {"velocity_interval": 0}
    notes = {"no_periodic": False, "barostat_interval": 25, "dipole_interval": 0}
    notes |= {"two_body": "exact", "backend_reason": "native, as asked for"}
    run = read_run(write_run(tmp_path / "nvt", **record, **notes))
    rows = dict(details.details(run, make_production(run, tmp_path)))
    assert (rows["Periodic images"], rows["Volume moves every"]) == ("", "25 steps")
    assert rows["Reason for the backend"] == "native, as asked for"
    assert rows["Two-body terms"] == "exact" and "Dipoles every" not in rows
    assert rows["Velocities every"] == ""
    assert (rows["Seed"], rows["Time step"]) == (3, "1 fs")
    hidden = {details.named(key, "")[0].capitalize() for key in record}
    assert not hidden & set(rows)
    assert not {"Timestep fs", "Completed steps"} & set(rows)


def test_csv_cut_short_is_read_up_to_there(tmp_path):
    prefix = write_run(tmp_path / "nvt", rows=20)
    path = prefix.with_suffix(".csv")
    path.write_text(path.read_text()[:-25])
    table = read_run(prefix).table
    assert len(table["time"]) == 19
    assert degrees_of_freedom(table) == 3 * 44 - 3


def test_a_topology_that_does_not_tell_elements(tmp_path):
    """A run of another's making: the page asks, and says in its command what it is."""
    write_run(tmp_path / "x", walk(salt_water(3, 1), 12))
    path = tmp_path / "x.pdb"
    lines = [
        line[:76].replace(" NA ", " N1 ") if line.startswith("ATOM") else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"x\.pdb: .*found names alone for 1 of them"):
        report(tmp_path / "x")
    page = report(tmp_path / "x", elements={"N1": "Na"}).read_text()
    assert "--elements N1=Na" in page and "names alone" not in page
