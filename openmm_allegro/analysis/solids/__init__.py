# SPDX-License-Identifier: MIT
"""Jumps of ions between the sites of a solid: arrays in, arrays with errors out."""
