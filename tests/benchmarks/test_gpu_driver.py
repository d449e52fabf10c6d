# SPDX-License-Identifier: MIT
"""Events of a card's driver, with a driver of Python: there is no card."""

import pytest


class Driver:
    """It notes the calls; its clock goes on by a millisecond at each event."""

    def __init__(self):
        self.calls, self.times, self.made, self.now = [], {}, 0, 0.0

    def __getattr__(self, name):
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments):
            self.calls.append(name)
            return getattr(self, f"_{name}", lambda *_: 0)(*arguments)

        return call

    def _cuEventCreate(self, event, flags):
        self.made += 1
        event._obj.value = self.made
        return 0

    def _cuEventRecord(self, event, stream):
        assert stream.value == 7
        self.now += 1.0
        self.times[event.value] = self.now
        return 0

    def _cuEventElapsedTime(self, taken, start, end):
        taken._obj.value = self.times[end.value] - self.times[start.value]
        return 0

    def _cuMemGetInfo_v2(self, free, total):
        free._obj.value, total._obj.value = 3 << 30, 4 << 30
        return 0

    def _cuGetErrorString(self, code, text):
        text._obj.value = b"as asked for"
        return 0


class Device:
    stream = 7


@pytest.fixture
def driver(script, monkeypatch):
    module, fake = script("driver"), Driver()
    monkeypatch.setattr(module, "_driver", lambda: (fake, None))
    return module, fake


def test_intervals_are_summed_by_name(driver):
    module, fake = driver
    clock = module.Clock(Device)
    for _ in range(2):
        for name in ("list", "network", "network"):
            with clock.interval(name):
                fake.now += 0.5 if name == "list" else 0.25
        assert clock.read() == {"list": 1.5, "network": 2.5}
        assert clock.read() == {}
    assert fake.made == 6  # of each interval two, which are taken again
    pushed = fake.calls.count("cuCtxPushCurrent_v2")
    assert pushed == fake.calls.count("cuCtxPopCurrent_v2") > 0


def test_memory_and_errors(driver):
    module, fake = driver
    assert module.free_memory() == 3 << 30
    fake._cuMemGetInfo_v2 = lambda *_: 2
    with pytest.raises(RuntimeError, match=r"cuMemGetInfo_v2: as asked for \(2\)"):
        module.free_memory()
