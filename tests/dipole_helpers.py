# SPDX-License-Identifier: MIT
"""A model of charges that stands in for a network, and files of dipoles."""

import numpy as np

from openmm_allegro.utils.charge_records import header, record_type


class StandIn:
    """Charges that depend on positions, with the sum that those at the start have."""

    is_charged, number_of_caps, number_of_models = True, 0, 1

    def __init__(self, start, strength=0.1):
        self.start, self.strength = np.asarray(start, dtype=float), strength
        self.particles = np.arange(len(start))

    def charges(self, positions, box=None):
        added = self.strength * np.sin(20 * positions).sum(axis=1)
        return self.start + added - added.mean()


def stand_in(monkeypatch, start, strength=0.1):
    """Let the models with charges of all Systems be a StandIn, which is returned."""
    made = StandIn(start, strength)
    where = "openmm_allegro.reporters.charges"
    monkeypatch.setattr(f"{where}.charged_computation", lambda context: made)
    monkeypatch.setattr(f"{where}.computations", lambda system: [made])
    return made


def with_charges(system, charges):
    """Add a NonbondedForce with charges."""
    import openmm

    force = openmm.NonbondedForce()
    for charge in charges:
        force.addParticle(charge, 0.1, 0.0)
    system.addForce(force)
    return system


def write_dipoles(path, times, dipoles, currents=None, charges=None, volume=8.0):
    """Write a table as DipoleReporter does, of times in ps."""
    currents = np.zeros_like(dipoles) if currents is None else currents
    charges = {"H": 0.4, "O": -0.8} if charges is None else charges
    names = ["Step", "Time (ps)"]
    names += [f"Dipole {x} (e nm)" for x in "XYZ"]
    names += [f"Current {x} (e nm/ps)" for x in "XYZ"]
    names += [f"Charge of {symbol} (e)" for symbol in charges]
    columns = [np.round(1000 * times), times, *dipoles.T, *currents.T]
    columns += [np.full(len(times), charge) for charge in charges.values()]
    if volume is not None:
        names.append("Box Volume (nm^3)")
        columns.append(np.full(len(times), volume))
    head = "#" + ",".join(f'"{name}"' for name in names)
    lines = [",".join(map(repr, row)) for row in np.stack(columns, axis=1).tolist()]
    path.write_text("\n".join([head, *lines]) + "\n")


def write_charges(path, times, charges):
    """Write charges (n_frames, n_atoms) as ChargeReporter does, of times in ps."""
    records = np.zeros(len(times), dtype=record_type(charges.shape[1]))
    records["step"], records["time"] = np.round(1000 * times), times
    records["charges"] = charges
    path.write_bytes(header(charges.shape[1]) + records.tobytes())
