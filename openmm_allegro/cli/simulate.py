# SPDX-License-Identifier: MIT
"""``openmm-allegro simulate``: a model and a PDB file, or a protocol."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..inputs.settings import MixingConfig
from ..simulate.settings import Execution, RunSettings
from ..simulate.system_config import SystemConfig
from ..utils.settings import add_options as add_settings
from ..utils.settings import given_options, settings_of
from ..utils.trust import Trust
from .inputs import add_inputs, begun_at_state, protocol_of, system_of
from .outcome import Outcome
from .output import add_overwrite_option, print_next, quoted

# A single run takes its model and topology as arguments, and follows no earlier run.
_OF_RUN = [name for name in settings_of(RunSettings) if name != "draw_velocities"]
_OF_SYSTEM = [
    name
    for name in settings_of(SystemConfig)
    if name not in ("topology", "model", "system")
]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb to its parser."""
    add_inputs(parser, "OUTPUT")
    parser.add_argument(
        "--output",
        required=True,
        help="prefix of the files; of a protocol, its folder",
    )
    add_settings(parser, Execution, ("platform", "threads", "seed", "resume"))
    add_settings(parser, Trust)
    add_overwrite_option(parser)
    group = parser.add_argument_group("settings of a single run")
    add_settings(group, RunSettings, _OF_RUN)
    add_settings(group, SystemConfig, _OF_SYSTEM)
    add_settings(
        parser.add_argument_group(
            "region of the model (ML/MM)",
            "the table [mixing] of a protocol; the rest is the force field's",
        ),
        MixingConfig,
    )
    group.add_argument(
        "--watchdogs", type=Path, help="TOML file with a table [watchdogs]"
    )
    group.add_argument(
        "--bias",
        type=Path,
        help="TOML file with tables [[variables]], [[restraints]] and [bias]: "
        "collective variables to write, to restrain, and to bias by metadynamics or "
        "OPES",
    )


def simulate(options: argparse.Namespace) -> Outcome:
    """Run the simulation or the protocol, and print the files."""
    execution = Execution(**given_options(options, Execution), overwrite=options.force)
    path = protocol_of(
        options, [f"--{n}" for n in ("watchdogs", "bias") if getattr(options, n)]
    )
    if path is not None:
        return _simulate_file(path, options, execution)
    return _simulate_one(options, execution)


def _simulate_file(
    path: Path, options: argparse.Namespace, execution: Execution
) -> Outcome:
    """Run a protocol, or one at several temperatures, and print what it wrote."""
    from ..simulate.backend import planned_run
    from ..simulate.protocol import run_protocol
    from ..simulate.protocol_file import read_protocol
    from ..simulate.series import run_series
    from ..simulate.series_file import is_series, read_series

    trust = Trust(**given_options(options, Trust)).trust
    several, run = is_series(path), planned_run(execution, options.output)
    read = read_series if several else read_protocol
    protocol = read(path, trust=trust, run=run)
    prepared = protocol.prepared
    run_stages: Callable[..., Any] = run_series if several else run_protocol
    more: dict[str, Any] = {}
    if not several:
        more = {"starts": protocol.starts, "state": prepared.state}
    written = run_stages(
        prepared.topology,
        prepared.positions,
        prepared.system,
        protocol.stages,
        options.output,
        watchdogs=protocol.watchdogs,
        variables=protocol.sampling.variables,
        restraints=protocol.sampling.restraints,
        bias=protocol.sampling.bias,
        notes=prepared.notes,
        platform=execution.platform,
        threads=execution.threads,
        seed=execution.seed,
        overwrite=execution.overwrite,
        resume=execution.resume,
        **more,
    )
    runs = {}
    for stages in written.values() if several else [written]:
        for name, paths in stages.items():
            prefix = paths["trajectory"].with_suffix("")
            of_series = f"{prefix.parent.name}/" if several else ""
            print(f"{of_series}{name}: {prefix}.*")
            runs[f"{of_series}{name}"] = paths
    free = [f"analyze free-energy {quoted(prefix)}"] if _is_biased(paths) else []
    return _outcome(runs, print_next(f"report {quoted(options.output)}", *free))


def _simulate_one(options: argparse.Namespace, execution: Execution) -> Outcome:
    from ..bias.bias_file import read_sampling
    from ..runs.names import check_output
    from ..simulate.backend import planned_run
    from ..simulate.execute import execute
    from ..simulate.protocol_file import prepare
    from ..simulate.watchdogs.settings import Watchdogs
    from ..utils.config import read_toml

    config, pdb = system_of(options), options.inputs[-1]
    given = given_options(options, RunSettings)
    if config.positions.lower().endswith(".xml"):  # a State
        given = begun_at_state(given)
    settings = RunSettings(**given)
    sampling = read_sampling(options.bias) if options.bias else None
    outputs = check_output(options.output, execution.overwrite, execution.resume)
    for path in (pdb, Path(config.positions)):
        if path.resolve() in [output.resolve() for output in outputs.values()]:
            raise ValueError(
                f"expected an output other than the input, found {path} as both"
            )
    trust = Trust(**given_options(options, Trust)).trust
    run = planned_run(execution, options.output)
    prepared = prepare(
        config, Path(), trust=trust, ensembles=[settings.ensemble], run=run
    )
    watchdogs = None
    if options.watchdogs:
        table = read_toml(options.watchdogs, {"watchdogs": Watchdogs})
        watchdogs = table["watchdogs"].for_models(prepared.models)
    paths = execute(
        prepared.topology,
        prepared.positions,
        prepared.system,
        options.output,
        settings,
        execution,
        watchdogs=watchdogs,
        state=prepared.state,
        notes=prepared.notes,
        sampling=sampling,
    )
    for name, path in paths.items():
        print(f"{name}: {path}")
    prefix, more = quoted(options.output), []
    if settings.steps:
        what = "free-energy" if _is_biased(paths) else "rdf"
        more = print_next(f"report {prefix}", f"analyze {what} {prefix}")
    return _outcome({Path(options.output).name: paths}, more)


def _outcome(runs: dict[str, dict[str, Path]], more: list[str]) -> Outcome:
    """Records of the runs, whose names end in units, and their files."""
    from ..utils.files import read_record

    records = {name: read_record(paths["record"]) for name, paths in runs.items()}
    files = [path for paths in runs.values() for path in paths.values()]
    written = [path for path in files if path.exists()]
    return Outcome({"runs": records}, files=written, next=more)


def _is_biased(paths: dict[str, Path]) -> bool:
    """Tell whether a run was biased, by its files."""
    return "hills" in paths or "kernels" in paths
