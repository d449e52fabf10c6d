# SPDX-License-Identifier: MIT
"""Run each verb of the command on small input, and tell what a user sees of it.

Each is run to its end, once more with an option that is spelled wrongly, and once more
until SIGINT stops it. The table has what is said first and last, the longest time
without a word, and what the interrupted command says. Each writes ``--json``, too.

python benchmarks/command_table.py [--verbs train simulate] [--markdown]

Rows of other verbs are kept; ``--markdown`` prints the table, and runs nothing.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from command_inputs import CASES, Case, write_inputs
from hardware import hardware

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-m", "openmm_allegro.cli"]
HEADS = ("verb", "says first", "silent for", "says last", "`--json`", "Ctrl-C")


class Seen(NamedTuple):
    """Lines of a command with the seconds after its start, and its exit status."""

    lines: list[tuple[float, str]]
    status: int
    seconds: float

    @property
    def silence(self) -> float:
        """Longest time between lines once the first is there, seconds."""
        times = [when for when, _ in self.lines] + [self.seconds]
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)


def run(arguments: list[str], folder: Path, stop_after: str | None = None) -> Seen:
    """Run the command, and send SIGINT after a line that has a text."""
    started, lines = time.monotonic(), []
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    for line in process.stdout:
        lines.append((time.monotonic() - started, line.rstrip()))
        if stop_after is not None and stop_after in line:
            process.send_signal(signal.SIGINT)
            stop_after = None
    return Seen(lines, process.wait(), time.monotonic() - started)


def look_at(case: Case, folder: Path) -> dict:
    """Run one verb in three ways, and collect what is seen of it."""
    written = folder / f"{case.verb}.json"
    whole = run([case.verb, *case.arguments, "--json", written.name], folder)
    wrong = run([case.verb, *case.arguments, case.misspelt], folder)
    row = {
        "verb": case.verb,
        "status": whole.status,
        "first": _first(whole),
        "first_after_s": round(whole.lines[0][0], 1) if whole.lines else None,
        "silence_s": round(whole.silence, 1),
        "last": _last(whole),
        "seconds": round(whole.seconds, 1),
        "json": written.is_file(),
        "did_you_mean": "did you mean" in " ".join(text for _, text in wrong.lines),
    }
    if case.stop_after is None:
        return row | {"interrupted": None, "interrupted_status": None}
    again = list(case.arguments)
    for option in {"-o", "--output"} & set(again):
        again[again.index(option) + 1] = f"stopped/{case.verb}{case.ending}"
    stopped = run([case.verb, *again], folder, case.stop_after)
    words = [text for _, text in stopped.lines if "interrupted" in text]
    return row | {
        "interrupted": words[-1] if words else _last(stopped),
        "interrupted_status": stopped.status,
    }


def _plain(text: str) -> str:
    """A line without the date of the log."""
    words = text.split(maxsplit=2)
    is_dated = len(words) == 3 and words[0].count("-") == 2 and words[1].count(":") == 2
    return words[2] if is_dated else text.strip()


def _first(seen: Seen) -> str:
    return next((_plain(text) for _, text in seen.lines if text.strip()), "")


def _last(seen: Seen) -> str:
    texts = [_plain(text) for _, text in seen.lines if text.strip()]
    return texts[-1] if texts else ""


def markdown(rows: list[dict]) -> str:
    """The table for docs/command.md."""
    lines = [f"| {' | '.join(HEADS)} |", "|" + " --- |" * len(HEADS)]
    for row in rows:
        seconds = row["seconds"]
        digits = 0 if seconds >= 1 else 1
        silence = f"{row['silence_s']:.1f} s of {seconds:.{digits}f} s"
        stopped = "not tried"
        if row["interrupted"] is not None:
            stopped = f"{row['interrupted_status']}, {_short(row['interrupted'])}"
        shown = row["verb"], _short(row["first"]), silence, _short(row["last"])
        files = next(case.files for case in CASES if case.verb == row["verb"])
        cells = f"`{row['verb']}`", *shown[1:], _files(row, files), stopped
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _files(row: dict, others: str) -> str:
    # rows of earlier versions have a text, and were made without it
    json_option = "no file" if row["json"] is False else "yes"
    return f"{json_option}; {others}" if others else json_option


def _short(text: str, size: int = 90) -> str:
    text = text.replace("|", "/").removeprefix("openmm-allegro: ")
    return text if len(text) <= size else text[: size - 1].rstrip() + "…"


def main() -> None:
    """Print the table, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = [case.verb for case in CASES]
    parser.add_argument("--verbs", nargs="+", choices=verbs, default=verbs)
    parser.add_argument("--output", type=Path, help="JSON (default results/)")
    parser.add_argument("--markdown", action="store_true", help="of rows that are kept")
    options = parser.parse_args()
    output = options.output or HERE / "results" / "command_table.json"
    if options.markdown:
        print(markdown(json.loads(output.read_text())["rows"]))
        return
    kept = json.loads(output.read_text())["rows"] if output.is_file() else []
    rows = {row["verb"]: row for row in kept}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        for case in CASES:
            if case.verb in options.verbs:
                rows[case.verb] = look_at(case, Path(folder))
                print(f"{case.verb}: {rows[case.verb]['seconds']} s", flush=True)
                every = [rows[verb] for verb in verbs if verb in rows]
                content = {"hardware": hardware(threads=1), "rows": every}
                text = json.dumps(content, indent=1, ensure_ascii=False)
                output.write_text(text + "\n")
    print(markdown(every))


if __name__ == "__main__":
    main()
