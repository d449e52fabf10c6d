# SPDX-License-Identifier: MIT
"""Warnings of several items are said once, and those of files are carried through."""

import json

import pytest

from openmm_allegro.measure.sentences import say_once


@pytest.mark.small
@pytest.mark.parametrize(
    "texts, labels, expected",
    [
        (
            ["Na-O: 8.7 values are few.", "O-O: 1e-05 values are few.", "All is well."],
            ["Na-O", "O-O"],
            ["Na-O, O-O: 1e-05 to 8.7 values are few.", "All is well."],
        ),
        (  # in the middle, more than once
            [
                "Displacements of Li grow as t^0.5 at 5 ps: D of Li is wide.",
                "Displacements of Na grow as t^0.7 at 5 ps: D of Na is wide.",
            ],
            ["Li", "Na"],
            [
                "Displacements of Li, Na grow as t^0.5 to 0.7 at 5 ps: D of Li, Na is "
                "wide."
            ],
        ),
        (  # three numbers, and errors: ranges would lose which belongs to which
            ["Na: 1 to 2 at 5 nm.", "Cl: 3 to 4 at 6 nm.", "Na: 1 ± 2.", "Cl: 1 ± 3."],
            ["Na", "Cl"],
            ["Na: 1 to 2 at 5 nm.", "Cl: 3 to 4 at 6 nm.", "Na: 1 ± 2.", "Cl: 1 ± 3."],
        ),
        (  # labels with digits and commas; one item twice
            ["EC, O4: no break.", "H2O: no break.", "H2O: no lifetime."],
            ["EC, O4", "H2O"],
            ["EC, O4; H2O: no break.", "H2O: no lifetime."],
        ),
        (
            ["500 K: Li: 12 jumps tell little.", "600 K: Li: 15 jumps tell little."],
            ["Li"],
            ["500 K, 600 K: Li: 12 to 15 jumps tell little."],
        ),
        (  # a range of ranges would have three ends
            ["Na: expected 0.02 to 0.08 ps.", "Cl: expected 0.02 to 0.12 ps."],
            ["Na", "Cl"],
            ["Na: expected 0.02 to 0.08 ps.", "Cl: expected 0.02 to 0.12 ps."],
        ),
        (["Na: the same."] * 3, ["Na"], ["Na: the same."]),
        (["Na: 2 of O.", "Na: 3 of O."], ["Na", "O"], ["Na: 2 of O.", "Na: 3 of O."]),
    ],
)
def test_sentences_that_are_alike_are_said_once(texts, labels, expected):
    assert say_once(texts, labels) == expected


def test_warnings_of_files_are_carried_through(tmp_path, capsys):
    """Of the items and the quantity that a line is of; each with its temperature."""
    from cli_helpers import analyze, rows_of  # needs torch

    files = []
    for kelvin in (300, 330, 360):
        table = [
            {"item": item, "quantity": "D", "value": 1e-3 * kelvin, "error": 0.01}
            | {"unit": "cm²/s"}
            for item in (("Na", "Cl") if kelvin < 340 else ("Na",))
        ]
        warnings = [f"D of Na is known to half its value at best of {kelvin}."]
        warnings += ["D of Cl is known to half its value at best.", "Too hot."]
        files.append(tmp_path / f"{kelvin}.json")
        content = {"temperature_k": kelvin, "table": table, "warnings": warnings}
        files[-1].write_text(json.dumps(content))
    out = tmp_path / "a.json"
    analyze("arrhenius", *files, "--json", out)
    printed = capsys.readouterr().out
    content = json.loads(out.read_text())
    expected = [
        "300 K, 330 K, 360 K: D of Na is known to half its value at best of 300 to "
        "360.",
        "300 K, 330 K, 360 K: Too hot.",
    ]
    assert content["warnings"][:2] == expected
    assert all(printed.count(f"Warning: {text}\n") == 1 for text in expected)
    assert "Not in all files, and so without a line: Cl." in content["notes"]
    assert expected[0] in content["table"][0]["warnings"]
    assert not any("Cl is" in text for text in content["warnings"])
    assert ("Na", "activation energy") in rows_of(out)
    # Files of before, without warnings, are read too.
    for path in files:
        old = json.loads(path.read_text())
        del old["warnings"]
        path.write_text(json.dumps(old))
    analyze("arrhenius", *files, "--json", out, "--force")
    assert not any("half" in text for text in json.loads(out.read_text())["warnings"])
