# SPDX-License-Identifier: MIT
"""One compiled plugin serves several versions of OpenMM, and they read each other.

``OTHER_OPENMM`` names folders of others with a colon between them, each made by
``pip install --target FOLDER openmm==VERSION``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import STORED

HERE = Path(__file__).parent
OTHERS = [folder for folder in os.environ.get("OTHER_OPENMM", "").split(":") if folder]
CODE = """
import json, sys
import openmm
from openmm_helpers import context_of, evaluate, lattice_waters, make_topology
from openmm_allegro import AllegroPotential, load_model
from openmm_allegro.plugin.library import plugin
symbols, positions, box = lattice_waters()
if sys.argv[1] == "write":
    potential = AllegroPotential(load_model(sys.argv[3]))
    system = potential.create_system(make_topology(symbols, box), backend="native")
    system.getForce(0).setName("name <&>")
    open(sys.argv[2], "w").write(openmm.XmlSerializer.serialize(system))
loaded = plugin()
system = openmm.XmlSerializer.deserialize(open(sys.argv[2]).read())
copied = openmm.XmlSerializer.clone(system)
energy, forces = evaluate(context_of(copied, positions))
text = openmm.XmlSerializer.serialize(copied.getForce(0))
result = [openmm.__version__, loaded._name, copied.getForce(0).getName(), energy]
print(json.dumps([*result, forces.tolist(), text]))
"""


def run(folder, *arguments):
    path = [folder, str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not OTHERS, reason="OTHER_OPENMM names no other OpenMM")
def test_versions_read_what_others_write(tmp_path):
    model = STORED / "water5.safetensors"
    folders, results = ["", *OTHERS], {}
    for writer in folders:
        xml = tmp_path / f"{len(results)}.xml"
        results[writer, writer] = run(writer, "write", xml, model)
        for reader in folders:
            results[writer, reader] = run(reader, "read", xml)
    assert len({result[0] for result in results.values()}) == len(folders)
    first = results["", ""]
    for result in results.values():
        assert result[1:] == first[1:]
