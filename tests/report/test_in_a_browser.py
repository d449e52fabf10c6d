# SPDX-License-Identifier: MIT
"""A page in Chromium: nothing is cut at any width, and its script names files."""

import json
import re
import shutil
import subprocess

import pytest

mdtraj = pytest.importorskip("mdtraj")

from report_helpers import lattice, salt_water, write_run  # noqa: E402

from openmm_allegro.report import report  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("read_here"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
WIDTHS = 400, 900, 1600
LOOK = """<meta charset="utf-8"><pre></pre><script>
const found = {};
for (const width of %s) {
  const frame = document.createElement("iframe");
  frame.style = `width:${width}px;height:900px;border:0`;
  frame.src = "page.html";
  frame.onload = () => {
    const page = frame.contentDocument;
    const wide = [...page.querySelectorAll("body *")].filter(
      (x) => x.clientWidth && x.scrollWidth > x.clientWidth + 1
        && getComputedStyle(x).display !== "inline"
        && !x.matches(".wide-image"));  // which is scrolled
    const links = [...page.querySelectorAll("a.download")];
    found[width] = {
      width: page.documentElement.scrollWidth,
      cut: wide.map((x) => `${x.tagName} ${x.className}`),
      names: links.map((x) => x.download),
      addresses: links.map((x) => x.href.slice(0, 20)),
      copy: !page.querySelector("button.copy").hidden,
    };
    document.querySelector("pre").textContent = JSON.stringify(found);
  };
  document.body.append(frame);
}
</script>"""


def test_a_page_fits_all_widths_and_names_its_files(tmp_path):
    molecules = lattice(salt_water(19, 4), 60)
    report(write_run(tmp_path / "nvt", molecules), tmp_path / "page.html", start=0.0)
    (tmp_path / "look.html").write_text(LOOK % list(WIDTHS))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--allow-file-access-from-files"]
    command += ["--virtual-time-budget=8000", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--dump-dom", f"file://{tmp_path / 'look.html'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = json.loads(re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)[1])
    assert sorted(map(int, found)) == list(WIDTHS)
    for width, look in found.items():
        assert look["cut"] == [] and look["width"] <= int(width)
        assert look["copy"]
        assert len(set(look["names"])) == len(look["names"]) > 10
        assert {name.rpartition(".")[2] for name in look["names"]} == {
            *("csv", "svg", "txt"),
        }
        assert all(address.startswith("data:") for address in look["addresses"])
