# SPDX-License-Identifier: MIT
"""Pieces of HTML. What comes from outside is escaped here, and only here."""

import base64
import html
import re
from importlib.resources import files

import numpy as np

from ..measure.measurement import amount
from ..utils.extras import naming_extras, remedy
from ..utils.progress import name_stage
from .downloads import Shown, data_uri, plain_text, table_csv

# Columns for which there is room on a telephone.
_COLUMNS = 3
# Characters of a value that has a line of its own.
_LONG = 70


class Markup(str):
    """Text that is HTML already; other text is escaped when it is put into a page."""

    def __html__(self):
        """Return itself, as libraries of HTML ask for."""
        return self


def text(value):
    """HTML of a value: escaped, unless it is `Markup`."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def join(*parts):
    """HTML of the parts, one after the other; None is left out."""
    return Markup("".join(text(part) for part in parts if part is not None))


def tag(name, *content, **attributes):
    """Element of a name, with attributes (``class_`` for class) and content."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{join(*content)}</{name}>")


def section(title, *content):
    """Section with a heading that the table of contents leads to."""
    return tag("section", tag("h2", title), *content, id=anchor(title))


def side_by_side(*parts):
    """Parts in columns, as many as there is room for."""
    return tag("div", *parts, class_="parts")


def anchor(title):
    """Name of the place of a section."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def paragraph(*content):
    """Paragraph."""
    return tag("p", *content)


def note(*content, kind="note"):
    """Remark in a box; `kind` is note, warning or good."""
    return tag("p", *content, class_=f"box {kind}")


def notes(texts, kind="note"):
    """Remarks in a box: one, or a list of them; nothing where there is none.

    What is of all atoms is said without the item, "all".
    """
    texts = [_without_all(text) for text in texts]
    if len(texts) < 2:
        return [note(text, kind=kind) for text in texts]
    listed = tag("ul", *(tag("li", text) for text in texts))
    return [tag("div", listed, class_=f"box {kind} several")]


def options_of(verb, texts):
    """Say whose options texts name, which pages have few of; None where they do not."""
    if not any(" --" in text for text in texts):
        return None
    return paragraph("Options named above are those of ", tag("code", verb), ".")


def _without_all(text):
    rest = text.removeprefix("all: ")
    return text if rest == text else f"{rest[:1].upper()}{rest[1:]}"


def table(header, rows, *, caption=None, long=False):
    """Table whose first column names the rows; the last one is words if `long`.

    Where there is no room for many columns, each row is a list of names and values.
    Below it is what saves it as CSV.
    """
    rows = list(rows)
    head = tag("tr", *(tag("th", name, scope="col") for name in header))
    names = [re.sub(r"<[^>]+>", "", str(name)) for name in header]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", cell, **_cell_attributes(cell, name))
                for cell, name in zip(row[1:], names[1:], strict=False)
            ),
        )
        for row in rows
    ]
    made = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", head),
        tag("tbody", *body),
    )
    many = len(header) > _COLUMNS or long
    kinds = ("table", "many" if many else "", "long" if long else "")
    saved = download("CSV", "csv", table_csv(header, rows)) if rows else None
    return tag("div", made, saved, class_=" ".join(filter(None, kinds)))


def facts(rows):
    """List of names and values; those without a value are left out."""
    rows = [(name, value) for name, value in rows if value not in (None, "")]
    places = [
        tag(
            "div",
            tag("dt", name),
            tag("dd", value),
            **({"class_": "long"} if len(plain_text(value)) > _LONG else {}),
        )
        for name, value in rows
    ]
    listed = tag("dl", *places)
    return join(listed, download("CSV", "csv", table_csv(("setting", "value"), rows)))


def download(label, kind, content):
    """Link that saves a text, as ``table.csv`` if no script gives it a better name."""
    return tag("div", _link(label, kind, content), class_="tools")


def _link(label, kind, content):
    return tag(
        "a",
        label,
        class_="download",
        download=f"table.{kind}" if kind == "csv" else f"page.{kind}",
        href=data_uri(content, "plain" if kind == "txt" else kind),
    )


def _cell_attributes(cell, name):
    """Name of the column, and that a value and its error stay on one line."""
    given = {"data_of": name} if name else {}
    if isinstance(cell, Shown) and "±" in cell:
        given["class_"] = "number"
    return given


def tiles(rows):
    """Row of large numbers, each (value, unit, what it is)."""
    return tag(
        "ul",
        *(
            tag("li", tag("b", value), " ", tag("i", unit), tag("span", name))
            for value, unit, name in rows
        ),
        class_="tiles",
    )


def figure(draw, folder, alt, caption=None, *, wide=False, curves=None):
    """Figure that ``draw(path)`` makes, inside the page as SVG.

    ``curves`` is a CSV of what is drawn, to save beside it.
    """
    path = folder / "figure.svg"
    draw(path)
    content = base64.b64encode(path.read_bytes()).decode()
    image = Markup(
        f'<img src="data:image/svg+xml;base64,{content}" alt="{html.escape(alt)}">'
    )
    if wide:
        image = tag("div", image, class_="wide-image")
    caption = tag("figcaption", caption) if caption else None
    # The script gives it the image as its address, which is not there twice.
    saved = tag(
        "div",
        tag("a", "SVG", class_="download svg"),
        None if curves is None else _link("CSV", "csv", curves),
        class_="tools",
    )
    return tag("figure", image, caption, saved, class_="wide" if wide else "narrow")


def measured(value, error, scale=1.0):
    """Write ``2.31 ± 0.04``, of a value and its error if known, both times `scale`.

    A CSV has all digits of both.
    """
    full = [scale * x for x in (value, error) if x is not None]
    if not np.isfinite(value):
        return Shown("not found", *full)
    error = None if error is None else scale * error
    return Shown(amount(scale * value, error).replace("-", "−"), *full)


def attempt(title, function, *arguments):
    """Show what a function gives as a part of a section, or why it gives nothing.

    ValueError says that the data does not allow an analysis, ModuleNotFoundError that
    the package of an extra is missing: any other error is a mistake of ours, and is
    not caught.
    """
    name_stage(f"the part “{title}” of the page")
    try:
        with naming_extras("analysis"):
            content = function(*arguments)
    except ValueError as error:
        content = note(f"Not computed: {error}.")
    except ModuleNotFoundError as error:
        if not remedy(error):
            raise
        content = note(f"Not computed: {error}.")
    return part(title, content)


def part(title, content):
    """Part of a section."""
    return tag("div", tag("h3", title), content, class_="part")


def document(title, words, first, sections, script=""):
    """Make the whole page: a heading, words and tiles below it, then the sections.

    Sections that are None are left out.
    """
    sections = [part for part in sections if part is not None]
    style = (files(__package__) / "page.css").read_text(encoding="utf-8")
    script = (files(__package__) / "page.js").read_text(encoding="utf-8") + script
    titles = [part.split("<h2>")[1].split("</h2>")[0] for part in sections]
    contents = tag(
        "nav",
        *(tag("a", Markup(name), href=f"#{anchor(name)}") for name in titles),
        aria_label="Contents",
    )
    head = join(
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", title), paragraph(words), first),
        contents,
        tag("main", *sections),
        tag("script", Markup(script)),
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n{tag("head", head)}\n{body}\n</html>\n'
