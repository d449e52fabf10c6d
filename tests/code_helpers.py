# SPDX-License-Identifier: MIT
"""Files that would run code when they are read."""

import os


class Payload:
    """An object whose pickle makes a folder when it is read."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)
