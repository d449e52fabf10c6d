# SPDX-License-Identifier: MIT
"""Where the host waits for the card in a step, by plain torch and the fused kernel."""

from collections import Counter

import pytest
import torch
from card_helpers import play_card
from gpu_step import ListDevice
from openmm_helpers import lattice_waters
from torch.utils._python_dispatch import TorchDispatchMode

from openmm_allegro.mixing.capped_module import capped
from openmm_allegro.mixing.link_atoms import Cap
from openmm_allegro.potential.committee_module import committee_module
from openmm_allegro.potential.module import force_module

# Operations whose result, or the size of it, CUDA sends to the host; and those that
# bring a number of the host to the card.
WAITING = {
    "_assert_async",
    "_linalg_check_errors",
    "_local_scalar_dense",
    "bincount",
    "equal",
    "is_nonzero",
    "lift_fresh",
    "linalg_solve",
    "masked_select",
    "nonzero",
    "repeat_interleave.Tensor",
    "unique_consecutive",
    "_unique2",
    "where.ScalarOther",
    "where.ScalarSelf",
}


class Waits(TorchDispatchMode):
    """Counts of operations for which the host would wait."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        names = function.name().partition("::")[2], function._schema.name[6:]
        if WAITING.intersection(names):
            self.counts[names[1]] += 1
        is_index = names[1] in ("index", "index_put", "_index_put_impl_")
        if is_index and any(i is not None and i.dtype == torch.bool for i in args[1]):
            self.counts["mask"] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("has_caps", [False, True])
def test_a_step_waits_for_the_card_three_times(model, has_caps):
    """For the list's validity, and for the numbers of pairs and of neighbours.

    The third wait is ``tolist`` in ``center_blocks``, which no mode can see.
    """
    symbols, positions, box = lattice_waters()
    count = len(symbols)
    module = force_module(
        model, [*symbols, *["H"] * has_caps], periodic=True, kernel="plain"
    )
    module = capped(module, [Cap(0, count - 3, 0.1)] * has_caps)
    arguments = torch.tensor(positions), torch.tensor(box)
    module(*arguments)
    with Waits() as waits:
        module(*arguments)
    assert waits.counts == {"_local_scalar_dense": 1, "nonzero": 1}


def test_a_step_of_the_fused_kernel_waits_for_nothing(model, monkeypatch):
    """Of some of the particles, one of which is a cap's."""
    devices = []

    def device():
        devices.append(ListDevice())  # whose networks do not run
        return devices[-1]

    play_card(monkeypatch, device=device)
    symbols, positions, box = lattice_waters()
    atoms, caps = [3, 4, 5, 81], [Cap(3, 6, 0.1)]
    module = committee_module(
        [model], [*symbols[3:6], "H"], atoms=atoms, caps=caps, periodic=True
    )
    arguments = torch.tensor(positions), torch.tensor(box)
    module(*arguments)
    (device,) = devices
    before = len(device.names), device.waits
    with Waits() as waits:
        module(*arguments)
    assert waits.counts == {} and device.waits == before[1]
    assert len(device.names) - before[0] <= 6
