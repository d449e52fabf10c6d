# SPDX-License-Identifier: MIT
"""Model files with changes that a right checksum hides."""

import json

from safetensors.numpy import load, save

from openmm_allegro.modelfile.header import BLANK, CHECKSUM, FORMAT, with_checksum


def rewrite(path, content, change=lambda header, arrays: None, text=json.dumps):
    """Write a file of a model with a changed header or changed arrays.

    Parameters
    ----------
    path : Path
    content : bytes
        Of the file before.
    change : callable, optional
        Changes header and arrays, which it is given.
    text : callable, optional
        Makes the header's text.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8:end])["__metadata__"][FORMAT])
    arrays = {name: array.copy() for name, array in load(content).items()}
    change(header, arrays)
    header = {**header, CHECKSUM: BLANK}
    path.write_bytes(with_checksum(save(arrays, metadata={FORMAT: text(header)})))
    return path
