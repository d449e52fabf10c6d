# SPDX-License-Identifier: MIT
"""The processor that plays a card has a card's lanes, barriers, products and memory."""

import numpy as np
import pytest
from gpu_helpers import DIALECT, host_card

SOURCE = (
    DIALECT
    + """
KERNEL void LAUNCH_BOUNDS(64) turn(GLOBAL const double* RESTRICT from,
    GLOBAL double* RESTRICT to, int rounds, double factor) {
  LOCAL double lanes[64];
  for (int n = 0; n < rounds; n++) {
    lanes[LOCAL_ID] = from[GLOBAL_ID];
    SYNC_THREADS
    to[GLOBAL_ID] = factor*lanes[LOCAL_SIZE-1-LOCAL_ID];
    SYNC_THREADS
  }
}
KERNEL void race(GLOBAL int* to) {
  LOCAL int lanes[64];
  lanes[LOCAL_ID] = LOCAL_ID;
  to[LOCAL_ID] = lanes[(LOCAL_ID+1)%64];
}
KERNEL void some(GLOBAL mm_ulong* to) {
  if (LOCAL_ID < 5) {
    SYNC_THREADS
  }
  ATOMIC_ADD(to, 1);
}
KERNEL void sum(GLOBAL mm_ulong* to, GLOBAL int* largest) {
  ATOMIC_ADD(to, (mm_ulong) (mm_long) -LOCAL_ID);
  ATOMIC_MAX(largest, GLOBAL_ID);
}
KERNEL void product(GLOBAL const float* a, GLOBAL const float* b, GLOBAL float* c) {
  unsigned A[4], B[2];
  float d[4] = {0, 0, 0, 0};
  int g = LOCAL_ID%32/4, i = LOCAL_ID%4;
  for (int n = 0; n < 4; n++) A[n] = TF32(a[(g+8*(n%2))*8+i+4*(n/2)]);
  for (int n = 0; n < 2; n++) B[n] = TF32(b[(i+4*n)*8+g]);
  for (int n = 0; n <= LOCAL_ID/32; n++) MMA(d, A, B);
  for (int n = 0; n < 4; n++) c[LOCAL_ID/32*128+(g+8*(n/2))*8+2*i+n%2] = d[n];
}
"""
)


@pytest.fixture(params=[False, True], ids=["forwards", "backwards"])
def card(request):
    with host_card(backwards=request.param) as made:
        yield made


def test_lanes_meet_at_barriers(card):
    compiled = card.device.compile(SOURCE)
    numbers = np.arange(192.0)
    source, target = card.buffer(numbers), card.empty(192 * 8)
    assert np.isnan(card.array(target, 192, float)).all()
    card.launch(compiled, "turn", 3, 64, [source, target, 3, 2.0])
    found = card.array(target, 192, float)
    assert np.array_equal(found, 2.0 * numbers.reshape(3, 64)[:, ::-1].ravel())
    assert card.device.launches == [("turn", 3, 64, 0)]
    assert card.device.uploads == [192 * 8] and card.device.waits == 2


def test_a_race_shows_without_sanitizers(card):
    """By the order of lanes, and by what work-group memory is full of."""
    compiled = card.device.compile(SOURCE)
    target = card.empty(64 * 4)
    card.launch(compiled, "race", 1, 64, [target])
    found = card.array(target, 64, np.int32)
    assert not np.array_equal(found, np.roll(np.arange(64), -1))
    assert -1 in found


def test_lanes_that_miss_a_barrier_are_reported(card):
    compiled = card.device.compile(SOURCE)
    target = card.buffer(np.zeros(1, np.uint64))
    for _ in range(2):
        with pytest.raises(
            RuntimeError,
            match=r"^some: .*(waits in line \d+ and .* ended|ended and .* waits)",
        ):
            card.launch(compiled, "some", 2, 64, [target])
    largest = card.buffer(np.zeros(1, np.int32))
    target = card.buffer(np.zeros(1, np.uint64))
    card.launch(compiled, "sum", 3, 64, [target, largest])
    assert card.array(target, 1, np.int64) == -3 * 63 * 32
    assert card.array(largest, 1, np.int32) == 3 * 64 - 1


def test_products_of_a_warp(card):
    """Warps with one and with two products; TF32 has 10 bits."""
    random = np.random.default_rng(0)
    a = random.standard_normal((16, 8)).astype(np.float32)
    b = random.standard_normal((8, 8)).astype(np.float32)
    target = card.empty(1024)
    compiled = card.device.compile(SOURCE)
    card.launch(compiled, "product", 1, 64, [card.buffer(a), card.buffer(b), target])
    found = card.array(target, (2, 16, 8), np.float32)
    np.testing.assert_allclose(found[0], a @ b, atol=8 * 2.0**-10)
    np.testing.assert_allclose(found[1], 2 * found[0], rtol=1e-5, atol=1e-6)
    assert abs(found[0] - a @ b).max() > 1e-6


def test_what_does_not_fit_is_refused(card):
    compiled = card.device.compile(SOURCE)
    target = card.empty(8)
    for arguments, expected in [
        ([target], "expected 4 arguments, found 1"),
        ([target, target, 1.0, 1.0], "expected argument 2 of kind 1, found 2"),
    ]:
        with pytest.raises(RuntimeError, match=expected):
            card.launch(compiled, "turn", 1, 64, arguments)
    with pytest.raises(ValueError, match="expected a kernel twist, found none"):
        card.launch(compiled, "twist", 1, 64, [])
    with pytest.raises(ValueError, match=r"98304 bytes .* found 100000"):
        card.launch(compiled, "turn", 1, 64, [], memory=100_000)
    with pytest.raises(ValueError, match="expected to copy 8 bytes or less, found 16"):
        card.array(target, 2, float)
    with pytest.raises(ImportError, match="error"):
        card.device.compile("KERNEL void broken(")
    assert not card.device.launches[2:]


def test_a_watch_ends_later():
    with host_card(lag=1) as card:
        target = card.buffer(np.zeros(1, np.uint64))
        largest = card.buffer(np.array([7], np.int32))
        seen = np.zeros(1, np.int32)
        compiled = card.device.compile(SOURCE)

        def is_seen():
            return card.device.watched(seen.ctypes.data, 4)

        assert not is_seen()
        card.device.watch(largest, 4)
        assert not is_seen()
        card.launch(compiled, "sum", 1, 64, [target, largest])
        assert is_seen() and seen[0] == 7
        assert not is_seen() and card.device.waits == 0
