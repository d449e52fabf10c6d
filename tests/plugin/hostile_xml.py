# SPDX-License-Identifier: MIT
"""Read damaged native forces, run what is accepted, and print what came of it.

    python tests/plugin/hostile_xml.py FORCE.xml NUMBER

runs in a process of its own, which a mistake would end. NUMBER is that of random
changes, beside those of each attribute.
"""

import base64
import json
import os
import random
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openmm

from openmm_allegro.plugin.library import plugin

TEXTS = ("", "nan", "inf", "-1", "0", "1", "2", "1e300", "-1e300", "99999999999", "x")
NUMBERS = (-(2**62), -(2**31), -1, 0, 1, 7, 1000, 2**24, 2**31, 2**62)
REALS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e9, 1e300)
ARRAYS = {
    "particles": "<i8",
    "types": "<i8",
    "integers": "<i8",
    "constants": "<f8",
    "caps": "<f8",
    "start": "<f8",  # of models with charges alone
    "points": "<f8",  # of those among a force field's charges alone
}
# Of these no other text is a force.
NEEDED = ("type", "version", "particles", "integers", "constants", "weights", "types")
LARGEST_SPACE = 8 * 2**30  # bytes


class Change(NamedTuple):
    """Text in which something was changed, and whether it must be refused."""

    about: str
    text: str
    must_fail: bool


def changes(text: str, number: int) -> Iterator[Change]:
    """Change one thing at a time."""
    yield from changed_elements(text)
    for name, value in re.findall(r'(\w+)="([^"]*)"', text):
        for other in TEXTS:
            if other != value:
                yield Change(f"{name} = {other}", with_value(text, name, other), False)
        without = re.sub(rf' {name}="[^"]*"', "", text, count=1)
        yield Change(f"no {name}", without, name in NEEDED)
    for name in ("weights", *ARRAYS):
        if f' {name}="' in text:
            yield from changed_base64(text, name)
    for name, kind in ARRAYS.items():
        if f' {name}="' in text:
            yield from changed_numbers(text, name, kind)
    generator = random.Random(0)
    for _ in range(number):
        yield random_change(text, generator)


def changed_elements(text: str) -> Iterator[Change]:
    model = re.search("<Model0.*?(/>|</Model0>)", text)[0]
    yield Change("no model", text.replace(model, ""), True)
    yield Change("two models", text.replace(model, model + model), False)
    second = model.replace("Model0", "Model1")
    yield Change("more models", text.replace(model, model + second), True)
    two = with_value(text.replace(model, model + second), "models", "2")
    yield Change("a committee", two, False)
    shorter = with_value(second, "types", "")
    other = with_value(text.replace(model, model + shorter), "models", "2")
    yield Change("a committee of others", other, True)
    for depth in (1, 50):
        inside = model.replace("/>", ">").replace("</Model0>", "")
        inside += "<A>" * depth + "</A>" * depth + "</Model0>"
        yield Change(f"{depth} in each other", text.replace(model, inside), False)
    for end in range(0, len(text) - 20, len(text) // 50):
        yield Change(f"the first {end} characters", text[:end], True)


def changed_base64(text: str, name: str) -> Iterator[Change]:
    value = value_of(text, name)
    for about, other in (
        ("half", value[: len(value) // 8 * 4]),
        ("twice", value + value),
        ("without an end", value[:-1]),
        ("with a space", value[:8] + " " + value[9:]),
        ("with a sign", value[:8] + "-" + value[9:]),
        ("with padding inside", value[:8] + "=" + value[9:]),
        ("padding alone", "===="),
        ("one byte", "AA=="),
    ):
        must_fail = bool(value) and name not in ("caps", "points")
        yield Change(f"{name} {about}", with_value(text, name, other), must_fail)


def changed_numbers(text: str, name: str, kind: str) -> Iterator[Change]:
    values = np.frombuffer(base64.b64decode(value_of(text, name)), kind)
    numbers = REALS if kind == "<f8" else NUMBERS
    indices = [*range(len(values))[:60], *range(len(values))[60::7]]
    for index in indices:
        for number in numbers:
            changed = values.copy()
            changed[index] = number
            outside = name == "types" and not 0 <= number < 3
            outside = outside or (name == "particles" and number < 0)
            new = with_array(text, name, changed)
            yield Change(f"{name}[{index}] = {number}", new, outside)
    if name == "particles":
        yield Change("all one", with_array(text, name, values * 0), True)
        yield Change("backwards", with_array(text, name, values[::-1]), False)
    elif len(values):
        generator = np.random.default_rng(0)
        new = with_array(text, name, generator.permutation(values))
        yield Change(f"{name} in another order", new, False)


def random_change(text: str, generator: random.Random) -> Change:
    """Change a few numbers of an array, or characters of the text."""
    if generator.random() < 0.3:
        place = generator.randrange(len(text))
        size = generator.choice((0, 1, 1, 4, 40))
        new = "".join(generator.choices('A/<>"&= 19', k=generator.choice((0, 1, 4))))
        return Change(
            f"text at {place}", text[:place] + new + text[place + size :], False
        )
    name = generator.choice(("integers", "integers", "integers", "constants", "types"))
    kind = ARRAYS[name]
    values = np.frombuffer(base64.b64decode(value_of(text, name)), kind).copy()
    numbers = REALS if kind == "<f8" else (*NUMBERS, *values[:40].tolist())
    for _ in range(generator.choice((1, 2, 3))):
        values[generator.randrange(len(values))] = generator.choice(numbers)
    return Change(f"{name} {values.tolist()}", with_array(text, name, values), False)


def value_of(text: str, name: str) -> str:
    return re.search(rf'\b{name}="([^"]*)"', text)[1]


def with_value(text: str, name: str, value: str) -> str:
    return re.sub(rf'\b{name}="[^"]*"', f'{name}="{value}"', text, count=1)


def with_array(text: str, name: str, values: np.ndarray) -> str:
    return with_value(text, name, base64.b64encode(values.tobytes()).decode())


def outcome(text: str) -> str:
    """Message of what refuses a text, or of what its force does."""
    try:
        force = openmm.XmlSerializer.deserialize(text)
    except (openmm.OpenMMException, ValueError) as error:
        return f"refused: {error}"
    if not isinstance(force, openmm.Force):
        return "accepted: another object"
    try:
        system = openmm.System()
        for _ in range(6):
            system.addParticle(1.0)
        system.addForce(force)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(0.12 * np.array(list(np.ndindex(3, 2, 1)), dtype=float))
        context.getState(energy=True, forces=True)
    except openmm.OpenMMException as error:
        return f"accepted: {error}"
    return "accepted"


def peak_memory() -> int:
    """Largest resident memory of the process so far, bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    plugin()
    given = Path(sys.argv[1]).read_text().partition("?>")[2]
    assert outcome(given) == "accepted"
    if not {"ASAN_OPTIONS", "TSAN_OPTIONS"} & {*os.environ}:  # which reserve more
        resource.setrlimit(resource.RLIMIT_AS, (LARGEST_SPACE, LARGEST_SPACE))
    before = peak_memory()
    counts = {"changes": 0, "refused": 0}
    unclear, wrong = [], []
    for change in changes(given, int(sys.argv[2])):
        print(change.about[:2000], file=sys.stderr)
        result = outcome(change.text)
        counts["changes"] += 1
        counts["refused"] += result.startswith("refused")
        if change.must_fail and not result.startswith("refused"):
            wrong.append(change.about)
        if "more memory" in result or "bad_alloc" in result:
            unclear.append(f"{change.about}: {result}")
    memory = peak_memory() - before
    print(json.dumps({**counts, "wrong": wrong, "unclear": unclear, "memory": memory}))
