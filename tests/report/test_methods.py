# SPDX-License-Identifier: MIT
"""The methods of a page: what the record holds, with citations, and nothing else."""

import re
from pathlib import Path

import pytest

mdtraj = pytest.importorskip("mdtraj")

from report_helpers import Page, salt_water, walk, write_run  # noqa: E402

from openmm_allegro.measure.measurement import Measurement  # noqa: E402
from openmm_allegro.report import citations, report  # noqa: E402
from openmm_allegro.report.biased import surface_words  # noqa: E402
from openmm_allegro.report.citations import WORKS  # noqa: E402
from openmm_allegro.report.details import details  # noqa: E402
from openmm_allegro.report.learning_methods import learning_methods  # noqa: E402
from openmm_allegro.report.methods import Paper, write_methods  # noqa: E402
from openmm_allegro.report.models import failure_words  # noqa: E402
from openmm_allegro.report.production import Findings, make_production  # noqa: E402
from openmm_allegro.runs.run import read_run  # noqa: E402
from openmm_allegro.utils.ranges import indices_of  # noqa: E402

pytestmark = pytest.mark.usefixtures("undrawn", "read_here")

ABOUT = {
    "title": "Salt water",
    "cutoff_angstrom": 5.0,
    "kind": "total",
    "training_structures": 1200,
    "level_of_theory": "revPBE0-D3",
    "source": "doi:10.0000/data",
    "architecture": "l_max 2, 2 layers, 64 scalar and 32 tensor features",
    "training": "Muon with a learning rate of 0.005, 400 steps of 2 frames",
    "errors": "forces 88.5 meV/Å; of 80 test frames",
}


def methods_of(prefix):
    """Text of the methods of a run, of which nothing was measured."""
    run = read_run(prefix)
    return write_methods([run], make_production(run, prefix.parent), Findings()).text


def test_methods_hold_every_setting_and_who_made_what(tmp_path):
    record = {
        "model": "a/salt.safetensors",
        "model_sha256": "0123456789abcdef",
        "model_about": [ABOUT],
        "ml_region": "4 atoms: 36-39",
        "link_atoms": [[36, 0]],
        "precision": "mixed",
        "backend": "native",
        "ensemble": "npt",
        "pressure_bar": 2.5,
        "barostat_interval": 50,
        "friction_per_ps": 0.7,
        "hydrogen_mass_da": 3.0,
        "minimized": True,
        "variables": [{"name": "d", "kind": "distance", "unit": "Å"}],
        "bias": {
            **{"kind": "metadynamics", "variables": ["d"], "pace": 100},
            **{"height_kj_mol": 1.5, "bias_factor": 8.0, "widths": [0.2]},
        },
    }
    prefix = write_run(tmp_path / "npt", walk(salt_water(), 30), **record)
    page = Page(report(prefix, start=0.0).read_text())
    for words in (
        "44 atoms (12 water, 4 Na and 4 Cl) in a periodic box of 2.0000 × 2.0000 ×",
        "at 0.0934 g/cm³",  # 12 × 18.015 + 4 × 58.44 Da in 8 nm³
        "forces of the 4 atoms of 4 Na (NA 12, NA 13, NA 14, NA 15) were those of",
        "(Salt water, salt.safetensors, SHA-256 0123456789ab, cutoff 5 Å)",
        "trained on 1,200 structures labelled with revPBE0-D3 [",
        "by mechanical embedding",
        "hydrogen link atoms",
        "NA of NA 12–O of HOH 0",
        "OpenMM 8.5.2",
        "(mixed precision, backend native)",
        "20,000 steps of 1 fs (20 ps) in the NPT ensemble at 300 K and 2.5 bar",
        "attempted every 50 steps",
        "(friction 0.7 per ps)",
        "Hydrogens had a mass of 3 Da",
        "Energies were minimised first.",  # a former record, which says no more
        "biased by well-tempered metadynamics",
        "of d (hills of 1.5 kJ/mol at first, every 100 steps, bias factor 8, widths "
        "0.2 Å)",
        "The network has l_max 2, 2 layers, 64 scalar and 32 tensor features.",
        "The training took Muon with a learning rate of 0.005, 400 steps of 2 frames.",
        "frames that were not trained on: forces 88.5 meV/Å; of 80 test frames.",
        "Frames were written every 100 steps.",
        "The random seed was 3.",
        "Frames of npt from 0 ps on (as asked)",
        "radial distribution functions",
    ):
        assert words in page.text, words
    for doi in (
        *("10.1038/s41467-023-36329-y", "10.1021/acs.jpcb.3c06662", "10.0000/data"),
        *("10.1021/acs.jpca.9b02771", "10.1016/j.cplett.2003.12.039"),
        *("10.1103/PhysRevLett.100.020603", "10.1016/j.bpj.2015.08.015"),
    ):
        assert f"doi:{doi}" in page.text
    copies = [a for tag, a in page.elements if a.get("class") == "copy"]
    ids = [a.get("id") for _, a in page.elements]
    assert [a["data-of"] for a in copies] == ["methods-text"]
    assert "methods-text" in ids


def test_methods_say_nothing_that_the_record_does_not_hold(tmp_path):
    prefix = write_run(tmp_path / "nvt", walk(salt_water(), 5))
    text = methods_of(prefix)
    for word in ("trained", "level", "cutoff", "embedding", "bar", "biased", "minimi"):
        assert word not in text
    assert "friction" not in text and "precision" not in text
    # As of a stage that is yet without the model: its file alone is recorded.
    record = {"model": "m.safetensors", "model_sha256": "00", "forces": ["Other"]}
    assert "Allegro model" not in methods_of(write_run(tmp_path / "mm", **record))
    prefix.with_suffix(".json").write_text("{}")
    assert "Langevin" not in methods_of(prefix) and "nan" not in methods_of(prefix)


def test_methods_of_replicas_restraints_and_an_nve_run(tmp_path):
    record = {
        "variables": [
            {"name": "phi", "kind": "dihedral", "unit": "°"},
            {"name": "d", "kind": "distance", "unit": "Å"},
            {"name": "n", "kind": "coordination", "unit": ""},
        ],
        "restraints": [
            {"variable": "phi", "center": 60.0, "force_constant": 0.1, "side": "both"},
            {"variable": "d", "center": 3.0, "force_constant": 5.0, "side": "above"},
            {"variable": "n", "center": 4.0, "force_constant": 2.0, "side": "below"},
        ],
        "ensemble": "nve",
        "integrator": "verlet",
        "friction_per_ps": 1.0,
    }
    text = methods_of(write_run(tmp_path / "nve", **record))
    for words in (
        "by k/2 times the square of the distance",
        "phi about 60° with k = 0.1 kJ/mol/rad²",  # as settings have it
        "d below 3 Å with k = 5 kJ/mol/Å²",
        "n above 4 with k = 2 kJ/mol.",
    ):
        assert words in text
    assert "friction" not in text
    assert "doi:10.1016/0021-9991(77)90121-8" in text
    record = {"method": "lambda-exchange", "lambdas": [0.0, 0.5, 1.0]}
    text = methods_of(write_run(tmp_path / "replicas", **record))
    assert "3 replicas exchanged λ (0, 0.5, 1)" in text
    assert "doi:10.1063/1.2978177" in text and "to the model (λ = 1)" in text
    record = {"method": "parallel-tempering", "temperatures_k": [300.0, 310.0]}
    text = methods_of(write_run(tmp_path / "tempered", **record))
    assert "exchanged temperatures (300, 310 K)" in text and "MBAR" not in text
    record = {"method": "switching", "directions": "forward"}
    text = methods_of(write_run(tmp_path / "switching", **record))
    assert "one direction, forward [" in text and "both" not in text
    assert "doi:10.1103/PhysRevLett.78.2690" in text


def test_methods_of_a_run_in_lammps_are_those_of_lammps(tmp_path):
    record = {"engine": "lammps", "ensemble": "npt", "pressure_bar": 1.0}
    record |= {"integrator": "langevin-middle", "charges": "learned"}
    record |= {"friction_per_ps": 1.0, "model": "m.safetensors"}
    text = methods_of(write_run(tmp_path / "npt", walk(salt_water(), 30), **record))
    assert "velocity Verlet and Langevin forces" in text and "in LAMMPS" in text
    assert "barostat of Martyna, Tobias and Klein" in text
    assert "by an Ewald sum [" in text
    for word in ("middle", "leapfrog", "Monte Carlo", "mesh", "j.cplett.2003"):
        assert word not in text
    for engine in ({}, record):
        record = engine | {"integrator": "verlet", "ensemble": "nve"}
        text = methods_of(write_run(tmp_path / "nve", **record))
        assert ("leapfrog" in text) == (engine == {})


def test_works_are_numbered_as_they_are_cited(tmp_path):
    record = {"ensemble": "npt", "hydrogen_mass_da": 3.0, "model": "m.safetensors"}
    runs = [
        read_run(write_run(tmp_path / "1-a", walk(salt_water(), 30), **record)),
        read_run(write_run(tmp_path / "2-b", walk(salt_water(), 30), ensemble="nve")),
    ]
    for integrators in ({}, {"integrator": "verlet"}):  # common to both, and not
        runs[1].record.update(integrators)
        findings = Findings(measured={"rdf": None, "diffusion": None})
        production = make_production(runs[0], tmp_path)
        text = write_methods(runs, production, findings).text
        body = text.partition("\n[1] ")[0]
        cited = [
            int(n)
            for n in re.findall(r"\d+", "".join(re.findall(r"\[[\d, ]+\]", body)))
        ]
        assert list(dict.fromkeys(cited)) == list(range(1, len(set(cited)) + 1))
        assert f"\n[{len(set(cited))}] " in text and len(cited) > 5


def test_what_is_cited_is_known_with_authors_year_and_doi():
    files = Path(citations.__file__).parent.glob("*.py")
    text = "\n".join(path.read_text() for path in files)
    calls = re.findall(r"\bcite\(([^()]*)\)", text)
    cited = {
        name for call in calls for name in re.findall(r"[\"']([a-z-]+)[\"']", call)
    }
    tables = citations.QUANTITIES.values(), citations.INTEGRATORS.values()
    cited.update(*citations.FORCE_FIELDS.values())
    cited |= {name for rows in tables for *_, works in rows for name in works}
    assert len(cited) > 40 and cited <= set(WORKS)
    for work in WORKS.values():
        assert re.search(
            r"^[A-Z].+ [\d,(]+.*\b(19|20)\d\d\), doi:10\.\d+/\S+$", work
        ), work
    assert len(set(WORKS.values())) == len(WORKS)


def test_a_committee_without_files_is_one(tmp_path):
    for weights, words in ((["0", "1"], "a committee of Allegro models"), ("0", "an ")):
        prefix = write_run(tmp_path / "run", model_weights_sha256=weights)
        text = methods_of(prefix)
        assert words in text and ("committee" in text) == isinstance(weights, list)
        assert ("doi:10.1063/5.0016004" in text) == isinstance(weights, list)


def test_reweighting_is_that_of_the_bias(tmp_path):
    found = Measurement([], {"phi (reweighting)": {}}, {}, {}, None)
    for bias, cited in (
        ({"kind": "metadynamics"}, {"reweighting"}),
        ({"kind": "opes"}, {"umbrella", "opes"}),
        (None, {"umbrella"}),
    ):
        paper = Paper()
        run = read_run(write_run(tmp_path / "run", bias=bias))
        assert "by reweighting [" in surface_words(paper, found, run)
        assert set(paper.cited) == {WORKS[name] for name in cited}


def test_methods_of_nve_say_where_velocities_and_no_thermostat_are_from(tmp_path):
    record = {"ensemble": "nve", "integrator": "rpmd", "beads": 4}
    for drawn, words in (
        ({"velocities_drawn": True}, "with velocities drawn at 300 K"),
        ({"velocities_drawn": False}, "that the run before had ended with"),
        ({}, "in the NVE ensemble with ring-polymer molecular dynamics ["),
    ):
        text = methods_of(write_run(tmp_path / "nve", **record, **drawn))
        assert words in text and "thermostat" not in text
    record["ensemble"] = "nvt"
    assert "thermostat" in methods_of(write_run(tmp_path / "nvt", **record))


def test_methods_cite_nequip_for_a_model_that_it_trained(tmp_path):
    imported = {
        "file": "best.ckpt",
        "sha256": "fedcba9876543210",
        "with": {"nequip": "0.19.1", "nequip-allegro": "0.8.3"},
    }
    converted = (
        ", and converted by openmm_allegro from its file (best.ckpt, SHA-256 "
        "fedcba987654, read with nequip 0.19.1 and nequip-allegro 0.8.3)"
    )
    by = ", trained by nequip-allegro in nequip [1, 2]"
    told = "on 1,200 structures labelled with revPBE0-D3 [3]"
    for tuned, words in (
        (False, f"{by} {told}{converted}."),
        (True, f"{by}{converted}, then trained further {told}."),
    ):
        about = ABOUT | {"imported": imported | {"fine_tuned": tuned}}
        text = methods_of(write_run(tmp_path / "run", model_about=[about]))
        assert words in text and f"[2] {WORKS['nequip']}" in text
    assert WORKS["nequip"] not in methods_of(
        write_run(tmp_path / "own", model_about=[ABOUT])
    )


def test_methods_say_what_a_minimisation_did(tmp_path):
    def measured(energy, largest, mean):
        return {
            "energy_kj_mol": energy,
            "largest_force_kj_mol_nm": largest,
            "rms_force_kj_mol_nm": mean,
        }

    first = measured(-1000.0, 15300.0, 1500.0)
    for iterations, before, words in (
        (12, first, "minimised first: 12 iterations of L-BFGS [3] lowered the energy"),
        (12, first, "by 1,520 kJ/mol and took the largest force on an atom from 15,3"),
        (200, first, "the 1,000 asked for, and ended at the limit of 200 iterations."),
        (0, first, "Energies were not minimised: no step lowered the energy."),
        (0, measured(0.0, 2000.0, 812.0), "were not minimised: the root mean square"),
        (0, measured(0.0, 2000.0, 812.0), "812 kJ/mol/nm, was below the 1,000 at"),
    ):
        done = {
            **{"iterations": iterations, "most_iterations": 200},
            **{"tolerance_kj_mol_nm": 1000.0, "before": before},
            "after": measured(-2520.0, 2400.0, 900.0) if iterations else before,
        }
        prefix = write_run(tmp_path / "run", minimized=True, minimization=done)
        text = methods_of(prefix)
        assert words in text and ("Liu" in text) == (iterations > 0)


def test_a_page_names_atoms_of_variables_and_warns_of_what_a_model_lacks(tmp_path):
    variable = {"name": "d", "kind": "distance", "groups": [[36], [0, 3]]}
    about = ABOUT | {"fails": "in a melt"}
    record = {"model_about": [about, ABOUT], "variables": [variable]}
    run = read_run(write_run(tmp_path / "run", walk(salt_water(), 2), **record))
    rows = dict(row[:2] for row in details(run, make_production(run, tmp_path)))
    assert rows["Variable d"].endswith("atoms NA12:NA–(HOH0:O, HOH1:O)")
    warnings = failure_words(run.record)
    assert warnings == ["The model is known to fail: in a melt."]


def test_methods_name_the_shift_of_charges_next_to_cut_bonds(tmp_path):
    record = {"model_about": [ABOUT], "ml_region": "4 atoms: 36-39"}
    record |= {"link_atoms": [[36, 0]], "forcefield": ["amber14-all.xml"]}
    for embedding, cited in (("electrostatic", True), ("mechanical", False)):
        given = record | {"embedding": embedding}
        text = methods_of(write_run(tmp_path / "run", **given))
        assert f"by {embedding} embedding" in text and "region's border" in text
        assert ("doi:10.1016/S0166-1280(03)00285-9" in text) == cited
    for value, told in ((0.25, "as a part of 0.25 beside 0.75 of the"), (1.0, "")):
        given = record | {"mixing_lambda_interpolate": value}
        text = methods_of(write_run(tmp_path / "run", **given))
        assert told in text and ("beside" in text) == bool(told)


def test_methods_tell_the_force_field_with_its_defaults(tmp_path):
    record = {"forcefield": ["amber14-all.xml", "amber14/tip3pfb.xml"]}
    before = methods_of(write_run(tmp_path / "before", **record))
    assert "amber14-all.xml [" in before and "cutoff" not in before
    record |= {
        "force_field_nonbonded_method": "PME",
        "force_field_cutoff_nm": 1.0,
        "force_field_tail_correction": True,
        "force_field_ewald_tolerance": 0.0005,
        "force_field_constraints": "bonds to hydrogen",
        "rigid_waters": 1200,
    }
    text = methods_of(write_run(tmp_path / "mm", **record))
    for words in (
        "The force field was amber14-all.xml [1] and amber14/tip3pfb.xml [2].",
        "were summed by particle mesh Ewald [3] (error tolerance 0.0005) with a "
        "cutoff of 1 nm in real space, at which Lennard-Jones interactions ended, with "
        "a correction for their energy beyond it.",
        "1,200 waters were rigid, and lengths of other bonds to hydrogen were fixed.",
        "doi:10.1021/acs.jctc.5b00255",
        "doi:10.1021/jz500737m",
    ):
        assert words in text, words
    # Salt water has no protein, on which the work of ff14SB is.
    text = methods_of(write_run(tmp_path / "salt", walk(salt_water(), 5), **record))
    assert "5b00255" not in text and "jz500737m" in text


def test_charges_are_the_models_and_without_a_box_no_sum_is_named(tmp_path):
    record = {"model": "m.safetensors", "charges": "learned", "ml_region": "all atoms"}
    record["forcefield"] = ["amber14-all.xml"]
    text = methods_of(write_run(tmp_path / "box", walk(salt_water(), 30), **record))
    assert "The model's learned charges" in text and "10.1063/1.470117" in text
    assert "Ewald" not in methods_of(write_run(tmp_path / "free", **record))
    for embedding, summed in (("electrostatic", True), ("mechanical", False)):
        given = record | {"ml_region": "4 atoms: 36-39", "embedding": embedding}
        text = methods_of(
            write_run(tmp_path / "mixed", walk(salt_water(), 30), **given)
        )
        assert "The model's learned charges" in text and ("Ewald" in text) == summed


def test_a_region_is_read_or_left_as_it_stands():
    assert indices_of("4 atoms: 0-2, 7") == [0, 1, 2, 7]
    assert indices_of("1 atom: 5") == [5]
    assert indices_of("90 atoms: 0, 2, 4 and 87 more") == []
    assert indices_of("3 atoms: 0-1; 2 atoms: 4-5") == []


def test_methods_of_a_loop_name_its_committee_and_its_picks():
    learn = {"members": 3, "start_from": [], "pick": "committee", "frames": 20}
    learn |= {"seed": 4, "largest_deviation_ev_a": 5.0, "least_distance": 0.0}
    record = {
        "learn": learn,
        "labels": {"kind": "ase", "calculator": "ase.calculators.emt:EMT"},
        "explore": [{"name": "melt"}],
        "model": [{"cutoff": 4.5}],
    }
    page = Page(learning_methods(record, [{"labelled": "40"}]))
    for words in (
        "A committee of 3 Allegro models [1, 2] with cutoffs of 4.5 Å",
        "the exploration melt. They were labelled by ase.calculators.emt:EMT",
        "at most 20 frames by the committee's disagreement",
        "of a deviation of at most 5 eV/Å. After 1 training",
        "40 frames had been labelled. The random seed was 4.",
        "doi:10.1063/5.0016004",
    ):
        assert words in page.text, words
    assert "median distances" not in page.text
