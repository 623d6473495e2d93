"""Loads: the readable part of the record of the member's own live state is used, the rest is counted."""

from bridge.playout.playout import Playout
from bridge.scsynth.id_space import Origin
from relay.wire.meaning import Meaning
from relay.wire.osc import encode
from tests.worlds.bridge import Bench


def test_a_record_that_names_no_buffer_is_counted_and_the_others_are_taken() -> None:
    playout: Playout = Bench().playout
    loads = playout._loads
    own = Origin(1)
    for load in (encode("/b_alloc"), encode("/b_alloc", 10**6, 64), encode("/b_alloc", 3, 64)):
        loads.loaded_before(Meaning(load), own)
    assert loads.buffers.loaded == {own.buffer(3)}
    assert playout._accounts.counts.refused.total() == 2
