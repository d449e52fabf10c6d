# SPDX-License-Identifier: MIT
"""Pages of the manual: their tables are those of the code, their Python runs."""

import importlib.util
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables():
    return script(DOCS / "tables.py")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_are_up_to_date(page, tables):
    """If not: python docs/tables.py."""
    text = page.read_text(encoding="utf-8")
    assert tables.filled(text) == text
    assert text.count("<!-- settings: ") == len(tables.TABLE.findall(text))


def test_speed_in_the_readme_is_that_of_the_results():
    """If not: python benchmarks/report.py."""
    report = script(ROOT / "benchmarks" / "report.py")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert report.filled(text, *report.read_results()) == text
    assert len(report.BLOCK.findall(text)) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (DOCS / target).exists(), target


def test_files_to_open_exist_and_are_three_at_most():
    _, _, text = (DOCS / "layout.md").read_text("utf-8").partition("| to add | open |")
    rows = [line.split("|")[2] for line in text.splitlines() if line.startswith("| a")]
    assert len(rows) == 14
    package = DOCS.parent / "openmm_allegro"
    for row in rows:
        names = re.findall(r"`([\w/]+(?:\.py|/))`", row)
        assert len(names) <= 3, row
        for name in names:
            assert (package / name).exists(), name


def test_python_of_training_runs(tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    blocks = PYTHON.findall((DOCS / "train.md").read_text(encoding="utf-8"))
    assert len(blocks) == 2
    (tmp_path / "tests").symlink_to(DOCS.parent / "tests")
    (tmp_path / "blocks.py").write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    runpy.run_path("blocks.py")
    for name in ("ethanol", "seed_0", "seed_1"):
        assert (tmp_path / "runs" / name / "model.safetensors").exists()
