# SPDX-License-Identifier: MIT
"""Bias, restraints and replicas of a run, in words for a paper."""

from typing import Any

from ..runs.run import Run
from ..utils.words import listed

# Where walls keep a variable, by the side that has energy.
_SIDES = {"above": "below", "below": "above"}


def bias_words(paper: Any, run: Run, subject: str) -> str:
    """Write what acted on a run beside its System; empty where nothing did."""
    record, sentences = run.record, []
    units = {v.get("name"): v.get("unit", "") for v in record.get("variables", [])}
    bias = record.get("bias")
    if isinstance(bias, dict):
        sentences.append(_bias(paper, bias, units, subject))
    restraints = record.get("restraints")
    if restraints:
        each = listed(_restraint(one, units) for one in restraints)
        sentences.append(
            f"{subject} was restrained by k/2 times the square of the distance"
            f"{paper.cite('umbrella')}: {each}."
        )
    return " ".join(sentences)


def _bias(paper: Any, bias: dict[str, Any], units: dict[str, str], subject: str) -> str:
    kind, variables = bias.get("kind"), bias.get("variables", [])
    name = {
        "metadynamics": "well-tempered metadynamics",
        "opes": "OPES",
        "plumed": "PLUMED",
    }.get(kind, str(kind))
    works = [kind] if kind in ("metadynamics", "opes", "plumed") else []
    if bias.get("explore"):
        name, works = "OPES-explore", ["opes-explore"]
    text = f"{subject} was biased by {name}{paper.cite(*works)}"
    if variables:
        text += f" of {listed(map(str, variables))}"
    details = []
    if bias.get("height_kj_mol") is not None:
        details.append(f"hills of {bias['height_kj_mol']:g} kJ/mol at first")
    if bias.get("barrier_kj_mol") is not None:
        details.append(f"barrier {bias['barrier_kj_mol']:g} kJ/mol")
    if bias.get("pace"):
        details.append(f"every {bias['pace']} steps")
    if bias.get("bias_factor"):
        details.append(f"bias factor {bias['bias_factor']:g}")
    if bias.get("widths"):
        pairs = zip(variables, bias["widths"], strict=False)
        widths = listed(_with_unit(x, units.get(v, "")) for v, x in pairs)
        details.append(f"widths {widths}")
    return f"{text} ({', '.join(details)})." if details else f"{text}."


def _restraint(restraint: dict[str, Any], units: dict[str, str]) -> str:
    name = restraint.get("variable")
    unit = units.get(name, "")
    where = _SIDES.get(restraint.get("side"), "about")
    text = f"{name} {where} {_with_unit(restraint.get('center'), unit)}"
    constant = restraint.get("force_constant")
    if constant is not None:
        per = {"": "", "°": "/rad²"}.get(unit, f"/{unit}²")
        text += f" with k = {constant:g} kJ/mol{per}"
    if restraint.get("flat"):
        text += f", flat within {_with_unit(restraint['flat'], unit)}"
    return text


def _with_unit(value: Any, unit: str) -> str:
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    return f"{number}{unit}" if unit == "°" else f"{number} {unit}".rstrip()


def surface_words(paper: Any, measurement: Any, run: Run) -> str:
    """Write how free energies over collective variables of a run were found."""
    ways, bias = [], run.record.get("bias")
    kind = bias.get("kind") if isinstance(bias, dict) else None
    works = {"metadynamics": ("reweighting",), "opes": ("umbrella", "opes")}
    if any(result.get("windows") for result in measurement.results.values()):
        ways.append(f"MBAR{paper.cite('mbar')}")
    if any("(hills)" in item for item in measurement.results):
        ways.append("the sum of all hills")
    if any("(reweighting)" in item for item in measurement.results):
        work = paper.cite(*works.get(kind, ("umbrella",)))
        filled = " of the time after basins were filled" if bias else ""
        ways.append(f"reweighting{work}{filled}")
    by = f" by {listed(ways)}" if ways else ""
    return f"free energies over collective variables were found{by}"


def replica_words(paper: Any, run: Run) -> str:
    """Write how replicas exchanged their states; empty for a run that has none."""
    record = run.record
    method = record.get("method")
    if method is None:
        return ""
    if method == "switching":
        if record.get("directions", "both") != "both":
            return (
                "Free energies are from works of switching in one direction, "
                f"{record['directions']}{paper.cite('jarzynski')}."
            )
        return (
            "Free energies are from works of switching in both directions"
            f"{paper.cite('crooks', 'bar')}."
        )
    along, unit = "temperatures_k", " K"
    if record.get("lambdas"):
        along, unit = "lambdas", ""
    states = record.get(along) or []
    values = ", ".join(f"{x:.4g}" for x in states)
    name = "λ" if along == "lambdas" else "temperatures"
    text = f"{len(states)} replicas exchanged {name} ({values}{unit})"
    text += paper.cite("replicas")
    if record.get("steps_per_iteration"):
        text += f" every {record['steps_per_iteration']:,} steps"
    if along == "lambdas":  # of temperatures nothing is told that needs them
        text += ", from the force field (λ = 0) to the model (λ = 1)"
        text += f"; free energies are by MBAR{paper.cite('mbar')}"
    return f"{text}."
