# SPDX-License-Identifier: MIT
"""Measure each quantity once: its defaults, its rows with units, its figure.

``analyze`` prints a measurement and ``report`` renders it; both get it here, so a run
has one set of numbers. A quantity is a module with its settings (a frozen dataclass),
``measure_x(source, subjects, settings) -> Measurement``, most often by
``measure_items``, and a ``Quantity`` that says how it is asked for. To add one, write
the module and list it in ``quantities.py``; ``Quantity(section=...)`` names the section
of the page that shows it.
"""
