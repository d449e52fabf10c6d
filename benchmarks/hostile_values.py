# SPDX-License-Identifier: MIT
"""Values, damage and arguments that no good file or user would give."""

import datetime
import random
import re
import struct
from collections.abc import Iterator
from typing import Any

# In the place of a number in a text.
NUMBERS = ["nan", "inf", "-inf", "1e400", "-1e30", "1e-400", "abc", "", "*", "--1"]
NUMBERS += ["9" * 30, "1,5", "0x1F", "1.2.3", "٣.١", "1e", "+-1", "\0", "1\n2"]
# In the place of a word.
WORDS = ["", "X", "Zz", "Uuo", "H" * 5000, "\n", "\0", "é", "\udcff", "<a>", "..", "1"]


def values_of(rng: random.Random, plain: bool = False) -> list[Any]:
    """Values of all types; plain ones without dates, for JSON."""
    values = [True, False, 0, 1, -1, rng.randrange(2, 100), 2**31, -(2**63), 10**40]
    values += [0.0, -0.5, rng.uniform(0, 10), 1e-320, 1e308, float("nan"), float("inf")]
    values += ["", "1", "H", "npt", "a\nb", "\0", "../..", "x" * 3000]
    values += [[], [1], [[]], ["H", "H"], [0.5, "a"], [float("nan")], [1] * 2000]
    values += [{}, {"a": 1}, {"H-O": 0.9}, {"": []}, {"a": {"b": {"c": []}}}]
    if plain:
        return [*values, None]
    day = datetime.date(2024, 2, 29)
    return [*values, day, datetime.time(1, 2), datetime.datetime(2024, 1, 1, 12)]


def _without(lines: list[str], rng: random.Random) -> bytes:
    index = rng.randrange(len(lines))
    return "".join(lines[:index] + lines[index + 1 :]).encode()


def _twice(lines: list[str], rng: random.Random) -> bytes:
    index = rng.randrange(len(lines))
    return "".join(lines[: index + 1] + lines[index:]).encode()


def _half_line(lines: list[str], rng: random.Random) -> bytes:
    index = rng.randrange(len(lines))
    half = lines[index][: len(lines[index]) // 2] + "\n"
    return "".join([*lines[:index], half, *lines[index + 1 :]]).encode()


def _shuffled(lines: list[str], rng: random.Random) -> bytes:
    return "".join(rng.sample(lines, len(lines))).encode()


def _long(lines: list[str], rng: random.Random) -> bytes:
    return ("".join(lines) + "x " * 500_000).encode()


# Changes of lines, by name.
LINES = {
    "empty": lambda lines, rng: b"",
    "blank": lambda lines, rng: b"\n" * 20,
    "first line away": lambda lines, rng: "".join(lines[1:]).encode(),
    "last line away": lambda lines, rng: "".join(lines[:-1]).encode(),
    "a line away": _without,
    "a line twice": _twice,
    "half a line": _half_line,
    "half the file": lambda lines, rng: "".join(lines[: len(lines) // 2]).encode(),
    "cut in a line": lambda lines, rng: "".join(lines)[: -len(lines[-1]) // 2].encode(),
    "shuffled": _shuffled,
    "reversed": lambda lines, rng: "".join(lines[::-1]).encode(),
    "CRLF": lambda lines, rng: "".join(lines).replace("\n", "\r\n").encode(),
    "byte order mark": lambda lines, rng: "".join(lines).encode("utf-8-sig"),
    "UTF-16": lambda lines, rng: "".join(lines).encode("utf-16"),
    "NUL": lambda lines, rng: "\0".join(lines).encode(),
    "tabs": lambda lines, rng: "".join(lines).replace(" ", "\t").encode(),
    "a long line": _long,
    "gibberish": lambda lines, rng: rng.randbytes(2000),
    "another kind": lambda lines, rng: b"%PDF-1.7\n" * 30,
}


def damaged(
    good: bytes, rng: random.Random, flips: int, cuts: int
) -> Iterator[tuple[str, bytes]]:
    """Bytes of a file with flipped bits, cut, filled, with more, or of none."""
    for _ in range(flips):
        place = rng.choice(
            [rng.randrange(min(64, len(good))), rng.randrange(len(good))]
        )
        content = bytearray(good)
        content[place] ^= 1 << rng.randrange(8)
        yield f"bit of byte {place}", bytes(content)
    for _ in range(cuts):
        place = rng.randrange(len(good))
        yield f"cut at {place}", good[:place]
    yield "empty", b""
    yield "zeros", bytes(len(good))
    yield "noise", rng.randbytes(len(good))
    yield "twice", good + good
    yield "large numbers", good[:8] + struct.pack("<Q", 2**63) + good[16:]
    middle = len(good) // 2
    yield "hole", good[:middle] + bytes(100) + good[middle + 100 :]


def damaged_text(
    good: str, rng: random.Random, numbers: int, flips: int
) -> Iterator[tuple[str, bytes]]:
    """A text with other numbers and words, flipped bytes, and other lines."""
    found = list(re.finditer(r"-?\d+\.\d+", good)) or list(re.finditer(r"\d+", good))
    for _ in range(numbers):
        match, value = rng.choice(found), rng.choice(NUMBERS)
        text = good[: match.start()] + value + good[match.end() :]
        yield f"{value!r} at {match.start()}", text.encode()
    words = list(re.finditer(r"[A-Za-z]+", good))
    for _ in range(10):
        match, value = rng.choice(words), rng.choice(WORDS)
        text = good[: match.start()] + value + good[match.end() :]
        yield f"{value!r:.20} at {match.start()}", text.encode(errors="surrogateescape")
    for _ in range(flips):
        place = rng.randrange(len(good))
        content = bytearray(good.encode())
        content[place] ^= 1 << rng.randrange(8)
        yield f"bit of byte {place}", bytes(content)
    lines = good.splitlines(keepends=True)
    for name, change in LINES.items():
        yield name, change(lines, rng)


def arguments_of(rng: random.Random) -> list[tuple[list[str], bool]]:
    """Arguments of the command, and whether they mean something."""
    run = ["simulate", "model.safetensors", "mol.pdb", "--output", "o"]
    rdf = ["analyze", "rdf", "p/1-a", "C-O"]
    numbers = ["-1", "nan", "inf", "1e400", "abc", "", "99999999999999999999", "1e-400"]
    cases: list[tuple[list[str], bool]] = []
    for option in ("--steps", "--report-interval", "--seed", "--threads"):
        cases += [([*run, option, value], False) for value in numbers]
    for option in ("--temperature", "--timestep", "--friction", "--skin"):
        cases += [
            ([*run, option, value], False) for value in numbers if value != "1e-400"
        ]
    for option in ("--r-max", "--bin-width", "--start", "--stop", "--stride"):
        wrong = [v for v in numbers if option != "--start" or v not in ("-1", "1e-400")]
        late = {numbers[6]} if option == "--stop" else set()  # means the end
        cases += [([*rdf, option, value], value in late) for value in wrong]
    for name in (
        "",
        " ",
        "\n",
        "absent",
        ".",
        "/",
        "/dev/null",
        "x" * 5000,
        "é",
        "a b",
    ):
        cases += [
            (["info", name], False),
            (["simulate", name, "mol.pdb", "--output", "o"], False),
            (["simulate", "model.safetensors", name, "--output", "o"], False),
            (["analyze", "rdf", name, "C-O"], False),
            (["report", name], False),
            (["evaluate", "model.safetensors", name], False),
            (["train", name], False),
            (["import", name, "-o", "o.safetensors"], False),
        ]
    for words in (
        "C-",
        "-O",
        "Xx-O",
        "name C:",
        "C-O-H",
        "__import__('os')",
        "",
    ):
        cases.append((["analyze", "rdf", "p/1-a", words], False))
    for output in (".", "/", "/proc/x/y", "model.safetensors/x", "x" * 300, ""):
        cases.append(([*run[:-1], output], False))
    for verb in ("", "nothing", "--", "-", "--debug", "simulate", "analyze", "report"):
        cases.append(([verb], False))
    cases.append((["info", "model.safetensors"], True))
    cases.append((["--version"], True))
    return cases
