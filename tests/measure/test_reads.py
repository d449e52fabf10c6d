# SPDX-License-Identifier: MIT
"""Number of times a trajectory is read, and the frames that are taken."""

import json
from pathlib import Path

import numpy as np
import pytest

mdtraj = pytest.importorskip("mdtraj")

from report_helpers import lattice, salt_water, write_run  # noqa: E402

from openmm_allegro.cli.main import main  # noqa: E402
from openmm_allegro.report import report  # noqa: E402
from openmm_allegro.runs import frames  # noqa: E402
from openmm_allegro.runs.run import read_run  # noqa: E402
from openmm_allegro.runs.source import Source  # noqa: E402
from openmm_allegro.runs.window import Window  # noqa: E402

pytestmark = pytest.mark.usefixtures("read_here")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return write_run(folder / "nvt", lattice(salt_water(21, 3), 60))


@pytest.fixture
def reads(monkeypatch):
    """Names of the trajectories that were read, as often as they were."""
    names, read_chunks = [], frames.read_chunks

    def counting(path, *arguments, **options):
        names.append(Path(path).name)
        return read_chunks(path, *arguments, **options)

    monkeypatch.setattr(frames, "read_chunks", counting)
    return names


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["Na-O", "Cl-O", "Na-Cl"],
        ["Na-O", "--shell", "0.7"],
        ["Na-O", "Cl-O", "--shell", "0.7,0.8", "--potential", "--r-max", "0.85"],
        ["elements", "--start", "5", "--stride", "2"],
    ],
)
def test_rdf_reads_each_trajectory_once(options, prefix, reads, tmp_path):
    output = [
        *("--plot", str(tmp_path / "g.png"), "--json", str(tmp_path / "g.json")),
        *("--csv", str(tmp_path / "g.csv")),
    ]
    assert main(["analyze", "rdf", str(prefix), *options, *output]) == 0
    assert reads == ["nvt.xtc"]


def test_rdf_reads_once_what_is_too_large_to_be_kept(prefix, reads, monkeypatch):
    monkeypatch.setattr(frames, "_KEPT", 0)
    assert main(["analyze", "rdf", str(prefix), "--shell", "0.7"]) == 0
    assert reads == ["nvt.xtc"]


def test_a_cell_that_shrinks_ends_the_distribution(tmp_path, reads):
    """Half the smallest cell is the end, though the first frames allow more."""
    trajectory = lattice(salt_water(21, 3), 150)
    trajectory.unitcell_lengths *= np.linspace(1, 0.98, 150)[:, None]
    prefix = write_run(tmp_path / "npt", trajectory, ensemble="npt")
    out = tmp_path / "g.json"
    command = ["analyze", "rdf", str(prefix), "Na-O", "--start", "0"]
    assert main([*command, "--json", str(out)]) == 0
    r = json.loads(out.read_text())["results"]["Na-O"]["distribution"]["r"]
    assert r[-1] == pytest.approx(0.9 * 0.98, abs=0.005)
    assert reads == ["npt.xtc"]


def test_rdf_of_several_runs_reads_each_once(prefix, reads, tmp_path):
    other = write_run(tmp_path / "other", lattice(salt_water(21, 3), 20, seed=1))
    main(["analyze", "rdf", str(prefix), str(other), "Na-O", "--shell", "0.7"])
    assert sorted(reads) == ["nvt.xtc", "other.xtc"]


def test_shells_of_other_quantities_cost_no_further_reading(prefix, reads):
    for quantity in ("angles", "speciation", "survival"):
        reads.clear()
        assert main(["analyze", quantity, str(prefix)]) == 0
        assert reads == ["nvt.xtc"]


def test_a_page_reads_the_trajectory_once_for_each_choice_of_frames(
    prefix, reads, undrawn
):
    """Those from the start on, and for bonds those before it too."""
    report(prefix, prefix.with_name("page.html"), overwrite=True)
    assert len(reads) <= 3


def test_frames_begin_where_the_energies_are_equilibrated(prefix, capsys, tmp_path):
    out = tmp_path / "g.json"
    options = ["Na-O", "--json", str(out), "--force"]
    first = {}
    for start in ([], ["--start", "0"], ["--start", "7"]):
        assert main(["analyze", "rdf", str(prefix), *options, *start]) == 0
        content = json.loads(out.read_text())
        first[tuple(start)] = content["frames"][0]["first_time_ps"]
        assert ("--start 0 takes all" in capsys.readouterr().out) is not bool(start)
    # The table covers 20 ps, of which at least a tenth is left out.
    assert first == {
        (): pytest.approx(2.5, abs=0.5),
        ("--start", "0"): 0,
        ("--start", "7"): 7,
    }
    alone = [f"{prefix}.xtc", f"{prefix}.pdb"]
    assert main(["analyze", "rdf", *alone, *options]) == 0
    assert json.loads(out.read_text())["frames"][0]["first_time_ps"] == 0


def test_large_systems_are_thinned_unless_a_stride_is_asked_for(prefix):
    source = Source([read_run(prefix)], Window(start=5))
    atoms = source.topology.n_atoms
    some = source.frames(positions=10 * atoms, least=5)
    taken = np.concatenate([chunk.time for chunk in some])
    assert some.stride == 5 and len(taken) == some.n_frames == 10
    np.testing.assert_allclose(np.diff(taken), 2.5)
    assert "Every 5th frame was taken, 10 in all" in " ".join(source.notes)
    asked = Source([read_run(prefix)], Window(start=5, stride=2))
    assert sum(len(c) for c in asked.frames(positions=10 * atoms)) == 25
    assert not asked.notes
