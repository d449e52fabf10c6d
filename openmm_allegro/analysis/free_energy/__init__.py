# SPDX-License-Identifier: MIT
"""Free energy surfaces over collective variables, from biased and restrained runs."""
