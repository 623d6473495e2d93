"""Garbage: the collector leaves lasting objects alone, and frees cycles while nobody plays."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from relay.transports.garbage import COLLECTED_EVERY_S, EXEMPTED_EVERY_S, Garbage


class Ring:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def own_garbage() -> Iterator[None]:
    gc.collect()
    yield
    gc.unfreeze()
    gc.collect()


def test_objects_that_stay_are_exempted_after_a_tenth_of_a_second() -> None:
    garbage = Garbage(0.0)
    before = gc.get_freeze_count()
    stays = [[number] for number in range(5000)]
    garbage.tend(EXEMPTED_EVERY_S / 2, quiet=False)
    assert gc.get_freeze_count() == before
    garbage.tend(EXEMPTED_EVERY_S, quiet=False)
    assert gc.get_freeze_count() >= before + len(stays)


def test_a_cycle_goes_once_nobody_plays_and_not_before() -> None:
    garbage = Garbage(0.0)
    ring = weakref.ref(Ring())
    for second in range(1, 200):
        garbage.tend(float(second), quiet=False)
    gc.collect()
    assert ring() is not None
    garbage.tend(200.0, quiet=True)
    assert ring() is None


def test_an_idle_process_collects_once_a_minute() -> None:
    garbage = Garbage(0.0)
    garbage.tend(COLLECTED_EVERY_S, quiet=True)
    ring = weakref.ref(Ring())
    garbage.tend(COLLECTED_EVERY_S + 1.0, quiet=True)
    gc.collect()
    assert ring() is not None, "exempted meanwhile"
    garbage.tend(2 * COLLECTED_EVERY_S, quiet=True)
    assert ring() is None
