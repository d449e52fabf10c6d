# SPDX-License-Identifier: MIT
"""Runs as `run` writes them, made of random walks, and a parser that checks pages."""

import json
from html.parser import HTMLParser
from pathlib import Path

import mdtraj
import numpy as np
from mdtraj.formats import HDF5TrajectoryFile
from scipy.constants import gas_constant

WATER = np.array([[0.0, 0.0, 0.0], [0.0957, 0.0, 0.0], [-0.024, 0.0927, 0.0]])
CUBIC = np.diag([2.0, 2.0, 2.0])
_VOID = {"meta", "img", "input", "br", "link", "hr"}


def salt_water(n_waters=12, n_ions=4):
    """mdtraj topology of waters, sodium and chloride."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(n_waters):
        residue = topology.add_residue("HOH", chain)
        atoms = [
            topology.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        ]
        topology.add_bond(atoms[0], atoms[1])
        topology.add_bond(atoms[0], atoms[2])
    for symbol in ["Na"] * n_ions + ["Cl"] * n_ions:
        residue = topology.add_residue(symbol.upper(), chain)
        element = mdtraj.element.get_by_symbol(symbol)
        topology.add_atom(symbol.upper(), element, residue)
    return topology


def walk(topology, n_frames, cells=CUBIC, *, time_step=0.5, step=0.04, seed=0):
    """Trajectory of molecules that walk at random without turning, not wrapped."""
    rng = np.random.default_rng(seed)
    cells = np.broadcast_to(cells, (n_frames, 3, 3))
    residues = list(topology.residues)
    steps = rng.normal(size=(n_frames, len(residues), 3)) * step
    steps[0] = rng.random((len(residues), 3)) @ cells[0]
    centers = np.cumsum(steps, axis=0)
    positions = np.concatenate(
        [
            centers[:, [i]] + (WATER if residue.n_atoms == 3 else np.zeros((1, 3)))
            for i, residue in enumerate(residues)
        ],
        axis=1,
    )
    trajectory = mdtraj.Trajectory(
        positions.astype(np.float32), topology, time=np.arange(n_frames) * time_step
    )
    trajectory.unitcell_vectors = cells.astype(np.float32)
    return trajectory


def lattice(topology, n_frames, *, spacing=0.6, spread=0.05, time_step=0.5, seed=0):
    """Trajectory of molecules about the sites of a cubic lattice, with shells."""
    rng = np.random.default_rng(seed)
    residues = list(topology.residues)
    n = round(len(residues) ** (1 / 3))
    assert n**3 == len(residues)
    sites = spacing * np.stack(np.meshgrid(*[np.arange(n)] * 3), -1).reshape(-1, 3)
    sites = rng.permutation(sites)
    centers = sites + spread * rng.normal(size=(n_frames, len(residues), 3))
    trajectory = walk(topology, n_frames, n * spacing * np.eye(3), time_step=time_step)
    first = [residue.atom(0).index for residue in residues]
    moved = centers - trajectory.xyz[:, first]
    sizes = [residue.n_atoms for residue in residues]
    trajectory.xyz = trajectory.xyz + np.repeat(moved, sizes, axis=1).astype(np.float32)
    return trajectory


def write_run(prefix, trajectory=None, *, rows=200, temperature=300.0, **record):
    """Write the files of a run; `record` overrides what its record says."""
    n_atoms = 44 if trajectory is None else trajectory.n_atoms
    steps = 100 * rows
    content = {
        "package_version": "0.1.0",
        "openmm_version": "8.5.2",
        "platform": "CPU",
        "forces": ["Allegro"],
        "atoms": n_atoms,
        "ensemble": "nvt",
        "integrator": "langevin-middle",
        "steps": steps,
        "completed_steps": steps,
        "temperature_k": temperature,
        "timestep_fs": 1.0,
        "report_interval": 100,
        "ns_per_day": 1.25,
        "seed": 3,
        **record,
    }
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_suffix(".json").write_text(json.dumps(content))
    rng = np.random.default_rng(1)
    freedom = 3 * n_atoms - 3  # the temperature varies as in the canonical ensemble
    kelvin = 300 * (1 + np.sqrt(2 / freedom) * rng.normal(size=rows))
    kinetic = 0.5e-3 * gas_constant * freedom * kelvin
    potential = -1e4 + 20 * rng.normal(size=rows)
    names = (
        '#"Step","Time (ps)","Potential Energy (kJ/mole)","Kinetic Energy (kJ/mole)",'
        '"Total Energy (kJ/mole)","Temperature (K)","Speed (ns/day)"'
    )
    lines = [
        f"{100 * i},{0.1 * i},{v},{k},{v + k},{t},1.2"
        for i, (v, k, t) in enumerate(zip(potential, kinetic, kelvin, strict=True), 1)
    ]
    prefix.with_suffix(".csv").write_text("\n".join([names, *lines]) + "\n")
    if trajectory is not None:
        trajectory[0].save(str(prefix.with_suffix(".pdb")))
        trajectory.save(str(prefix.with_suffix(".xtc")))
    return prefix


def write_velocities(path, topology, velocities, time_step, start=0.0):
    """HDF5 file of mdtraj's with velocities (n_frames, n_atoms, 3) in nm/ps."""
    n_frames = len(velocities)
    with HDF5TrajectoryFile(str(path), "w") as file:
        file.topology = topology
        file.write(
            coordinates=np.zeros(velocities.shape, dtype=np.float32),
            time=start + np.arange(n_frames) * time_step,
            cell_lengths=np.full((n_frames, 3), 2.0),
            cell_angles=np.full((n_frames, 3), 90.0),
            velocities=velocities.astype(np.float32),
        )


def not_rendered(figure, path, **options):
    """Stand for ``Figure.savefig`` where only the words of a page matter."""
    Path(path).write_text("<svg/>")


class Page(HTMLParser):
    """A page that is read, or AssertionError where its elements are not nested.

    Attributes
    ----------
    text : str
        What a reader sees, with single spaces.
    elements : list of (str, dict)
        Names and attributes.
    scripts, styles : list of str
        Their contents.
    """

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.pieces, self.elements = [], [], []
        self.scripts, self.styles = [], []
        self.feed(source)
        self.close()
        assert not self.open, f"not closed: {self.open}"
        self.text = " ".join("".join(self.pieces).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.pieces.append(" ")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> in {self.open}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] == "style":
            self.styles.append(data)
        else:
            self.pieces.append(data)
