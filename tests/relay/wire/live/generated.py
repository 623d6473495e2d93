"""Random messages of one member, for the tests of live states: about few nodes, many of which don't exist."""

from hypothesis import strategies as st

from relay.wire.osc import Arg, encode

IDS = range(10, 18)
NODE = st.sampled_from(IDS)
PLACE = st.sampled_from([0, *IDS])
INTO = st.sampled_from([0, 1])
ACTION = st.integers(0, 4)
SYNTHDEFS = ("sonic-pi-beep", "sonic-pi-fx_reverb", "sonic-pi-basic_mixer")
CONTROLS = ("amp", "mix", "room", "a-name-of-20-letters")
VALUES = st.floats(0, 1, width=32) | st.integers(0, 1)
"""In range for every control here, so that no guard refuses them."""
PAIRS = st.lists(st.tuples(st.sampled_from(CONTROLS), VALUES), max_size=3).map(
    lambda pairs: [part for pair in pairs for part in pair]
)


def _message(address: str, *parts: st.SearchStrategy[Arg]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(lambda args: encode(address, *args))


def _new_synth(draw: tuple[str, int, int, int, list[Arg]]) -> bytes:
    *head, controls = draw
    return encode("/s_new", *head, *controls)


TREE = st.one_of(
    _message("/g_new", NODE, ACTION, PLACE),
    _message("/g_new", NODE, INTO, PLACE),
    _message("/g_new", NODE, INTO, st.just(0)),
    st.tuples(st.sampled_from(SYNTHDEFS), NODE, ACTION, PLACE, PAIRS).map(_new_synth),
    st.tuples(st.sampled_from(SYNTHDEFS), NODE, INTO, PLACE, PAIRS).map(_new_synth),
    _message("/n_free", NODE),
    _message("/g_freeAll", NODE),
    _message("/g_deepFree", NODE),
    _message("/g_head", PLACE, NODE),
    _message("/g_tail", PLACE, NODE),
    _message("/n_before", NODE, NODE),
    _message("/n_after", NODE, NODE),
    st.tuples(ACTION, PLACE, st.lists(NODE, max_size=4)).map(
        lambda draw: encode("/n_order", draw[0], draw[1], *draw[2])
    ),
)
"""Messages that change the tree, each about one node; /n_order is about several."""

SETS = st.one_of(
    st.tuples(PLACE, PAIRS).map(lambda draw: encode("/n_set", draw[0], *draw[1])),
    _message("/n_setn", NODE, st.sampled_from(CONTROLS), st.just(1), VALUES),
    _message("/n_map", NODE, st.sampled_from(CONTROLS), st.integers(-1, 9)),
    _message("/n_run", PLACE, st.integers(0, 1)),
)
OTHERS = st.one_of(
    _message("/b_allocRead", st.integers(0, 3), st.sampled_from(["a.flac", "b.flac"])),
    _message("/b_free", st.integers(0, 3)),
    _message("/c_set", st.integers(0, 9), VALUES),
    _message("/c_setn", st.integers(0, 9), st.just(2), VALUES, VALUES),
    _message("/c_fill", st.integers(0, 9), st.integers(1, 3), VALUES),
)
MESSAGES = st.lists(TREE | TREE | SETS | OTHERS, max_size=40)
