# SPDX-License-Identifier: MIT
"""Sentences about several items, each said once and naming all of them."""

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")
_TO = re.compile(r"(?: [^\s\1\0]+)? to ")  # between the ends of a range
_LEVEL = re.compile(r"\d+(?:\.\d+)? K(?=: )")  # a temperature of a series


def say_once(texts: Iterable[str], labels: Iterable[str]) -> list[str]:
    """Merge sentences that differ in their item, and in two numbers at most.

    Numbers with errors, ranges and what else a reader has to tell apart are kept so.

    Parameters
    ----------
    texts : iterable of str
        As ``"Na-O: 8.7 values are few"`` and ``"Cl-O: 3.3 values are few"``.
    labels : iterable of str
        Items that sentences name.

    Returns
    -------
    list of str
        As ``"Na-O, Cl-O: 3.3 to 8.7 values are few"``, in the order of the first of
        each; sentences that are not alike stay as they are.
    """
    known = sorted(set(labels), key=len, reverse=True)
    groups: list[tuple[str, list[tuple[str, list[str]]]]] = []
    for text in dict.fromkeys(texts):
        label = _label_of(text, known)
        form = _pattern(label).sub("\0", text) if label else text
        numbers, form = _NUMBER.findall(form), _NUMBER.sub("\1", form)
        for other, members in groups:
            if label and other == form and _fits(form, members, label, numbers):
                members.append((label, numbers))
                break
        else:
            groups.append((form, [(label, numbers)]))
    return [_merged(form, members) for form, members in groups]


def starts_with(text: str, label: str) -> bool:
    """Tell whether an item is the first that a sentence begins with."""
    return text.startswith((f"{label}: ", f"{label}, ", f"{label}; "))


def _label_of(text: str, known: list[str]) -> str:
    """Find the item that a sentence is about; empty if it is about none."""
    level = _LEVEL.match(text)
    if level:
        return level[0]
    for label in known:
        if text.startswith(f"{label}: "):
            return label
    return next((label for label in known if _pattern(label).search(text)), "")


def _pattern(label: str) -> re.Pattern:
    return re.compile(rf"(?<![\w-]){re.escape(label)}(?![\w-])")


def _fits(
    form: str, members: list[tuple[str, list[str]]], label: str, numbers: list[str]
) -> bool:
    """Tell whether few numbers differ among all members and one more."""
    if label in [name for name, _ in members]:
        return False
    columns = zip(numbers, *(row for _, row in members), strict=True)
    vary = [len(set(column)) > 1 for column in columns]
    # A range of ranges would read as one of three ends.
    for k, between in enumerate(form.split("\1")[1:-1]):
        if _TO.fullmatch(between) and (vary[k] or vary[k + 1]):
            return False
    return sum(vary) <= (0 if "±" in form else 2)


def _merged(form: str, members: list[tuple[str, list[str]]]) -> str:
    """Put labels and numbers back into the form of a sentence."""
    labels = [label for label, _ in members]
    between = "; " if any("," in label for label in labels) else ", "
    text = form.replace("\0", between.join(labels))
    for column in zip(*(numbers for _, numbers in members), strict=True):
        low, high = min(column, key=float), max(column, key=float)
        text = text.replace("\1", low if low == high else f"{low} to {high}", 1)
    return text
