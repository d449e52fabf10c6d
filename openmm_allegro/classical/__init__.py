# SPDX-License-Identifier: MIT
"""Classical force fields: their parameters, fingerprints, and what models subtract."""
