# SPDX-License-Identifier: MIT
"""Train an Allegro model and evaluate it."""
