# SPDX-License-Identifier: MIT
"""Errors about few frames: how many there are, how many it takes, which option."""

import pytest
from cli_helpers import analyze_error
from report_helpers import lattice, salt_water, write_run

pytestmark = pytest.mark.usefixtures("read_here")


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("brief")
    return write_run(folder / "brief", lattice(salt_water(21, 3), 8))


@pytest.mark.parametrize(
    "words, told",
    [
        (["angles", "O-Na-O", "--shell", 0.7], ["at least 10 groups", "found 8"]),
        (["speciation", "Na-O", "--shell", 0.7], ["at least 10 groups", "found 8"]),
        (["clusters", "Na-Cl", "--shell", 0.7], ["at least 10 groups", "found 8"]),
        (["structure-factor", "--q-max", 30], ["at least 10 groups", "found 8"]),
        (
            ["survival", "Na-O", "--shell", 0.7],
            ["at least 10 frames for errors from 5", "found 8"],
        ),
        (["diffusion", "Na"], ["at least 20 frames", "found 8"]),
        (["angles", "O-Na-O", "--shell", 0.7, "--blocks", 1], ["at least 2 blocks"]),
    ],
)
def test_a_run_of_few_frames_says_what_it_lacks(short, words, told, capsys):
    message = analyze_error(capsys, words[0], short, *words[1:], "--start", 0)
    assert all(text in message for text in told)
    assert "longer run" in message or "at least 2 blocks" in message
    assert "--blocks" in message or words[0] == "diffusion"
