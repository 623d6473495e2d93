"""Recent: a store of the latest figures that computes their quantiles."""

from hypothesis import given
from hypothesis import strategies as st

from relay.lead.recent import Recent
from relay.wire.quantile import quantile


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=7)), st.integers(1, 9), st.floats(0, 1))
def test_quantiles_are_those_of_the_last_figures(batches: list[list[float]], size: int, share: float) -> None:
    recent = Recent(size)
    for batch in batches:
        recent.add(batch)
    last = [figure for batch in batches for figure in batch][-size:]
    assert len(recent) == len(last)
    assert recent.at_share(share) == quantile(sorted(last), share)
