"""Holdings: a short message lists exactly the files that a bridge has."""

from hypothesis import given
from hypothesis import strategies as st

from relay.wire import control
from relay.wire.control.stock import Holdings
from relay.wire.holdings import described, held
from relay.wire.stock import RELEASES, STOCK, files_of

ALL = [one for contents in STOCK.values() for one in contents]


@given(
    st.one_of(st.just([]), st.sampled_from(RELEASES).map(files_of)),
    st.lists(st.sampled_from(ALL), max_size=40),
    st.lists(st.sampled_from(ALL), max_size=40),
)
def test_what_is_described_is_what_is_held(base, more, less) -> None:
    have = frozenset(base) - frozenset(less) | frozenset(more)
    said = control.decode_up(control.encode(described(have)))
    assert isinstance(said, Holdings)
    assert held(said) == have


def test_a_release_is_said_in_one_word() -> None:
    for release in RELEASES:
        assert described(files_of(release)) == Holdings(release=release)
    assert described([]) == Holdings()


def test_files_that_are_not_on_the_list_and_unknown_releases_are_nothing() -> None:
    assert held(Holdings(release="9.9", besides=[("samples/mine.flac", bytes(32))])) == frozenset()
    assert held(Holdings(release="3.2.2", without=["samples/mine.flac"])) == frozenset(files_of("3.2.2"))
