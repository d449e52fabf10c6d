# SPDX-License-Identifier: MIT
"""The ``openmm-allegro`` command: parsing alone, each verb calls public functions."""

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._version import __version__

# Packages that a verb needs beyond the base installation, and the extra that has them.
_EXTRA_OF = {
    "lightning": "train",
    "matplotlib": "analysis",
    "mdtraj": "analysis",
    "kinisi": "analysis",
    "nequip": "nequip",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 after an error in what was asked."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        options.verb(options)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").split(".")[0])
        hint = f"; pip install 'openmm-allegro[{extra}]'" if extra else ""
        print(f"openmm-allegro: error: {error}{hint}", file=sys.stderr)
        return 2
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"openmm-allegro: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("openmm-allegro: interrupted; what was written stays", file=sys.stderr)
        return 130
    return 0


def _train(options: argparse.Namespace) -> None:
    from .config import read_toml
    from .dataset import element_types
    from .evaluate import evaluate, parity_plot
    from .model import AllegroConfig
    from .train import DataConfig, TrainConfig, read_data, read_test, train

    tables = {"data": DataConfig, "model": AllegroConfig, "train": TrainConfig}
    config = read_toml(options.config, tables)
    folder = options.config.parent
    output = options.output or Path("runs") / options.config.stem
    training, validation, record = read_data(config["data"], folder)
    test = read_test(config["data"], folder)
    for structure in test:  # before the training, not after it
        element_types(structure.symbols, config["model"].elements, structure.source)
    results = {"json": output / "test.json", "plot": output / "parity.png"}
    # where there is a model or no folder can be, train says what to do
    if test and output.is_dir() and not (output / "model.safetensors").exists():
        for path in results.values():
            _check_free(path, options.force or options.resume)
    model = train(
        config["model"],
        config["train"],
        training,
        validation,
        output,
        resume=options.resume,
        overwrite=options.force,
        provenance=record,
        progress=sys.stderr.isatty(),
    )
    if test:
        result = evaluate(model, test)
        _write_json(results["json"], result["metrics"])
        parity_plot(result["arrays"], model.config.elements, results["plot"])
        _print_metrics(result["metrics"])
    print(f"model: {output / 'model.safetensors'}")


def _evaluate(options: argparse.Namespace) -> None:
    import torch

    from .deploy import PRECISIONS
    from .evaluate import evaluate, parity_plot
    from .modelfile import load_model
    from .train_config import read_labelled

    _check_free(options.json, options.force)
    _check_free(options.plot, options.force, image=True)
    model = load_model(options.model)
    model.energy.set_dtype(PRECISIONS[options.precision])
    distances = torch.float32 if options.precision == "single" else torch.float64
    structures = read_labelled(options.data, options.baseline)
    result = evaluate(model, structures, distances=distances)
    _print_metrics(result["metrics"])
    if options.json:
        _write_json(options.json, result["metrics"])
    if options.plot:
        parity_plot(result["arrays"], model.config.elements, options.plot)


def _info(options: argparse.Namespace) -> None:
    from .modelfile import read_header

    print(json.dumps(read_header(options.model), indent=2))


def _import(options: argparse.Namespace) -> None:
    from .interop.nequip import import_model
    from .modelfile import save_model

    _check_free(options.output, options.force)
    if options.output.resolve() == options.source.resolve():
        raise ValueError(
            f"expected an output other than the input, found {options.source} as both"
        )
    elements = {}
    for item in options.element:
        name, _, symbol = item.partition("=")
        if not name or not symbol:
            raise ValueError(f"expected --element TYPE=SYMBOL, found {item!r}")
        elements[name] = symbol
    model = import_model(
        options.source,
        length_unit=options.length_unit,
        energy_unit=options.energy_unit,
        elements=elements,
        model_key=options.model_key,
    )
    print(f"model: {save_model(model, options.output)}")


def _export(options: argparse.Namespace) -> None:
    from .interop.nequip import export_model
    from .modelfile import load_model

    _check_free(options.output, options.force)
    model = load_model(options.model)
    path = export_model(model, options.output, overwrite=options.force)
    print(f"model: {path}")


def _simulate(options: argparse.Namespace) -> None:
    import torch
    from openmm import app, unit

    from .potential import AllegroPotential
    from .simulate import check_output, run

    outputs = check_output(options.output, options.force)
    if options.pdb.resolve() in [path.resolve() for path in outputs.values()]:
        raise ValueError(
            f"expected an output other than the input, found {options.pdb} as both"
        )
    if options.threads:
        torch.set_num_threads(options.threads)
    potential = AllegroPotential(options.model)
    if not options.pdb.is_file():
        raise FileNotFoundError(f"expected a PDB file, found nothing at {options.pdb}")
    try:
        with open(options.pdb) as file:
            pdb = app.PDBFile(file)
    except Exception as error:  # OpenMM's parser raises many kinds
        raise ValueError(
            f"expected a PDB file at {options.pdb}, found one that OpenMM cannot read "
            f"({type(error).__name__}: {error})"
        ) from error
    system = potential.create_system(
        pdb.topology,
        backend=options.backend,
        precision=options.precision,
        kernel=options.kernel,
        periodic=False if options.no_periodic else None,
    )
    paths = run(
        pdb.topology,
        pdb.positions,
        system,
        options.output,
        steps=options.steps,
        ensemble=options.ensemble,
        temperature=options.temperature * unit.kelvin,
        timestep=options.timestep * unit.femtosecond,
        friction=options.friction / unit.picosecond,
        report_interval=options.report_interval,
        minimize=not options.no_minimize,
        platform=options.platform,
        threads=options.threads,
        notes={
            "model": str(options.model),
            "model_sha256": hashlib.sha256(options.model.read_bytes()).hexdigest(),
            "backend": options.backend,
            "precision": options.precision,
            "kernel": options.kernel,
        },
        seed=options.seed,
        overwrite=options.force,
    )
    for name, path in paths.items():
        print(f"{name}: {path}")


def _analyze(options: argparse.Namespace) -> None:
    import mdtraj

    from .analysis import coordination_number, diffusion, plot_msd, plot_rdf, rdf

    for path in (options.trajectory, options.topology):
        if not path.is_file():
            raise FileNotFoundError(f"expected a file, found nothing at {path}")
    _check_free(options.plot, options.force, image=True)
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
    try:
        trajectory = mdtraj.load(str(options.trajectory), top=str(options.topology))
    except (IndexError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"expected a trajectory at {options.trajectory} with the atoms of "
            f"{options.topology}, found {type(error).__name__}: {error}"
        ) from error
    if options.quantity == "rdf":
        curves, numbers = {}, {}
        for pair in options.selections:
            first, _, second = pair.partition("-")
            if not first or not second:
                raise ValueError(f"expected pairs such as Na-O, found {pair!r}")
            chosen = f"element {first}", f"element {second}"
            curves[pair] = rdf(trajectory, *chosen, r_max=options.r_max)
            try:
                numbers[pair] = coordination_number(
                    trajectory, *chosen, r_max=options.shell
                )
            except ValueError as error:  # the curve is worth having without it
                if options.shell is not None:
                    raise
                print(f"{pair}: no coordination number, {error}")
                continue
            print(
                f"{pair}: first peak {numbers[pair].r_peak:.3f} nm, coordination "
                f"number {numbers[pair].number:.2f} within {numbers[pair].r_max:.3f} nm"
            )
        if options.plot:
            plot_rdf(curves, options.plot, coordination=numbers)
    else:
        results = {}
        for element in options.selections:
            results[element] = diffusion(trajectory, f"element {element}")
            found = results[element]
            print(f"{element}: D = {found.coefficient:.3g} ± {found.error:.2g} cm²/s")
        if options.plot:
            plot_msd(results, options.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="openmm-allegro", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(title="verbs", required=True)

    train = verbs.add_parser("train", help="train a model as a TOML file says")
    train.add_argument("config", type=Path)
    train.add_argument("--output", type=Path, help="new folder (default runs/NAME)")
    train.add_argument("--resume", action="store_true", help="go on in the folder")
    train.set_defaults(verb=_train)

    evaluate = verbs.add_parser("evaluate", help="errors of a model on labelled frames")
    evaluate.add_argument("model", type=Path)
    evaluate.add_argument("data", type=Path, nargs="+", help="files that ase reads")
    evaluate.add_argument("--baseline", nargs="+", default=[], help="XML of Systems")
    evaluate.add_argument("--json", type=Path, help="write the errors to this file")
    evaluate.add_argument("--plot", type=Path, help="draw a parity plot to this file")
    evaluate.set_defaults(verb=_evaluate)

    info = verbs.add_parser("info", help="print the header of a model file")
    info.add_argument("model", type=Path)
    info.set_defaults(verb=_info)

    source = verbs.add_parser(
        "import",
        help="turn a nequip-allegro checkpoint or package into a model file",
        description="nequip's loader unpickles the file, which can run code from it: "
        "import only what you would run.",
    )
    source.add_argument("source", type=Path, help="*.ckpt or *.nequip.zip")
    source.add_argument("-o", "--output", type=Path, required=True)
    source.add_argument("--length-unit", default="angstrom", help="angstrom, nm, bohr")
    source.add_argument(
        "--energy-unit", default="eV", help="eV, kJ/mol, kcal/mol, hartree"
    )
    source.add_argument(
        "--element",
        action="append",
        default=[],
        metavar="TYPE=SYMBOL",
        help="element of a type whose name is no chemical symbol",
    )
    source.add_argument("--model-key", help="which model of a file with several")
    source.set_defaults(verb=_import)

    export = verbs.add_parser(
        "export", help="turn a model file into a nequip checkpoint"
    )
    export.add_argument("model", type=Path)
    export.add_argument("-o", "--output", type=Path, required=True, help="*.ckpt")
    export.set_defaults(verb=_export)

    simulate = verbs.add_parser("simulate", help="molecular dynamics of a PDB file")
    simulate.add_argument("model", type=Path)
    simulate.add_argument("pdb", type=Path)
    simulate.add_argument("--output", required=True, help="prefix of the output files")
    simulate.add_argument("--steps", type=int, default=10_000)
    simulate.add_argument("--ensemble", choices=("nvt", "nve"), default="nvt")
    simulate.add_argument("--temperature", type=float, default=300.0, help="K")
    simulate.add_argument("--timestep", type=float, default=0.5, help="fs")
    simulate.add_argument("--friction", type=float, default=1.0, help="1/ps")
    simulate.add_argument("--report-interval", type=int, default=20, help="steps")
    simulate.add_argument("--no-minimize", action="store_true")
    simulate.add_argument("--no-periodic", action="store_true")
    simulate.add_argument("--backend", default="torchforce")
    simulate.add_argument(
        "--kernel", default="auto", choices=("auto", "fused", "plain")
    )
    simulate.add_argument("--platform", help="default: the fastest present")
    simulate.add_argument(
        "--threads", type=int, help="of torch and of the CPU platform"
    )
    simulate.add_argument("--seed", type=int, default=0, help="0: a new one each time")
    simulate.set_defaults(verb=_simulate)

    analyze = verbs.add_parser("analyze", help="structure and motion of a trajectory")
    analyze.add_argument("quantity", choices=("rdf", "diffusion"))
    analyze.add_argument("trajectory", type=Path)
    analyze.add_argument("topology", type=Path, help="PDB")
    analyze.add_argument(
        "selections", nargs="+", help="Na-O Cl-O (rdf); Na O (diffusion)"
    )
    analyze.add_argument("--r-max", type=float, help="of g(r), nm (default: L/2)")
    analyze.add_argument(
        "--shell", type=float, help="radius of the shell, nm (default: first minimum)"
    )
    analyze.add_argument("--plot", type=Path, help="draw to this file")
    analyze.set_defaults(verb=_analyze)

    for verb in (evaluate, simulate):
        verb.add_argument(
            "--precision", default="mixed", choices=("single", "mixed", "double")
        )
    for verb in (train, evaluate, source, export, simulate, analyze):
        verb.add_argument(
            "--force", action="store_true", help="replace existing output"
        )
    return parser


def _print_metrics(metrics: dict[str, Any]) -> None:
    print(
        f"energy  MAE {metrics['energy_mae']:.3f}  RMSE {metrics['energy_rmse']:.3f}  "
        "meV/atom"
    )
    print(
        f"forces  MAE {metrics['forces_mae']:.2f}  RMSE {metrics['forces_rmse']:.2f}  "
        "meV/Å"
    )
    for element, mae in metrics["forces_mae_by_element"].items():
        rmse = metrics["forces_rmse_by_element"][element]
        print(f"   {element:3s}  MAE {mae:.2f}  RMSE {rmse:.2f}  meV/Å")
    if "stress_rmse" in metrics:
        print(
            f"stress  MAE {metrics['stress_mae']:.4f}  "
            f"RMSE {metrics['stress_rmse']:.4f}  meV/Å³"
        )


def _check_free(path: Path | None, overwrite: bool, *, image: bool = False) -> None:
    """Refuse, before any work, a file that cannot be or should not be written."""
    if path is None:
        return
    if image and path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"expected an image named .png, .pdf or .svg, found {path}")
    if path.is_dir():
        raise FileExistsError(f"expected to write a file at {path}, found a folder")
    if path.parent.exists() and not path.parent.is_dir():
        raise FileExistsError(f"expected a folder at {path.parent}, found a file")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"expected no file yet at {path}, found one; --force replaces it"
        )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
