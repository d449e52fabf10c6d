# SPDX-License-Identifier: MIT
"""Variables, restraints and bias of a run, together: checked, recorded, compared."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .settings import Bias, Restraint, Variable

# Names in the record of a run.
RECORDED = ("variables", "restraints", "bias")


@dataclass(frozen=True)
class Sampling:
    """Variables, restraints and bias, as ``run`` and ``run_protocol`` take them.

    Attributes
    ----------
    variables : sequence of Variable
        All are written as the run goes on.
    restraints : sequence of Restraint
    bias : Metadynamics, Opes, Plumed or None

    Raises
    ------
    ValueError
        If there is another thing among them.
    """

    variables: Sequence[Variable] = ()
    restraints: Sequence[Restraint] = ()
    bias: Bias | None = None

    def __post_init__(self) -> None:
        for name, cls in (("variables", Variable), ("restraints", Restraint)):
            values = getattr(self, name)
            if not isinstance(values, list | tuple):
                raise ValueError(
                    f"expected a list of {name}, each of class {cls.__name__}, found "
                    f"{values!r:.100}"
                )
            wrong = [v for v in values if not isinstance(v, cls)]
            if wrong:
                raise ValueError(
                    f"expected {name} of class {cls.__name__}, found {wrong[0]!r:.100}"
                )
            object.__setattr__(self, name, tuple(values))
        if self.bias is not None and not isinstance(self.bias, Bias):
            raise ValueError(
                "expected a bias of class Metadynamics, Opes or Plumed, found "
                f"{self.bias!r:.100}"
            )

    def __bool__(self) -> bool:
        return bool(self.variables or self.restraints or self.bias)

    def of_run(self) -> "Sampling":
        """Return this, of a single run, which has no stages.

        Raises
        ------
        ValueError
            If a restraint names stages.
        """
        for restraint in self.restraints:
            if restraint.stages:
                raise ValueError(
                    f"restraint of {restraint.variable}: expected no stages in a "
                    f"single run, found {list(restraint.stages)}"
                )
        return self

    def of_stage(self, name: str, *, biased: bool) -> "Sampling":
        """Select what acts in a stage of a protocol; variables are written in all."""
        return Sampling(
            self.variables,
            [r for r in self.restraints if not r.stages or name in r.stages],
            self.bias if biased else None,
        )


def bias_record(bias: Bias | None) -> dict[str, Any] | None:
    """Collect the settings of a bias for the record of a run."""
    if bias is None:
        return None
    values = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(bias).items()
        if key != "file"  # whose text is recorded
    }
    return {"kind": bias.kind} | values


def restraint_records(restraints: Sequence[Restraint]) -> list[dict[str, Any]]:
    """Collect the settings of restraints, without the stages that they act in."""
    records = [dataclasses.asdict(restraint) for restraint in restraints]
    return [{k: v for k, v in each.items() if k != "stages"} for each in records]


def sampling_differences(
    before: Mapping[str, Any], asked: Mapping[str, Any]
) -> list[str]:
    """Name what differs in variables, restraints and bias of two records.

    Parameters
    ----------
    before, asked : mapping
        Records of runs; those without any have none of ``RECORDED``.

    Returns
    -------
    list of str
        ``variable d: groups [[0], [1]] rather than [[0], [2]]``, for instance.
    """
    words = []
    for name in ("variables", "restraints"):
        old, new = (values.get(name) or [] for values in (before, asked))
        if len(old) != len(new):
            words.append(f"{len(old)} {name} rather than {len(new)}")
            continue
        for one, other in zip(old, new, strict=True):
            what = one.get("name", one.get("variable"))
            words += _differences(f"{name.removesuffix('s')} {what}", one, other)
    old, new = (values.get("bias") for values in (before, asked))
    if old is None or new is None or old["kind"] != new["kind"]:
        if old != new:
            kinds = [each["kind"] if each else "none" for each in (old, new)]
            words.append(f"bias {kinds[0]} rather than {kinds[1]}")
        return words
    return words + _differences("bias", old, new)


def _differences(
    where: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[str]:
    names = dict.fromkeys([*old, *new])
    return [
        f"{where}: {name} {_short(old.get(name))} rather than {_short(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
