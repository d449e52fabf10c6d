# SPDX-License-Identifier: MIT
"""Two-body tables: made once, kept by the hash of the program, in no System's XML."""

import copy
import logging
import os
import signal
import time

import numpy as np
import openmm
import pytest
from openmm_helpers import (
    context_of,
    energy_and_forces,
    lattice_waters,
    make_topology,
)

from openmm_allegro import AllegroPotential
from openmm_allegro.kernels.inference import kept_tables, table
from openmm_allegro.kernels.inference.folded import folded
from openmm_allegro.kernels.inference.pending import (
    completed_arrays,
    with_pending_table,
)
from openmm_allegro.plugin import tables

pytestmark = pytest.mark.small


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty folder in which each table is kept."""
    monkeypatch.setattr(kept_tables, "folder", lambda: tmp_path / "tables")
    monkeypatch.setattr(kept_tables, "KEPT_FROM", 0.0)
    return tmp_path / "tables"


def made(monkeypatch):
    """Tables that were computed from now on."""
    tables, fill = [], table.fill_table

    def counted(array, name, make):
        fill(array, name, lambda: (tables.append(name), make()))

    monkeypatch.setattr(table, "fill_table", counted)
    return tables


def test_a_table_is_kept_until_it_is_damaged(model, cache, monkeypatch):
    computed, program = made(monkeypatch), folded(model, "mixed")
    first, again = (table.with_table(program, 128) for _ in range(2))
    assert len(computed) == 1
    assert (first.weights == again.weights).all()
    table.with_table(program, 256)
    assert len(computed) == 2 and len(list(cache.glob("*.table"))) == 2
    for path in cache.glob("*.table"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    mended = table.with_table(program, 128)
    assert len(computed) == 3 and (mended.weights == first.weights).all()


def test_a_table_is_read_where_nothing_may_be_written(model, cache, monkeypatch):
    def refuse(*_):
        raise PermissionError("of another user")

    computed, program = made(monkeypatch), folded(model, "mixed")
    first = table.with_table(program, 128)
    monkeypatch.setattr(os, "utime", refuse)
    assert (table.with_table(program, 128).weights == first.weights).all()
    assert len(computed) == 1


def test_the_tables_that_were_used_last_stay(model, cache, monkeypatch):
    program = folded(model, "mixed")
    for intervals in (128, 256):
        table.with_table(program, intervals)
    first, second = sorted(cache.glob("*.table"), key=lambda p: p.stat().st_size)
    os.utime(second, (0, 0))  # the larger one was used long ago
    (cache / "x.table.1.partial").touch()
    os.utime(cache / "x.table.1.partial", (0, 0))  # of a process that was killed
    size = first.stat().st_size
    monkeypatch.setattr(kept_tables, "LIMIT", 6 * size)
    table.with_table(program, 512)
    assert first.exists() and not second.exists()
    assert len(list(cache.iterdir())) == 2


def test_the_choice_is_kept_and_said_again(model, cache, monkeypatch, caplog):
    programs = folded(model, "mixed"), folded(model, "double")
    choice = table._Choice(128, 1e-6, 2e-6, 3e-6, 4e-6, 1000)
    measured = []

    def measure(program, *_):
        measured.append(program)
        return choice, program

    monkeypatch.setattr(table, "_measure", measure)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            found = table.choose_intervals(*programs, model.config.elements)
            assert found == choice.intervals
    lines = [r.message for r in caplog.records if "two-body table of" in r.message]
    assert len(measured) == 1 and len(lines) == 2 and lines[0] == lines[1]
    (path,) = cache.glob("*.json")
    whole = path.read_text()
    os.utime(path, (0, 0))
    table.choose_intervals(*programs, model.config.elements)
    assert path.stat().st_mtime > 0  # it was used, and is not the first to go
    for damaged in ("", "{}", "[1]", whole[:-9], whole.replace("128", "129")):
        path.write_text(damaged)
        found = table.choose_intervals(*programs, model.config.elements)
        assert found == choice.intervals and path.read_text() == whole
    assert len(measured) == 6


def test_without_a_folder_a_table_is_made_each_time(model, cache, monkeypatch):
    cache.write_text("a file")
    computed, program = made(monkeypatch), folded(model, "mixed")
    for _ in range(2):
        table.with_table(program, 128)
    assert len(computed) == 2


def test_a_pending_table_of_other_intervals_is_refused(model):
    program = with_pending_table(folded(model, "mixed"), 129)
    with pytest.raises(ValueError, match="intervals, found 129"):
        completed_arrays(program)


def test_xml_holds_no_table_and_contexts_share_one(model, cache, monkeypatch):
    pytest.importorskip("torch")
    from openmm_allegro.potential import module

    symbols, positions, box = lattice_waters()
    topology = make_topology(symbols, box)
    monkeypatch.setattr(module, "choose_intervals", lambda *_: 128)
    system, exact = (
        AllegroPotential(model).create_system(
            topology, backend="pythonforce", two_body=kind
        )
        for kind in ("table", "exact")
    )
    texts = [openmm.XmlSerializer.serialize(one) for one in (system, exact)]
    assert len(texts[0]) < len(texts[1]) + 100
    computed = made(monkeypatch)
    contexts = [
        context_of(one, positions)
        for one in (
            system,
            copy.deepcopy(system),
            openmm.XmlSerializer.deserialize(texts[0]),
        )
    ]
    forces = []
    for context in contexts * 2:
        forces.append(context.getState(forces=True).getForces(asNumpy=True)._value)
    assert len(computed) == 1
    assert all((one == forces[0]).all() for one in forces)
    # As earlier versions wrote it: with the table among the weights.
    inside = table.with_table(folded(model, "mixed"), 128)
    monkeypatch.setattr(module, "with_pending_table", lambda *_: inside)
    former = AllegroPotential(model).create_system(
        topology, backend="pythonforce", two_body="table"
    )
    text = openmm.XmlSerializer.serialize(former)
    assert len(text) > len(texts[0]) + inside.weights.nbytes
    found = energy_and_forces(openmm.XmlSerializer.deserialize(text), positions)[1]
    assert (found == forces[0]).all()


def test_the_native_force_takes_the_table_that_was_kept(model, cache, monkeypatch):
    symbols, positions, box = lattice_waters()
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend="native", two_body="table"
    )
    computed = made(monkeypatch)
    expected = energy_and_forces(system, positions)
    assert len(computed) == 0 and list(cache.glob("*.table"))
    for path in cache.glob("*.table"):
        path.unlink()
    again = energy_and_forces(system, positions)
    assert len(computed) == 1
    assert expected[0] == again[0] and (expected[1] == again[1]).all()
    assert np.isfinite(expected[1]).all()


def test_an_interrupt_waits_for_the_table(model, cache, monkeypatch):
    """Raised among C++, it would be lost, and the table made again."""
    symbols, positions, box = lattice_waters()
    system = AllegroPotential(model).create_system(
        make_topology(symbols, box), backend="native", two_body="table"
    )
    fill, calls = tables.tabulate, []

    def interrupted(*arguments):
        calls.append(1)
        signal.raise_signal(signal.SIGINT)
        fill(*arguments)

    monkeypatch.setattr(tables, "tabulate", interrupted)
    # processes that a shell starts in the background ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            energy_and_forces(system, positions)
            for _ in range(100):
                time.sleep(0.05)
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [1]
