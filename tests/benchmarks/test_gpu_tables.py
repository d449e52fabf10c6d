# SPDX-License-Identifier: MIT
"""The page on cards has the tables of the results."""


def test_tables_are_those_of_the_results(script):
    """If not: python benchmarks/gpu/tables.py."""
    tables = script("tables")
    text = tables.PAGE.read_text(encoding="utf-8")
    assert tables.filled(text) == text
    assert {match[2] for match in tables.BLOCK.finditer(text)} == set(tables.TABLES)
