# SPDX-License-Identifier: MIT
"""Processes that measure on request, and the memory that a process has."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_FOLDER = Path(__file__).parent


class Worker:
    """A process that answers each word with a line of JSON, the first one unasked.

    Parameters
    ----------
    script : str
        File of this folder.
    arguments : sequence of str
    environment : mapping of str to str
        Variables beside those of this process.
    python : str
        Interpreter.
    """

    def __init__(
        self,
        script: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        python: str = sys.executable,
    ) -> None:
        self.process = subprocess.Popen(
            [python, str(_FOLDER / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | environment,
        )
        self.answer = self._read()
        self.ready = "failed" not in self.answer

    def ask(self, word: str) -> dict:
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"failed": "ended by the system, probably for its memory"}
        self.answer = self._read()
        return self.answer

    def close(self) -> dict:
        """End the process; its last answer, or why it failed."""
        if "failed" in self.answer:
            self.process.kill()
            self.process.wait()
            return {"failed": self.answer["failed"]}
        answer = self.ask("end")
        self.process.wait()
        return answer

    def _read(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        return {"failed": "ended by the system, probably for its memory"}


def answer_of(command: Sequence[str], environment: Mapping[str, str]) -> dict:
    """Run a command with further variables and read the JSON of its last line."""
    result = subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        return {"failed": (result.stderr.strip().splitlines() or ["no reason"])[-1]}
    return json.loads(result.stdout.splitlines()[-1])


def answer(content: dict) -> None:
    """Answer as the process of a Worker."""
    print(json.dumps(content), flush=True)


def memory_mb() -> dict[str, float]:
    """Memory of this process, MB: resident now and at most, proportional, unique.

    Not ``ru_maxrss``, which a process inherits from the one that started it.
    """
    names = {"Rss": "resident", "Pss": "proportional", "VmHWM": "largest_resident"}
    memory = {"unique": 0.0}
    for path in ("/proc/self/smaps_rollup", "/proc/self/status"):
        with open(path) as file:
            for line in file:
                name, _, text = line.partition(":")
                if name in ("Private_Clean", "Private_Dirty"):
                    memory["unique"] += int(text.split()[0]) * 1024 / 1e6
                elif name in names:
                    memory[names[name]] = int(text.split()[0]) * 1024 / 1e6
    return memory
