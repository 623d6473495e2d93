from tests.worlds.crowds import crowds, echoes, torn, widest_gap_ns


def test_nothing_is_no_crowd() -> None:
    assert crowds([], 10) == 0


def test_a_crowd_is_counted_wherever_it_lies_and_in_whatever_order_it_comes() -> None:
    assert crowds([0, 50, 100, 150], 10) == 1
    assert crowds([150, 101, 0, 100, 50, 109], 10) == 3
    assert crowds([5, 5, 5, 30], 10) == 3


def test_a_span_ends_before_its_length() -> None:
    assert crowds([0, 10], 10) == 1
    assert crowds([0, 9], 10) == 2


def test_a_crowd_slides_and_is_not_tied_to_a_grid() -> None:
    assert crowds([8, 9, 10, 11], 10) == 4


def test_a_chord_is_torn_where_some_of_it_was_heard() -> None:
    heard = {1: 0, 2: 0, 3: 0, 4: 0}
    assert torn([(1, 2, 3), (4, 5, 6), (7, 8)], heard) == [(4, 5, 6)]


def test_an_echo_is_what_its_player_has_heard_long_before() -> None:
    own = {"a": 100, "b": 100, "c": 100}
    assert echoes(own, {"a": 150, "b": 151, "d": 999}, 50) == [("b", 51)]
    assert echoes(own, {"a": 0}, 50) == []


def test_the_widest_gap_is_between_neighbours() -> None:
    assert widest_gap_ns([30, 0, 10]) == 20
    assert widest_gap_ns([7]) == widest_gap_ns([]) == 0
