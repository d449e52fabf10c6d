# SPDX-License-Identifier: MIT
"""Make notebooks of tutorials: text, commands and files as cells.

    python docs/notebooks.py

writes docs/tutorials/NAME.ipynb for each name below, without outputs.
"""

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).parent / "tutorials"
NAMES = ("own-data", "mm-with-a-bias", "solid")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\S+\.toml)\n")


def notebook(text: str) -> nbformat.NotebookNode:
    """Make a notebook of a page in Markdown.

    Blocks of a shell become cells of commands, a TOML that begins with its name a cell
    that writes the file, and Python a cell that runs.
    """
    cells, end = [], 0
    for block in BLOCK.finditer(text):
        cells.append(new_markdown_cell(text[end : block.start()].strip()))
        language, code = block.groups()
        if language == "sh":
            # one command a cell, which shows its output below it
            commands = code.replace("\\\n", "").strip().splitlines()
            cells += [new_code_cell(f"!{' '.join(line.split())}") for line in commands]
        elif language == "toml" and FILE.match(code):
            name, folder = FILE.match(code)[1], Path(FILE.match(code)[1]).parent
            make = f"%mkdir -p {folder}" if folder.name else ""
            cells += [new_code_cell(make)] if make else []
            cells.append(new_code_cell(f"%%writefile {name}\n{code.rstrip()}"))
        else:
            cells.append(new_code_cell(code.rstrip()))
        end = block.end()
    cells.append(new_markdown_cell(text[end:].strip()))
    cells = [cell for cell in cells if cell.source]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # the same each time
    book = new_notebook(cells=cells)
    book.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    return book


def path_of(name: str) -> Path:
    """Path of the notebook of a tutorial."""
    return FOLDER / f"{name}.ipynb"


if __name__ == "__main__":
    for name in NAMES:
        text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
        nbformat.write(notebook(text), path_of(name))
