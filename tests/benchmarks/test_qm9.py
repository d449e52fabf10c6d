# SPDX-License-Identifier: MIT
"""Reading of QM9, its split and its table, without the data and without a training."""

import numpy as np
import pytest

pytest.importorskip("lightning")

CSV = """XYZ_file,Elements,XYZ_Ang,InternalEnergy_0K_au,GibbsFreeEnergy_298K_au
"a.xyz","['O','H','H']","[[0.,0.,0.],[0.,0.8,0.6],[0.,-0.8,6e-1]]",-76.4,-76.5
"b.xyz","['H','F']","[[0.,0.,0.],[0.,0.,0.9]]",-100.,-100.2
"""


@pytest.fixture(scope="module")
def qm9(script):
    script("hardware")
    return script("accuracy.qm9")


def test_molecules_have_the_target_in_electronvolts(qm9, tmp_path):
    for name in ("1", "2"):
        (tmp_path / f"{name}.csv").write_text(CSV)
    files = [tmp_path / "1.csv", tmp_path / "2.csv"]
    assert qm9.count_rows(files) == 4
    found = qm9.read_molecules(files, np.array([0, 3]), "G")
    assert sorted(found) == [0, 3] and found[3].source == "b.xyz"
    assert found[0].symbols == ("O", "H", "H") and not found[0].periodic.any()
    np.testing.assert_array_equal(found[0].positions[2], [0.0, -0.8, 0.6])
    assert found[3].energy == pytest.approx(-100.2 * 27.211386, abs=1e-3)
    assert found[0].forces is None


def test_training_sets_are_nested_and_apart_from_the_test(qm9):
    small, large = qm9.split(130_831, 1_000), qm9.split(130_831, 110_000)
    np.testing.assert_array_equal(small.training, large.training[:1_000])
    np.testing.assert_array_equal(small.test, large.test)
    assert [len(part) for part in large] == [110_000, 10_000, 10_831]
    assert len(small.validation) == 200
    assert len(np.unique(np.concatenate(large))) == 130_831


def test_table_calls_an_extrapolation_one(qm9, capsys):
    rows = {
        f"U0 {size}": {
            **{"target": "U0", "molecules": size, "mae_mev": 1e4 * size**-0.5},
            **{"best_epoch": 9, "hours": 0.5},
        }
        for size in (1_000, 10_000)
    }
    qm9.print_table(rows)
    printed = capsys.readouterr().out
    assert "| 10,000 | 100.0 |  |  |  | 10 | 0.50 |" in printed
    assert "| 110,000 (Allegro, 1 layer, published) | 5.7 |" in printed
    assert "N^-0.50 through 2 sizes. Extrapolated, not trained: 30.2 meV" in printed
