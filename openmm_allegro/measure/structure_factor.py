# SPDX-License-Identifier: MIT
"""Structure factors: partial, and as X-rays and neutrons see them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..runs.source import Source
from ..utils.settings import setting
from .judgement import judge_independent
from .measurement import Measurement, highest
from .quantity import Quantity, Settings, blocks_setting

_NAMES = {"number": "number", "xray": "X-ray", "neutron": "neutron"}
# Positions that waves are summed over, in ten frames at least: a large system averages
# over itself.
_POSITIONS, _LEAST = 40_000, 10


@dataclass(frozen=True)
class StructureFactorSettings(Settings):
    """Settings of structure factors."""

    q_max: float = setting(
        100.0, about="Longest wave vector", unit="1/nm", above=0, metavar="Q"
    )
    bin_width: float = setting(
        1.0, about="Width of the bins", unit="1/nm", above=0, metavar="Q"
    )
    vectors: int = setting(100, about="Wave vectors of a bin", minimum=1, metavar="N")
    isotopes: str = setting(
        "", about="Mass numbers for neutrons: H=2,Li=7", metavar="H=2"
    )
    norm: str = setting(
        "mean square",
        about="Norm of the totals: mean square of the weights, or the squared mean of "
        "Faber and Ziman, which is near zero for neutrons and H₂O",
        choices=("squared mean", "mean square"),
    )
    seed: int = setting(0, about="Seed of the choice of wave vectors", minimum=0)
    blocks: int = blocks_setting()


def measure_structure_factor(
    source: Source, subjects: Sequence[str] | None, settings: StructureFactorSettings
) -> Measurement:
    """Measure structure factors of all frames; results are those of a StructureFactor.

    Subjects are the curves of the table and the figure: number, xray, neutron or a pair
    such as ``Cl-Na``. Default: xray and neutron.
    """
    from ..analysis import plot_structure_factor, structure_factor

    shown = _curve_names(source, subjects or ("xray", "neutron"))
    frames = source.frames(positions=_POSITIONS, least=_LEAST)
    factor = structure_factor(
        frames,
        settings.q_max,
        bin_width=settings.bin_width,
        vectors_per_bin=settings.vectors,
        isotopes=_isotopes(settings.isotopes),
        norm=settings.norm,
        seed=settings.seed,
        n_blocks=settings.blocks,
    )
    curves = {name: getattr(factor, name) for name in _NAMES} | factor.partial
    rows = []
    for name in shown:
        label = _NAMES.get(name, name)
        rows += highest(label, "highest S(q)", factor.q, *curves[name], "", "1/nm")
    warnings = judge_independent(
        "all", "structure factors", factor.independent, factor.few, "highest S(q)"
    )
    drawn = {_NAMES.get(name, name): (factor.q, curves[name]) for name in shown}
    return Measurement(
        rows,
        factor._asdict(),
        {"q": "1/nm", "value": "1", "error": "1", "independent": "1", "few": "1"},
        {
            name: {"q (1/nm)": factor.q, "S": value, "S_error": error}
            for name, (value, error) in curves.items()
        },
        lambda path: plot_structure_factor(drawn, path),
        notes=[
            f"From {frames.n_frames} frames, over the {settings.norm} of the form "
            "factors or scattering lengths; "
            f"{settings.isotopes or 'natural isotopes'}."
        ],
        warnings=warnings,
    )


QUANTITY = Quantity(
    "structure-factor",
    measure_structure_factor,
    StructureFactorSettings,
    "S(q), partial, and as X-rays and neutrons see them; CURVE is what is shown: "
    "number, xray, neutron or a pair such as Cl-Na (default: xray neutron)",
    subjects="[CURVE ...]",
    read_subjects=list,
    beads=True,
)


def _curve_names(source: Source, asked: Sequence[str]) -> list[str]:
    symbols = sorted({atom.element.symbol for atom in source.topology.atoms})
    known = [*_NAMES, *(f"{a}-{b}" for i, a in enumerate(symbols) for b in symbols[i:])]
    names = ["-".join(sorted(name.split("-"))) for name in asked]
    if set(names) - set(known):
        raise ValueError(
            f"expected curves of {', '.join(known)}, found {', '.join(names)}"
        )
    return names


def _isotopes(text: str) -> dict[str, int]:
    """Read mass numbers from ``H=2,Li=7``."""
    isotopes = {}
    for item in filter(None, text.split(",")):
        symbol, _, number = item.partition("=")
        if not number.isdigit():
            raise ValueError(f"expected --isotopes such as H=2, found {item!r}")
        isotopes[symbol] = int(number)
    return isotopes
