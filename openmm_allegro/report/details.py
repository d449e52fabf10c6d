# SPDX-License-Identifier: MIT
"""Names and values of a run, as its record and its frames hold them."""

import contextlib

import numpy as np

from ..runs.minimization import minimization_words
from ..runs.names import LAMMPS, MINIMIZATION, VELOCITIES_DRAWN, WARNINGS
from .html import join, tag
from .region import known_topology, link_atom_words, region_words, variable_words

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
# Endings of keys that are units.
_UNITS = {
    "_kj_mol": "kJ/mol",
    "_per_ps": "per ps",
    "_ps": "ps",
    "_fs": "fs",
    "_nm": "nm",
    "_angstrom": "Å",
    "_da": "Da",
}
# Programs that take the steps, by their names in a record.
_ENGINES = {"openmm": "OpenMM", LAMMPS: "LAMMPS"}
# Keys whose words are no name of what they mean, with the unit of their values.
_TITLES = {
    "backend_reason": ("reason for the backend", ""),
    "two_body": ("two-body terms", ""),
    "kernel": ("code of the network", ""),
    "skin": ("list of pairs beyond the cutoff", "Å"),
    "charges": ("charges of the model", ""),
    "charge_alpha": ("width of charges, α", "1/Å"),
    "total_charge": ("total charge", "e"),
    "flexible_molecules": ("volume moves shift atoms, not molecules", ""),
    "velocities_drawn": ("velocities drawn at the start", ""),
    "forcefield": ("force field", ""),
    "mixing_region": ("selection of the region", ""),
    "system_xml": ("System XML", ""),
    "system_xml_sha256": ("SHA-256 of the System XML", ""),
    "positions_sha256": ("SHA-256 of the positions", ""),
    "frame": ("frame of the first positions", ""),
    "bonds": ("bonds found by", ""),
    "variable_interval": ("variables every", "steps"),
    "dipole_interval": ("dipoles every", "steps"),
    "charge_interval": ("charges every", "steps"),
    "bead_interval": ("beads every", "steps"),
    "barostat_interval": ("volume moves every", "steps"),
}
# Rows that say what a record lacks.
_OF_RECORDS = ("Integrator", "Steps", "Versions")
# Keys of a record that tell a reader of the page nothing, or nothing that its warnings
# and remarks do not tell.
_HIDDEN = {
    *("checkpoint_interval", "checkpoint_step", "finished", "stopped"),
    *("stochastic_thermostat", "first_part_watched", WARNINGS),
}

_NO_LEVEL = "not given; a card beside the model's file, NAME.card.toml, gives it"


def named(key, value):
    """Write a key of a record with its unit: ``height_kj_mol`` 1, height 1 kJ/mol."""
    if key in _TITLES:
        name, unit = _TITLES[key]
        return name, f"{value} {unit}" if unit else value
    for ending, unit in _UNITS.items():
        if key.endswith(ending):
            return key.removesuffix(ending).replace("_", " "), f"{value} {unit}"
    return key.replace("_", " "), value


def _capitalized(name, value):
    return name[:1].upper() + name[1:], value


def number(value, form=".3g", unit=""):
    """Number with a unit, or empty where there is none."""
    return "" if value is None else f"{value:{form}}{unit}"


def details(run, production):
    """List names and values of a run: those of the card, then what else is recorded."""
    record = run.record
    friction = number(record.get("friction_per_ps"), "g", " per ps")
    if run.ensemble == "nve":
        friction = ""
    mass = number(record.get("hydrogen_mass_da"), "g", " Da")
    written = number(record.get("report_interval"), ",d", " steps")
    velocities = number(record.get("velocity_interval") or None, ",d", " steps")
    engine = _ENGINES.get(record.get("engine", "openmm"), record.get("engine"))
    version_key = f"{record.get('engine', 'openmm')}_version"
    versions = (
        f"openmm_allegro {record.get('package_version', 'not recorded')}, "
        f"{engine} {record.get(version_key, 'not recorded')}"
    )
    # name, value, and the keys of the record that it is made of
    rows = [
        ("Model", _model(record), "model", "model_sha256", "model_weights_sha256"),
        *_model_rows(record, production),
        ("Composition", composition(production)),
        ("Atoms", number(record.get("atoms"), ",d"), "atoms"),
        ("Box", box_words(production)),
        (
            "Periodic images",
            "left out" if record.get("no_periodic") else "",
            "no_periodic",
        ),
        ("Run in", engine if "engine" in record else "", "engine"),
        ("Ensemble", run.ensemble.upper(), "ensemble"),
        ("Integrator", record.get("integrator", "not recorded"), "integrator"),
        *_bias_rows(record, production),
        ("Temperature", temperature_words(run, " K"), "temperature_k"),
        (
            "Replicas at",
            _list(record.get("temperatures_k"), ".4g", " K"),
            "temperatures_k",
        ),
        ("Replicas at λ", _list(record.get("lambdas"), ".4g", ""), "lambdas"),
        ("Pressure", number(record.get("pressure_bar"), "g", " bar"), "pressure_bar"),
        ("Friction", friction, "friction_per_ps"),
        ("Time step", number(record.get("timestep_fs"), "g", " fs"), "timestep_fs"),
        ("Hydrogen mass", mass, "hydrogen_mass_da"),
        ("Steps", run.progress, "steps", "completed_steps"),
        ("Simulated", _finite(run.simulated, ".6g", " ps")),
        ("Written every", written, "report_interval"),
        ("Velocities every", velocities, "velocity_interval"),
        ("Minimisation", _minimization(record), "minimized"),
        ("Went on at step", _list(record.get("resumed_at")), "resumed_at"),
        ("Seed", record.get("seed"), "seed"),
        ("Forces", _list(record.get("forces")), "forces"),
        ("Speed", number(run.speed, ".3g", " ns/day"), "ns_per_day"),
        ("Platform", record.get("platform"), "platform"),
        *(
            (f"Hardware: {key.replace('_', ' ')}", value, "hardware")
            for key, value in _hardware(record).items()
        ),
        ("Versions", versions, "package_version", version_key),
    ]
    shown = _HIDDEN.union(*(keys for _, _, *keys in rows))
    others = [
        _capitalized(*named(key, _yes(value) if isinstance(value, bool) else value))
        for key, value in _scalars(record).items()
        if key not in shown and (value or not key.endswith("_interval"))
    ]
    # Files of another program have no record that could lack something.
    left = () if run.record_file is not None or run.table else _OF_RECORDS
    return [(name, value) for name, value, *_ in rows if name not in left] + others


def _minimization(record):
    """Say what a minimisation did, "not asked for", or nothing without a record."""
    if record.get("minimized") is False and MINIMIZATION not in record:
        return "not asked for"
    return minimization_words(record)


def _scalars(record):
    """Values of a record, and lists of them as text; what is nested is left out."""
    kinds = str, int, float
    lists = {
        key: ", ".join(map(str, value))
        for key, value in record.items()
        if isinstance(value, list) and all(isinstance(x, kinds) for x in value)
    }
    return {
        k: x for k, x in (record | lists).items() if isinstance(x, kinds) and x != ""
    }


def _model_rows(record, production):
    """Rows of what the model is, of its region and of what is at its border."""
    rows = []
    about = record.get("model_about") or []
    for name, title, form in (
        ("title", "Model's title", "{}"),
        ("level_of_theory", "Level of theory", "{}"),
        ("source", "Training data", "{}"),
        ("architecture", "Architecture", "{}"),
        ("training_structures", "Training structures", "{:,}"),
        ("training", "Training", "{}"),
        ("imported", "Imported from nequip", "{0[file]}"),
        ("errors", "RMSE on frames that were not trained on", "{}"),
        ("checked", "Checked", "{}"),
        ("fails", "Known to fail", "{}"),
        ("cutoff_angstrom", "Cutoff", "{:g} Å"),
        ("kind", "Kind of model", "{}"),
    ):
        values = [form.format(each[name]) for each in about if name in each]
        if name == "level_of_theory" and any("training" in each for each in about):
            values = values or [_NO_LEVEL]
        rows.append((title, ", ".join(dict.fromkeys(values))))
    region, words = record.get("ml_region", ""), region_words(record, production)
    shown = words if words == region else f"{words}: {region.split(': ')[1]}"
    return [
        *rows,
        ("Model's region", shown, "ml_region", "embedding"),
        ("Embedding", record.get("embedding")),
        ("Link atoms", link_atom_words(record, production)),
    ]


def _bias_rows(record, production):
    """Rows of collective variables, restraints and bias, each with its settings."""
    rows = []
    for title, name in (("Variable", "variables"), ("Restraint", "restraints")):
        found = record.get(name)
        for one in found if isinstance(found, list) else ():
            name = one.get("name") or one.get("variable")
            atoms = variable_words(one.get("groups"), production)
            named_atoms = {"atoms": atoms} if atoms else {}
            rows.append((f"{title} {name}", one | named_atoms))
    if isinstance(record.get("bias"), dict):
        rows.append(("Bias", record["bias"]))
    return [(title, _settings_words(values)) for title, values in rows]


def _settings_words(values):
    """Write a table of settings in a line, without those that are not set."""
    hidden = ("name", "variable", "column", "unit")
    return ", ".join(
        " ".join(map(str, named(name, _flat(value))))
        for name, value in values.items()
        if name not in hidden and value not in (None, [], False)
    )


def _flat(value):
    if isinstance(value, list):
        each = (f"({_flat(x)})" if isinstance(x, list) else f"{x}" for x in value)
        return " ".join(each)
    return value


def temperature_words(run, unit):
    """Write ``300``, or ``300 → 500`` for a ramp; of NVE, that of first velocities."""
    value = run.record.get("temperature_k")
    kept = run.ensemble == "nve" and run.record.get(VELOCITIES_DRAWN) is False
    if value is None or kept:
        return ""
    text = " → ".join(f"{x:g}" for x in np.atleast_1d(value)) + unit
    return f"{text} at first" if run.ensemble == "nve" else text


def _model(record):
    model, digest = record.get("model"), record.get("model_sha256")
    if weights := record.get("model_weights_sha256"):
        model, digest = "of no file, by its weights", weights
    if model is None and digest is None:
        return ""
    return join(
        _several(model) or "not recorded",
        tag("small", f" sha256 {_several(digest)}", class_="hash") if digest else None,
    )


def _several(value):
    """A text, or the texts of a committee."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def composition(production):
    """Write ``60 water · 2 Na · 2 Cl``, or nothing where there are no frames.

    Formulas are beside names that do not tell them.
    """
    if known_topology(production) is None:
        return ""
    words = []
    for kind in production.kinds:
        formula = kind.formula.translate(_SUBSCRIPTS)
        name = formula if kind.name == kind.formula else kind.name
        told = kind.monoatomic or kind.name == "water" or name == formula
        words.append(
            f"{len(kind.molecules):,} {name}" + ("" if told else f" ({formula})")
        )
    return " · ".join(words)


def box_words(production):
    """Write the lengths and angles of the box, or nothing without one."""
    cells = None
    if production.run.has_frames:
        with contextlib.suppress(ValueError):  # said where frames are shown
            cells = production.source.frames().cell_parameters()
    if cells is None:
        return ""
    (lengths, angles), varies = (
        (x.mean(axis=0) for x in cells),
        np.ptp(cells[0], axis=0),
    )
    text = " × ".join(f"{x:.4f}" for x in lengths) + " nm"
    if np.abs(angles - 90).max() > 0.01:
        text += ", " + ", ".join(f"{x:.2f}°" for x in angles)
    return text + (" (mean)" if varies.max() > 1e-4 else "")


def _hardware(record):
    hardware = record.get("hardware")
    return hardware if isinstance(hardware, dict) else {}


def _list(values, form="", unit=""):
    if not isinstance(values, list) or not values:
        return ""
    return ", ".join(f"{value:{form}}" for value in values) + unit


def _finite(value, form, unit=""):
    return number(value, form, unit) if np.isfinite(value) else ""


def _yes(value):
    return "" if value is None else ("yes" if value else "no")
