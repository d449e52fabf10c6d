# SPDX-License-Identifier: MIT
"""A quantity that only declares its section is on the page."""

from dataclasses import dataclass

import pytest

mdtraj = pytest.importorskip("mdtraj")

from report_helpers import (  # noqa: E402
    Page,
    salt_water,
    walk,
    write_run,
    write_velocities,
)

from openmm_allegro.measure.measurement import Measurement, Row  # noqa: E402
from openmm_allegro.measure.quantities import QUANTITIES  # noqa: E402
from openmm_allegro.measure.quantity import Quantity, Settings  # noqa: E402
from openmm_allegro.report import report  # noqa: E402
from openmm_allegro.runs.energies import equilibrated  # noqa: E402
from openmm_allegro.runs.run import read_run  # noqa: E402

pytestmark = pytest.mark.usefixtures("undrawn", "read_here")


@dataclass(frozen=True)
class FramesSettings(Settings):
    """No settings."""


def measure_frames(source, subjects, settings):
    """Count frames, in many rows."""
    count = sum(chunk.n_frames for chunk in source.frames())
    rows = [Row(f"row {i}", "frames", float(count), None, "") for i in range(35)]
    return Measurement(rows, {}, {}, notes=["A remark <here>."])


def measure_nothing(source, subjects, settings):
    """Find that the data does not allow it."""
    raise ValueError("expected more, found less")


@pytest.mark.parametrize("section", ["structure", "kinetics", "vibrations"])
def test_a_quantity_that_declares_its_section(tmp_path, monkeypatch, section):
    made = {"frames": measure_frames, "nothing": measure_nothing}
    for name, compute in made.items():
        about = f"{name} of a run, counted; and more"
        quantity = Quantity(
            name, compute, FramesSettings, about, section=section, curves=False
        )
        monkeypatch.setitem(QUANTITIES, name, quantity)
    prefix = write_run(tmp_path / "nvt", walk(salt_water(6, 2), 40))
    start = 0
    if section == "vibrations":
        run = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb")
        write_velocities(prefix.with_suffix(".h5"), run.topology, 0.1 * run.xyz, 0.5)
        start = None
    text = Page(report(prefix, start=start).read_text()).text
    used = mdtraj.load(f"{prefix}.xtc", top=f"{prefix}.pdb").time
    used = used[used >= (equilibrated(read_run(prefix)).time if start is None else 0)]
    assert "Frames of a run" in text and "counted" not in text
    assert f"row 29 frames {len(used)}" in " ".join(text.split())
    assert "row 30" not in text and "analyze frames prints 5 more rows." in text
    assert "A remark <here>." in text
    assert "Not computed: expected more, found less." in text
