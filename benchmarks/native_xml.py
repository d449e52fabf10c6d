# SPDX-License-Identifier: MIT
"""Systems with a native force, written by one version of OpenMM and read by others.

For native.py, which gives folders with other versions than the installed one; each
version is imported in processes of its own.
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

from worker import answer_of

SYSTEM = Path(__file__).parents[1] / "systems" / "nacl_aq"


def exchange(folders: list[str | None]) -> dict:
    """Write with each OpenMM, read with all; None is the installed one."""
    with tempfile.TemporaryDirectory() as folder:
        written = {}
        for number, openmm_folder in enumerate(folders):
            path = Path(folder) / f"{number}.xml"
            result = _process("write", path, openmm_folder)
            written[result.get("openmm", str(openmm_folder))] = result | {"path": path}
        rows = {}
        for writer, result in written.items():
            if "failed" in result:
                rows[writer] = result["failed"]
                continue
            for openmm_folder in folders:
                read = _process("read", result["path"], openmm_folder)
                reader = read.get("openmm", str(openmm_folder))
                rows[f"{writer} read by {reader}"] = read.get("failed") or {
                    "energy_differs_by": read["energy"] - result["energy"],
                    "forces": "the same bytes"
                    if read["forces"] == result["forces"]
                    else "other bytes",
                }
    return rows


def _process(task: str, path: Path, openmm_folder: str | None) -> dict:
    before = [openmm_folder] if openmm_folder else []
    places = [*before, os.environ.get("PYTHONPATH", "")]
    root = str(Path(__file__).parents[1])
    path_of_modules = os.pathsep.join([*places, root])
    command = [sys.executable, __file__, task, str(path)]
    return answer_of(command, {"PYTHONPATH": path_of_modules})


def main() -> None:
    """Write a System's XML or read it; print its energy and a hash of its forces."""
    import openmm
    from openmm import app

    task, path = sys.argv[1:]
    pdb = app.PDBFile(str(SYSTEM / "nacl_aq.pdb"))
    if task == "write":
        from openmm_allegro import AllegroPotential

        potential = AllegroPotential(SYSTEM / "nacl_aq.safetensors")
        system = potential.create_system(pdb.topology, backend="native")
        Path(path).write_text(openmm.XmlSerializer.serialize(system))
    else:
        import openmm_allegro  # noqa: F401 (OpenMM then knows the force)

        system = openmm.XmlSerializer.deserialize(Path(path).read_text())
    context = openmm.Context(
        system,
        openmm.VerletIntegrator(0.0005),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(pdb.positions)
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True)._value
    content = {
        "openmm": openmm.__version__,
        "energy": state.getPotentialEnergy()._value,
        "forces": hashlib.sha256(forces.tobytes()).hexdigest(),
    }
    print(json.dumps(content))


if __name__ == "__main__":
    main()
