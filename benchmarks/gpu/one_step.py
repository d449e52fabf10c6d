# SPDX-License-Identifier: MIT
"""Take two steps of 184 atoms on the card, for compute-sanitizer to look at."""

from cases import nacl
from stepper import Steps, make_device

steps = Steps(make_device(dry=False), nacl(1))
for _ in range(2):
    steps.step()
    steps.finish()
steps.results()
steps.close()
