# SPDX-License-Identifier: MIT
"""``analyze`` of structure beyond g(r): S(q), angles."""

from typing import Any

import numpy as np

from ..runs.selections import groups
from .output import Outcome, Row
from .rdf import shells
from .request import Request, add_blocks, add_frames, numbers, positive

_PARTS = {"number": "number", "xray": "X-ray", "neutron": "neutron"}


def add_quantities(add: Any) -> None:
    """Add the parsers of this module's quantities."""
    factor = add(
        "structure-factor",
        _structure_factor,
        selections="[CURVE ...]",
        help="S(q), partial, and as X-rays and neutrons see it; CURVE is what is "
        "shown: number, xray, neutron or a pair such as Cl-Na (default: xray neutron)",
    )
    factor.add_argument(
        "--q-max", type=float, default=100.0, metavar="Q", help="1/nm (default 100)"
    )
    factor.add_argument(
        "--bin-width", type=float, default=1.0, metavar="Q", help="1/nm (default 1)"
    )
    factor.add_argument(
        "--vectors",
        type=positive,
        default=100,
        metavar="N",
        help="wave vectors of a bin (default 100)",
    )
    factor.add_argument(
        "--isotopes", metavar="H=2", help="mass numbers for neutrons: H=2,Li=7"
    )
    factor.add_argument(
        "--norm",
        default="squared mean",
        choices=("squared mean", "mean square"),
        help="of the totals' weights (default: squared mean, as Faber and Ziman)",
    )
    factor.add_argument("--seed", type=int, default=0, help="of the wave vectors")
    add_frames(factor)
    add_blocks(factor)

    angles = add(
        "angles",
        _angles,
        selections="A-B-C [A-B-C ...]",
        help="distribution of the angle a-b-c of neighbours a and c of b, degrees",
    )
    angles.add_argument(
        "--shell",
        type=numbers,
        metavar="NM",
        help="radius that holds a around b, nm, or those of a and c: 0.2,0.3 (default: "
        "first minima of g(r))",
    )
    angles.add_argument(
        "--bins", type=positive, default=90, metavar="N", help="of 180° (default 90)"
    )
    add_frames(angles)
    add_blocks(angles)


def _structure_factor(request: Request) -> Outcome:
    from ..analysis import plot_structure_factor, structure_factor

    options, frames = request.options, request.frames()
    isotopes = {}
    for item in (options.isotopes or "").split(","):
        symbol, _, number = item.partition("=")
        if item and not number.isdigit():
            raise ValueError(f"expected --isotopes such as H=2, found {item!r}")
        if item:
            isotopes[symbol] = int(number)
    symbols = sorted({atom.element.symbol for atom in frames.topology.atoms})
    known = [
        *_PARTS,
        *(f"{a}-{b}" for i, a in enumerate(symbols) for b in symbols[i:]),
    ]
    shown = ["-".join(sorted(s.split("-"))) for s in request.selections]
    shown = shown or ["xray", "neutron"]
    if set(shown) - set(known):
        raise ValueError(
            f"expected curves of {', '.join(known)}, found {', '.join(shown)}"
        )
    found = structure_factor(
        frames,
        options.q_max,
        bin_width=options.bin_width,
        vectors_per_bin=options.vectors,
        isotopes=isotopes,
        norm=options.norm,
        seed=options.seed,
        n_blocks=options.blocks,
    )
    curves = {name: getattr(found, name) for name in _PARTS} | found.partial
    rows = []
    for name in shown:
        value, error = curves[name]
        peak = int(np.argmax(value))
        label = _PARTS.get(name, name)
        rows += [
            Row(label, "highest S(q)", float(value[peak]), float(error[peak]), ""),
            Row(label, "at", float(found.q[peak]), None, "1/nm"),
        ]
    drawn = {_PARTS.get(name, name): (found.q, curves[name]) for name in shown}
    return Outcome(
        rows,
        found._asdict(),
        {"q": "1/nm", "value": "1", "error": "1"},
        {
            name: {"q (1/nm)": found.q, "S": value, "S_error": error}
            for name, (value, error) in curves.items()
        },
        lambda path: plot_structure_factor(drawn, path),
    )


def _angles(request: Request) -> Outcome:
    from ..analysis import angle_distribution, plot_angles

    options, frames = request.options, request.frames()
    triplets = groups(request.selections, 3)
    if not triplets:
        raise ValueError("expected triplets such as P-O-O, found none")
    if options.shell and len(options.shell) > 2:
        raise ValueError(f"expected one --shell or two, found {len(options.shell)}")
    results, rows = {}, []
    for label, (a, b, c) in triplets.items():
        if options.shell:
            radii = options.shell * (2 if len(options.shell) == 1 else 1)
        else:
            found = shells(request, frames, {"a": (b, a), "c": (b, c)})
            radii = list(found.values())
        found = angle_distribution(
            frames, a, b, c, *radii, n_bins=options.bins, n_blocks=options.blocks
        )
        results[label] = found._asdict() | {"r_ab": radii[0], "r_cb": radii[1]}
        width = 180.0 / options.bins
        mean = float(np.sum(found.angle * found.density) * width)
        rows += [
            Row(label, "mean angle", mean, None, "°"),
            Row(
                label,
                "most frequent",
                float(found.angle[np.argmax(found.density)]),
                None,
                "°",
            ),
            Row(label, "within", radii[0], None, "nm"),
            Row(label, "and", radii[1], None, "nm"),
            Row(label, "angles", found.n_angles, None, ""),
        ]
        results[label]["found"] = found
    found = {label: of.pop("found") for label, of in results.items()}
    return Outcome(
        rows,
        results,
        {"angle": "°", "density": "1/°", "error": "1/°", "r_ab": "nm", "r_cb": "nm"},
        {
            label: {"angle (°)": x.angle, "density (1/°)": x.density, "error": x.error}
            for label, x in found.items()
        },
        lambda path: plot_angles(found, path),
    )
