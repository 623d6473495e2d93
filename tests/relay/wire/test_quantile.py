"""Quantiles by nearest rank: one definition, which product and laboratory share."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.wire.quantile import quantile
from tests.worlds.places import ROOT

HUNDRED = list(range(1, 101))


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.01, 1), (0.07, 7), (0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100)]
)
def test_of_a_hundred_the_p99_is_the_99th(share: float, value: int) -> None:
    assert quantile(HUNDRED, share) == value


def test_of_few_values_it_is_one_of_them_and_of_none_there_is_none() -> None:
    assert quantile([], 0.5) is None
    assert quantile([3.0], 0.01) == quantile([3.0], 0.99) == 3.0
    assert [quantile([1, 2, 3, 4], share) for share in (0.25, 0.26, 0.5, 0.75, 0.76)] == [1, 2, 2, 3, 4]


@given(st.lists(st.integers(), min_size=1), st.integers(1, 100))
def test_at_least_the_share_of_all_values_does_not_exceed_it(values: list[int], percent: int) -> None:
    found = quantile(sorted(values), percent / 100)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_product_and_laboratory_have_no_other_definition() -> None:
    # The proof (scripts/rehearsal) shares no code with what it proves, and has one of its own.
    homes = {
        path.relative_to(ROOT).as_posix()
        for folder in ("relay", "bridge", "clock", "scripts")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and "quantile" in node.name
    }
    assert homes == {
        "relay/wire/quantile.py",
        "scripts/laboratory/study/intervals.py",
        "scripts/rehearsal/proof/compare.py",
    }
