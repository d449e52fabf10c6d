# SPDX-License-Identifier: MIT
"""Pages of runs whose trajectory is damaged, cut short or repeats itself."""

import pytest
from cli_helpers import save_xtc
from outcome_helpers import outcome_of
from report_helpers import Page, salt_water, walk, write_run

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def prefix(tmp_path):
    trajectory = walk(salt_water(), 40)
    path = write_run(tmp_path / "nvt", trajectory)
    save_xtc(trajectory, f"{path}.xtc")
    return path


def page_of(prefix, *options):
    path = prefix.with_suffix(".html")
    outcome = outcome_of(f"{prefix}.x.json", "report", prefix, "--force", *options)
    assert outcome["files"] == [str(path)]
    return Page(path.read_text()).text


def test_a_damaged_frame_is_named_and_the_rest_of_the_page_stands(prefix):
    path = prefix.with_suffix(".xtc")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    path.write_bytes(content)
    text = page_of(prefix)
    assert "Not computed: expected whole frames in" in text
    assert "(counted from 0) damaged" in text and "Temperature" in text


def test_a_last_frame_that_is_cut_short_is_said(prefix):
    path = prefix.with_suffix(".xtc")
    path.write_bytes(path.read_bytes()[:-9])
    assert "is cut short and left out" in page_of(prefix)


def test_repeated_frames_are_said_and_left_out(prefix):
    trajectory = walk(salt_water(), 40)
    save_xtc(trajectory[[*range(30), *range(20, 40)]], f"{prefix}.xtc")
    assert "10 frames" in page_of(prefix)
    text = page_of(prefix, "--drop-repeated")
    assert "10 frames" in text and "were left out" in text
    assert "report" in text and "--drop-repeated" in text
