# SPDX-License-Identifier: MIT
"""Pages of the manual: their tables are those of the code, their Python runs."""

import importlib.util
import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
from lammps_session import needs_lammps, run_session

from openmm_allegro.cli.main import _make_parser, main
from openmm_allegro.measure.quantities import QUANTITIES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("**/*.md"))
PYTHON, SHELL, LAMMPS = (
    re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    for language in ("python", "sh", "lammps")
)


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


def test_speed_is_that_of_the_results():
    """If not: python benchmarks/report.py."""
    report = script(ROOT / "benchmarks" / "report.py")
    for page in report.PAGES:
        text = page.read_text(encoding="utf-8")
        assert report.filled(text, *report.read_results()) == text
        assert len(report.BLOCK.findall(text)) == 1


def test_installs_are_those_of_the_results():
    """If not: python benchmarks/installs_table.py."""
    installs = script(ROOT / "benchmarks" / "installs_table.py")
    text = installs.PAGE.read_text(encoding="utf-8")
    assert installs.filled(text, json.loads(installs.RESULTS.read_text())) == text
    assert len(installs.BLOCK.findall(text)) == 1


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_files_to_open_exist_and_are_three_at_most():
    _, _, text = (DOCS / "layout.md").read_text("utf-8").partition("| to add | open |")
    rows = [line.split("|")[2] for line in text.splitlines() if line.startswith("| a")]
    assert len(rows) == 29
    package = DOCS.parent / "openmm_allegro"
    for row in rows:
        names = re.findall(r"`([\w/]+(?:\.py|/))`", row)
        assert len(names) <= 3, row
        for name in names:
            assert (package / name).exists(), name


def test_files_of_training_are_those_of_the_layout():
    _, _, text = (DOCS / "layout.md").read_text("utf-8").partition("in `training/`\n")
    table = text.partition("\n\nBeside")[0]
    folder = DOCS.parent / "openmm_allegro" / "training"
    names = {path.name for path in folder.glob("[!_]*.py")}
    assert sorted(re.findall(r"`(\w+\.py)`", table)) == sorted(names)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_prose_is_wrapped(page):
    """At 100 columns, but for tables, code, formulas and what cannot be broken."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$|^\$\$.*?\$\$$", "", page.read_text("utf-8"))
    long = [line for line in text.splitlines() if len(line) > 100 and line[0] != "|"]
    assert not [line for line in long if " " in line.strip().removeprefix("- ")]


@pytest.mark.parametrize(
    "page, names",
    [("train", ("ethanol", "seed_0", "seed_1")), ("fine-tune", ("tuned",))],
)
def test_python_of_training_runs(tmp_path, monkeypatch, page, names):
    pytest.importorskip("lightning")
    blocks = PYTHON.findall((DOCS / f"{page}.md").read_text(encoding="utf-8"))
    assert len(blocks) == len(names) // 2 + 1
    (tmp_path / "tests").symlink_to(DOCS.parent / "tests")
    (tmp_path / "blocks.py").write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    runpy.run_path("blocks.py")
    for name in names:
        assert (tmp_path / "runs" / name / "model.safetensors").exists()


def commands(page, verb):
    """Arguments of each ``openmm-allegro`` command of a verb in a page."""
    text = "".join(SHELL.findall(page.read_text(encoding="utf-8")))
    lines = re.findall(rf"^openmm-allegro ({verb} .*)", text.replace("\\\n", ""), re.M)
    return [shlex.split(line, comments=True) for line in lines]


def test_each_quantity_has_a_figure_and_its_command():
    """Figures of quantities are what the commands of their pages draw."""
    figures, drawn = script(DOCS / "figures.py"), {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for figure, words in figures.commands(page).items():
            assert words[0] == "analyze", figure
            assert Path(figure).name in re.findall(r"]\(.*?([\w-]+\.\w+)\)", text), (
                figure
            )
            assert (ROOT / figure).stat().st_size <= 60_000, figure
            drawn[figure] = words[1]
    there = {f"docs/figures/{x.name}" for x in (DOCS / "figures").iterdir()}
    assert there == set(drawn)
    pages = {page.stem for page in (DOCS / "quantities").glob("*.md")}
    assert pages <= set(QUANTITIES)
    for name in QUANTITIES:
        on = [page for page in PAGES if commands(page, f"analyze {name}")]
        assert any("![" in page.read_text("utf-8") for page in on), name
        if name in pages:
            assert drawn[f"docs/figures/{name}.svg"] == name
            assert DOCS / "quantities" / f"{name}.md" in on


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_commands_are_understood(page):
    for line in commands(page, r"[\w-]+"):
        assert _make_parser().parse_args(line).verb == line[0]


def test_each_quantity_has_a_page():
    """One of its own, or a section of another with its command."""
    told = {line[1] for page in PAGES for line in commands(page, "analyze")}
    assert set(QUANTITIES) <= told


@needs_lammps
def test_inputs_of_lammps_run(tmp_path, monkeypatch):
    """The first is a whole one, the others are about the same atoms."""
    (tmp_path / "systems").symlink_to(ROOT / "systems")
    monkeypatch.chdir(tmp_path)
    assert main(commands(DOCS / "lammps.md", "lammps")[0]) == 0
    folder = tmp_path / "runs" / "nacl"
    model = (folder / "model.allegro").read_bytes()
    for name in ("model-1.allegro", "model-2.allegro"):
        (folder / name).write_bytes(model)
    text = (DOCS / "lammps.md").read_text(encoding="utf-8")
    whole, *others = LAMMPS.findall(text)
    atoms, _, _ = whole.partition("pair_style")
    inputs = {f"{i}": atoms + block for i, block in enumerate(others)}
    outcomes = run_session({"whole": whole} | inputs, folder)
    assert len(outcomes) == 6
    assert not [outcome.error for outcome in outcomes.values() if outcome.error]
    (code,) = PYTHON.findall(text)
    (tmp_path / "block.py").write_text(code)
    runpy.run_path("block.py")
    assert (tmp_path / "nacl.allegro").read_bytes() == model
