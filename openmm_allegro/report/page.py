# SPDX-License-Identifier: MIT
"""A run as one HTML page that opens offline."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from ..runs.names import is_series
from ..runs.run import find_runs, read_stages
from ..runs.window import Window
from ..topology.elements import NamesUnclear, Naming
from ..utils.files import check_new_file, replace_file
from .charges import charges_section
from .details import composition, details, number
from .exchanges import exchanges_section, no_kinetics
from .free_energy import free_energy_section
from .html import attempt, document, note, section, tiles
from .kinetics import kinetics_section
from .methods import methods_section
from .models import failure_words
from .nuclei import nuclei_section
from .production import Findings, check_frames, make_production
from .series import series_page
from .structure import structure_section
from .summary import (
    alert_list,
    command_line,
    footer,
    summary_section,
)
from .traces import traces_section
from .vibrations import vibrations_section
from .viewer import viewer

# Positions that the viewer chooses from.
_POSITIONS = 20_000_000


def report(
    run,
    output=None,
    *,
    overwrite=False,
    charges=None,
    start=None,
    stage=None,
    elements=None,
    drop_repeated=False,
    jumps=None,
    time_step=None,
    cell=(),
):
    """Write a page about a run: what was run, traces, structure, kinetics, a look.

    The page is one file without references to others, and opens without a network.
    Where the data does not allow a result, the reason stands in its place.

    Parameters
    ----------
    run : str or Path, or sequence of them
        Prefix of a run, such as ``runs/nacl/nvt``, or folder of a protocol; or of a
        series of temperatures, whose page has what is measured at each, and the lines;
        or the trajectory of any program and its topology.
    output : str or Path, optional
        File to write. Default: the prefix, or the trajectory's name without its ending,
        and ``.html``, or ``report.html`` in the folder.
    overwrite : bool, optional
        Whether an existing file may be replaced.
    charges : dict of str to float, or str, optional
        Charge numbers of the ions for the conductivity: by element for ions of one
        atom, by residue name for others, as ``{"Li": 1, "PF6": -1}``, the same as text,
        ``"Li=1,PF6=-1"``, or a file of one number for each atom. Default: those of
        the run's System, or formal ones where all ions are of one atom.
    start : float, optional
        Time in ps from which structure and kinetics are taken. Default: a tenth of the
        run, or later where the potential energy says so; of NVE runs, from the start
        if it allows, and of runs without a table of energies, too.
    stage : str, optional
        Stage of a protocol whose structure and kinetics are shown. Default: the last
        with a trajectory.
    elements : dict of str to str, optional
        Elements by names of atoms, where the run's topology does not tell them, as
        ``{"SOD": "Na"}``.
    drop_repeated : bool, optional
        Whether to leave out frames whose time comes again later, as after a restart.
    jumps : measure.jumps.JumpsSettings, optional
        Sites of ions in a solid, and kinds of their jumps. Default: the maxima of the
        ions' density.
    time_step : float, optional
        Time between frames in ps, of a trajectory that holds no times.
    cell : sequence of float, optional
        Lengths in nm, and angles in degrees, of frames that have no cell.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileNotFoundError
        If there is no run.
    FileExistsError
        If `output` exists and `overwrite` is not set.
    ValueError
        If a record cannot be read, or charges, start or stage do not fit the run.
    """
    if not _files_of(run) and is_series(run):
        given = {"charges": charges, "elements": elements, "cell": cell}
        given |= {"drop_repeated": drop_repeated, "time_step": time_step}
        path = check_page(run, output, overwrite)
        content = series_page(run, path, jumps, start, stage, given)
        replace_file(path, content)
        return path
    naming = Naming(dict(elements or {}))
    window = Window(
        start=start,
        drop_repeated=drop_repeated,
        time_step=time_step,
        cell=tuple(cell),
    )
    runs = [replace(part, elements=naming.elements) for part in _runs_of(run)]
    path = check_page(run, output, overwrite)
    analysed = _analysed(runs, stage)
    if start is not None and not start >= 0:
        raise ValueError(f"expected a start of at least 0 ps, found {start:.6g}")
    if isinstance(charges, Mapping):
        charges = ",".join(f"{name}={number!r}" for name, number in charges.items())
    command = command_line(run, output, charges, stage, naming.elements, window, jumps)
    with tempfile.TemporaryDirectory() as folder:
        content = _content(
            runs,
            analysed,
            Path(folder),
            command,
            window=window,
            charges=charges,
            jumps=jumps,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content)
    return path


def check_page(run, output=None, overwrite=False):
    """The file that `report` will write; FileExistsError if it may not."""
    files = _files_of(run)
    run = files[0].with_suffix("") if files else Path(run)
    if output is None:
        output = run / "report.html" if run.is_dir() else f"{run}.html"
    check_new_file(Path(output), overwrite)
    return Path(output)


def _files_of(run):
    """A trajectory and its topology, where these are named; else nothing."""
    if not isinstance(run, str | Path):
        return [Path(path) for path in run]
    return [Path(run)] if Path(run).is_file() else []


def _runs_of(run):
    """The stages of a run, or the one run that files are of."""
    files = _files_of(run)
    if not files:
        return read_stages(run)
    runs, rest = find_runs([str(path) for path in files])
    if rest or len(runs) != 1 or runs[0].trajectory is None:
        raise ValueError(
            "expected the prefix of a run, the folder of a protocol, or one trajectory "
            f"and its topology, found {' '.join(map(str, files))}"
        )
    return runs


def _analysed(runs, stage):
    """The run whose structure and kinetics are shown."""
    if stage is not None:
        chosen = [run for run in runs if run.stage == stage]
        if not chosen:
            names = ", ".join(run.stage for run in runs)
            raise ValueError(f"expected a stage of {names}, found {stage!r}")
        return chosen[0]
    complete = [run for run in runs if run.has_frames]
    return (complete or runs)[-1]


def _content(runs, run, folder, command, *, window, charges, jumps):
    findings = Findings()
    production = make_production(
        run, folder, charges=charges, asked={"jumps": jumps}, **vars(window)
    )
    missing = None
    for text in failure_words(run.record):
        findings.warn(text)
    free_energy = free_energy_section(runs, production, findings)
    try:
        check_frames(production)
        for remark in production.source.frames().notes:
            findings.warn(remark)
    except NamesUnclear:
        raise
    except ValueError as error:
        # What was asked for and does not fit is an error; what is not there, a remark.
        asked = charges is not None or window.start is not None or window.cell
        if asked and run.has_frames:
            raise
        missing = str(error)
    shown = [
        traces_section(runs, production, findings),
        exchanges_section(run),
        free_energy,
    ]
    if missing is None:
        shown += _of_frames(runs, production, findings)
    else:
        shown.append(
            section("Structure and kinetics", note(f"Not computed: {missing}."))
        )
    findings.take(production.measured)
    overview = _overview(runs, run, production, missing is None)
    settings = [row for one in runs for row in _settings(one, production, runs)]
    sections = [
        summary_section(runs, run, production),
        methods_section(runs, production, findings, settings),
        alert_list(runs, findings),
        *shown,
        footer(runs, production, command),
    ]
    # Of a protocol, the folder; of a run, the folder and its name.
    parts = Path(run.name).absolute().parts
    title = parts[-2] if len(runs) > 1 else " · ".join(parts[-2:])
    words = " · ".join(filter(None, ("Molecular dynamics", composition(production))))
    script = (files(__package__) / "viewer.js").read_text(encoding="utf-8")
    first = tiles(overview + findings.tiles)
    return document(title, words, first, sections, script)


def _settings(run, production, runs):
    """Names and values of a run, below its name where there are several."""
    rows = details(run, production)
    return rows if len(runs) == 1 else [("Stage", run.stage), *rows]


def _overview(runs, run, production, has_frames):
    """First numbers of the page; of other programs' files those of the frames."""
    if run.record_file is None and has_frames:
        frames = production.source.frames()
        span = frames.last_time - frames.first_time
        length = [(f"{span:.4g}", "ps", "from first to last")] if span >= 0 else []
        return [*length, (f"{frames.n_frames:,}", "", "frames")]
    simulated = sum(r.simulated for r in runs if r.simulated > 0)
    return [
        (f"{simulated:.4g}", "ps", "of each replica" if run.tempered else "simulated"),
        (number(run.speed) or "–", "ns/day", "speed"),
    ]


def _of_frames(runs, production, findings):
    """Sections that need frames."""
    run = production.run
    with_velocities = [one for one in runs if one.velocities is not None]
    return [
        structure_section(production, findings),
        no_kinetics(run) if run.tempered else kinetics_section(production, findings),
        vibrations_section(
            with_velocities[-1] if with_velocities else None, production, findings
        ),
        charges_section(production),
        nuclei_section(production),
        section(
            "A look at the trajectory",
            attempt(f"{run.stage} in 3D", _look, production.source),
        ),
    ]


def _look(source):
    return viewer(source.frames(positions=_POSITIONS).load())
