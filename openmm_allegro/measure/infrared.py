# SPDX-License-Identifier: MIT
"""Infrared spectrum from the dipoles and currents that a run wrote."""

from dataclasses import dataclass
from typing import Any

from ..analysis.defaults import LONG_BLOCKS
from ..runs.run import Run
from ..runs.selections import no_words
from ..runs.source import Source
from .atom_charges import SCREENED, electronic_setting
from .judgement import judge_resolution, judge_size
from .measurement import Measurement, Part, Row, highest, measure_items
from .quantity import Quantity, Settings, blocks_setting
from .spectra import (
    HIGHEST_WAVENUMBER,
    choose_resolution,
    highest_wavenumber,
    max_wavenumber_setting,
    resolution_setting,
)

_WINDOW = ("start", "stop", "time_step", "drop_repeated")
_CLASSICAL = (
    "Nuclei are classical, and so is the correlation function, which is what the "
    "harmonic quantum correction factor gives (doi:10.1063/1.1774986)."
)


@dataclass(frozen=True)
class InfraredSettings(Settings):
    """Settings of infrared spectra."""

    electronic: float = electronic_setting()
    resolution: float | None = resolution_setting()
    max_wavenumber: float | None = max_wavenumber_setting()
    blocks: int = blocks_setting(LONG_BLOCKS)


def measure_infrared(
    source: Source, subjects: None, settings: InfraredSettings
) -> Measurement:
    """Measure the infrared spectrum of each run that wrote dipoles.

    Results by run: fields of an Infrared.
    """
    from ..analysis import infrared_spectrum, plot_infrared

    ends = [HIGHEST_WAVENUMBER]

    def measure(label: str, run: Run) -> Part:
        series = source.dipoles(run)
        if series.volumes is None:
            raise ValueError(
                f"expected dipoles of a periodic box, found no volumes in {run.dipoles}"
            )
        # One value less, of differences.
        resolution, notes = choose_resolution(
            *(len(series.times) - 1, series.time_step),
            *(settings.resolution, settings.blocks, "lines of dipoles"),
        )
        ends.append(highest_wavenumber(series.time_step))
        spectrum = infrared_spectrum(
            series.dipoles,
            series.time_step,
            float(series.volumes.mean()),
            source.temperature(run),
            currents=series.currents,
            electronic=settings.electronic,
            resolution=resolution,
            n_blocks=settings.blocks,
        )
        wavenumber, absorption, error = spectrum[1:4]
        peak = highest(label, "highest", wavenumber, absorption, error, "1/cm", "1/cm")
        at_rest = float(absorption[0]), float(error[0])
        rows = [*peak, Row(label, "at zero frequency", *at_rest, "1/cm")]
        warnings = judge_resolution(resolution, settings.resolution)
        warnings += judge_size(
            f"The highest absorption of {label}", peak[0].value, peak[0].error
        )
        notes += [_CLASSICAL, SCREENED]
        if run.ensemble != "nve":
            notes.append("The run has a thermostat, which widens lines.")
        return Part(spectrum, rows, notes=notes, warnings=warnings)

    def plot(spectra: dict[str, Any], path: Any) -> Any:
        end = settings.max_wavenumber or min(ends)
        return plot_infrared(spectra, path, max_wavenumber=end)

    return measure_items(
        {source.label(run): run for run in source.runs},
        measure,
        plot,
        settings,
        units={
            "frequency": "THz",
            "wavenumber": "1/cm",
            "absorption": "1/cm",
            "error": "1/cm",
            "loss": "1",
            "loss_error": "1",
        },
        columns={
            "frequency (THz)": "frequency",
            "wavenumber (1/cm)": "wavenumber",
            "n α (1/cm)": "absorption",
            "error": "error",
            "ε''": "loss",
            "ε'' error": "loss_error",
        },
    )


QUANTITY = Quantity(
    "infrared",
    measure_infrared,
    InfraredSettings,
    "infrared spectrum, absorption times refractive index in 1/cm, from the dipoles "
    "and currents that a run of a model with charges wrote (PREFIX.dipoles.csv)",
    subjects="",
    read_subjects=no_words,
    window=_WINDOW,
    temperature=True,
    section="charges",
)
