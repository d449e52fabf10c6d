# SPDX-License-Identifier: MIT
"""One of the other processes of a training on several devices (``devices.Group``)."""

import logging
import os
import pickle
import sys

import torch

from .train import fit


def take_part() -> None:
    """Take part in the training that the standard input brings."""
    threads, job = pickle.load(sys.stdin.buffer)
    logging.disable(logging.WARNING)  # the first process says it
    torch.set_num_threads(threads)
    start, config, output, checkpoint = job
    rank = int(os.environ["LOCAL_RANK"])
    fit(rank, start, None, config, output, checkpoint, progress=False)
