# SPDX-License-Identifier: MIT
"""The page on cards has the tables of the results."""


def test_tables_are_those_of_the_results(script):
    """If not: python benchmarks/gpu/page.py."""
    page = script("page")
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text) == text
    assert {match[2] for match in page.BLOCK.finditer(text)} == set(page.TABLES)
