# SPDX-License-Identifier: MIT
"""Write in words for a paper what was done, as far as records of runs hold it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .._version import __version__
from ..runs.minimization import minimization_words
from ..runs.names import LAMMPS, RPMD, VELOCITIES_DRAWN
from ..runs.run import Run
from ..runs.species import masses_of
from ..utils.words import listed
from .biased import bias_words, replica_words, surface_words
from .citations import QUANTITIES, WORKS, find_integrator
from .details import box_words
from .downloads import plain_text
from .html import (
    Markup,
    download,
    paragraph,
    section,
    tag,
)
from .models import model_words
from .production import Findings, Production
from .region import (
    known_topology,
)

_BAROSTATS = {
    "npt": "the box scaled as a whole",
    "npt-anisotropic": "each length of the box scaled by itself",
    "npt-flexible": "lengths and angles of the box changed",
}
_TEXT = "methods-text"
# In g/cm³: 1 / (N_A 1e-21).
_DA_PER_NM3 = 1.66053906892e-3


class Paper:
    """Sentences with numbered citations.

    Attributes
    ----------
    paragraphs : list of str
    cited : list of str
        Works in the order of their numbers.
    """

    def __init__(self) -> None:
        self.paragraphs: list[str] = []
        self.cited: list[str] = []

    def cite(self, *works: str) -> str:
        """Number works, by their keys or as they are: `` [1, 2]``."""
        numbers = []
        for work in works:
            text = WORKS.get(work, work)
            if text not in self.cited:
                self.cited.append(text)
            numbers.append(str(self.cited.index(text) + 1))
        return f" [{', '.join(numbers)}]" if numbers else ""

    def add(self, *sentences: str) -> None:
        """Add a paragraph; sentences that are empty are left out."""
        text = " ".join(filter(None, sentences))
        if text:
            self.paragraphs.append(text)

    @property
    def text(self) -> str:
        """All of it, as plain text."""
        works = [f"[{n}] {work}" for n, work in enumerate(self.cited, 1)]
        return "\n\n".join([*self.paragraphs, "\n".join(works)]).strip() + "\n"


def methods_section(
    runs: Sequence[Run],
    production: Production,
    findings: Findings,
    settings: Iterable[tuple[str, Any]],
) -> Markup | None:
    """Show the methods of runs as text to copy; None of files without a record."""
    if all(run.record_file is None for run in runs):
        return None
    paper = write_methods(runs, production, findings)
    return show_paper(paper, settings)


def write_methods(
    runs: Sequence[Run], production: Production, findings: Findings
) -> Paper:
    """Write what was done: system, model, dynamics, analysis."""
    paper, run = Paper(), production.run
    paper.add(
        system_words(production),
        model_words(paper, run, production),
        program_words(paper, run),
    )
    paper.add(*_stages(paper, runs))
    paper.add(*_analysis(paper, production, findings))
    return paper


def show_paper(paper: Paper, settings: Iterable[tuple[str, Any]]) -> Markup:
    """Lay out a paper: paragraphs, works, what copies and what saves it."""
    lines = [
        f"{name}: {plain_text(value)}"
        for name, value in settings
        if value not in (None, "")
    ]
    saved = paper.text + "\nSettings\n" + "\n".join(lines) + "\n"
    copy = tag("button", "Copy", type="button", class_="copy", hidden="", data_of=_TEXT)
    plain = tag("pre", paper.text, class_="words", id=_TEXT)
    return section(
        "Methods",
        *map(paragraph, paper.paragraphs),
        tag("ol", *(tag("li", work) for work in paper.cited), class_="cited"),
        tag("div", copy, download("Text", "txt", saved), class_="tools"),
        tag(
            "details",
            tag("summary", "As plain text"),
            plain,
            class_="screen",
        ),
    )


def _stages(paper: Paper, runs: Sequence[Run]) -> list[str]:
    """Write how runs were simulated, and once what they have in common."""
    if len(runs) == 1:
        return [dynamics(paper, runs[0])]
    draft = Paper()  # whose numbers are not those of the text
    texts = [{name: f(draft, run) for name, f in _SHARED.items()} for run in runs]
    shared = {n for n in _SHARED if all(text[n] == texts[0][n] for text in texts)}
    sentences = [dynamics(paper, run, named=True, left=shared) for run in runs]
    if "integrator" in shared and texts[0]["integrator"]:
        sentences.append(f"All stages were run {_integrator(paper, runs[0])}.")
    if "written" in shared:
        sentences.append(texts[0]["written"])
    return sentences


def dynamics(
    paper: Paper,
    run: Run,
    *,
    named: bool = False,
    left: Collection[str] = (),
    kelvin: str | None = None,
) -> str:
    """Write how a run was simulated.

    Parameters
    ----------
    paper : Paper
    run : Run
    named : bool
        Whether its name is told, as of a stage.
    left : collection of str
        What is told elsewhere: "seed", numbers of a "minimization", or of `_SHARED`.
    kelvin : str, optional
        The temperatures, where the sentence is about several runs.
    """
    record = run.record
    subject = "This stage" if named else "The run"
    parts = [
        f"{run.done:,} steps" + _of("timestep_fs", record, " of {:g} fs"),
        f"({run.simulated:.6g} ps)" if np.isfinite(run.simulated) else "",
        _ensemble(paper, run, kelvin),
        "" if "integrator" in left else _integrator(paper, run),
    ]
    text = " ".join(filter(None, parts))
    name = f"Stage {run.stage}" if named else "The run"
    if run.done < record.get("steps", 0):
        text += f"; {record['steps']:,} steps were asked for"
    sentences = [
        f"{name} had {text}.",
        _minimization(paper, record, brief="minimization" in left),
        _of(
            "hydrogen_mass_da",
            record,
            f"Hydrogens had a mass of {{:g}} Da{paper.cite('hydrogen-mass')}."
            if record.get("hydrogen_mass_da")
            else "",
        ),
        bias_words(paper, run, subject),
        replica_words(paper, run),
        "" if "written" in left else _written(paper, run),
        "" if "seed" in left else _of("seed", record, "The random seed was {}."),
    ]
    return " ".join(filter(None, sentences))


def _minimization(paper: Paper, record: Mapping[str, Any], *, brief: bool) -> str:
    words = minimization_words(record)
    if brief:
        words = words.partition(":")[0]
    if "L-BFGS" in words:
        words = words.replace("L-BFGS", f"L-BFGS{paper.cite('l-bfgs')}")
    return words and f"Energies were {words}."


def _written(_: Paper, run: Run) -> str:
    sentences = [
        _of("report_interval", run.record, "Frames were written every {:,d} steps.")
    ]
    if run.record.get("velocity_interval"):
        form = "Velocities were written every {:,d} steps."
        sentences.append(_of("velocity_interval", run.record, form))
    return " ".join(sentences)


def _of(key: str, record: Mapping[str, Any], form: str) -> str:
    return "" if record.get(key) is None or not form else form.format(record[key])


def system_words(production: Production) -> str:
    """Write what was simulated: atoms, molecules, box and density."""
    atoms = production.run.record.get("atoms")
    source, topology = production.source, known_topology(production)
    if topology is None:
        return f"The system had {atoms:,} atoms." if atoms else ""
    kinds = [f"{len(k.molecules):,} {k.name}" for k in production.kinds]
    text = f"The system had {topology.n_atoms:,} atoms ({listed(kinds)})"
    box = box_words(production)
    if not box:
        return f"{text}."
    lengths, angles = source.frames().cell_parameters()
    x, y, z = np.cos(np.deg2rad(angles.T))
    volumes = lengths.prod(axis=1) * np.sqrt(1 - x**2 - y**2 - z**2 + 2 * x * y * z)
    density = _DA_PER_NM3 * masses_of(topology).sum() / volumes.mean()
    return f"{text} in a periodic box of {box}, at {density:.4g} g/cm³."


def program_words(paper: Paper, run: Run) -> str:
    """Write which programs took the steps, and how exactly."""
    record = run.record
    in_lammps = record.get("engine") == LAMMPS
    program = "LAMMPS" if in_lammps else "OpenMM"
    text = f"The simulations were run in {program}"
    text += _of(f"{program.lower()}_version", record, " {}")
    text += paper.cite(program.lower())
    text += _of("platform", record, " on its platform {}")
    text += f" with openmm_allegro {record.get('package_version', '')}".rstrip()
    options = [
        _of("precision", record, "{} precision"),
        _of("backend", record, "backend {}"),
        _of("two_body", record, "two-body terms {}"),
    ]
    options = ", ".join(filter(None, options))
    return f"{text} ({options})." if options else f"{text}."


def _ensemble(paper: Paper, run: Run, kelvin: str | None) -> str:
    record = run.record
    if not run.ensemble:
        return ""
    text = f"in the {run.ensemble.partition('-')[0].upper()} ensemble"
    levels = np.atleast_1d(record.get("temperature_k", []))
    kelvin = kelvin or " to ".join(f"{x:g}" for x in levels)
    if run.ensemble == "nve":
        drawn = record.get(VELOCITIES_DRAWN)  # older records do not say
        if drawn is False:
            text += ", with the velocities that the run before had ended with"
        elif drawn and kelvin:
            text += f", with velocities drawn at {kelvin} K"
    elif kelvin:
        text += f" at {kelvin} K"
    if run.ensemble not in _BAROSTATS:
        return text
    text += _of("pressure_bar", record, " and {:g} bar")
    name, work = "Monte Carlo barostat", "barostat"
    if record.get("engine") == LAMMPS:
        name, work = "barostat of Martyna, Tobias and Klein", "moving-barostat"
    text += f" ({name}{paper.cite(work)}, {_BAROSTATS[run.ensemble]}"
    return text + _of("barostat_interval", record, ", attempted every {} steps") + ")"


def _integrator(paper: Paper, run: Run) -> str:
    record = run.record
    name = record.get("integrator")
    if name is None:
        return ""
    lammps = record.get("engine") == LAMMPS
    words, rate, works = find_integrator(name, run.ensemble, lammps=lammps)
    text = f"with {words}{paper.cite(*works)}"
    details = []
    if rate and run.ensemble != "nve":
        details.append(_of("friction_per_ps", record, rate + " {:g} per ps"))
    if name == RPMD:
        details.append(_of("beads", record, "{} beads"))
    if record.get("classical_beads"):
        details.append(
            f"forces of the force field on {record['classical_beads']} by contraction"
            + paper.cite("contraction")
        )
    details = ", ".join(filter(None, details))
    return f"{text} ({details})" if details else text


def _analysis(paper: Paper, production: Production, findings: Findings) -> list[str]:
    """Say what was measured of which frames, and how errors were found."""
    found = findings.measured
    done = {name: QUANTITIES[name] for name in QUANTITIES if name in found}
    if not production.run.has_frames or not found:
        return []
    start, equilibration = production.start, ""
    if "independent values" in production.reason:
        equilibration = paper.cite("equilibration")
    read = paper.cite("mdtraj")
    each = [words + paper.cite(*works) for words, works in done.values()]
    surfaces = []
    if "free-energy" in found:  # which are of other parts of the run
        words = surface_words(paper, found["free-energy"], production.run)
        surfaces.append(f"{words[0].upper()}{words[1:]}.")
    if not each:
        return surfaces
    return [
        f"Frames of {production.run.stage} from {start:.4g} ps on "
        f"({production.reason}{equilibration}) were read with mdtraj{read} and "
        f"analysed with openmm_allegro {__version__}: {listed(each)}.",
        *surfaces,
        "Errors are half-widths of 68 % intervals: of time averages by the statistical "
        f"inefficiency{paper.cite('inefficiency')}, of all else by a jackknife over "
        f"blocks{paper.cite('jackknife')}.",
    ]


# What stages may have in common.
_SHARED = {"integrator": _integrator, "written": _written}
