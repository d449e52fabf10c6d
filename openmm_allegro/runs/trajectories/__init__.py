# SPDX-License-Identifier: MIT
"""Files of frames: an index that is checked before they are read, and the reading."""
