"""The oracle: which events no sender can deliver in time.

Compared with cases counted by hand, and with senders that send all the time.
"""

from laboratory.runs.oracle import NEEDED_S, Emission, Oracle, base_due_s, unavoidable, way_name

from relay.netmodel.impairment import Bursts, Impairment, Jitter, JitterKind, Leg, Way

AHEAD_S = 0.5
QUIET = Leg.both(Way(delay_ms=50))


def every(step_s: float, until_s: float, origin: str = "anna") -> list[Emission]:
    count = round(until_s / step_s)
    return [Emission(origin, at * step_s, at * step_s + AHEAD_S) for at in range(count)]


def instants(emissions: list[Emission]) -> list[float]:
    return [round(emission.at_s, 6) for emission in emissions]


def test_due_is_the_timetag_or_the_lead_whichever_is_later() -> None:
    assert base_due_s(10.0, 10.5, 0.4) == 10.5
    assert base_due_s(10.0, 10.5, 0.7) == 10.7
    assert base_due_s(10.0, 10.5, 0.4, 0.1) == 10.6


def test_a_quiet_network_can_deliver_everything() -> None:
    assert unavoidable(every(0.1, 20), {"anna": QUIET, "ben": QUIET}, 1) == []


def test_a_way_longer_than_the_time_left_delivers_nothing_and_a_little_shorter_all() -> None:
    # 240 + 240 ms leave 20 of the 500: just in time.
    near, far = Leg.both(Way(delay_ms=239)), Leg.both(Way(delay_ms=241))
    assert unavoidable(every(0.1, 2), {"anna": near, "ben": near}, 1) == []
    assert len(unavoidable(every(0.1, 2), {"anna": far, "ben": far}, 1)) == 20


def test_independent_loss_stops_nobody_who_sends_without_end() -> None:
    lossy = Leg.both(Way(delay_ms=50, loss=0.9))
    assert unavoidable(every(0.1, 20), {"anna": lossy, "ben": lossy}, 1) == []


def test_jitter_of_single_datagrams_stops_nobody_who_sends_without_end() -> None:
    jittery = Leg.both(Way(delay_ms=50, jitter=Jitter(JitterKind.EXPONENTIAL, 400.0), fifo=False))
    assert unavoidable(every(0.1, 20), {"anna": jittery, "ben": jittery}, 1) == []


def test_an_outage_on_the_way_down_costs_exactly_what_it_covers() -> None:
    # At the relay 50 ms after emission; what enters the way down in [10, 12) must wait for 12 and then 50 ms,
    # in time if that is at most emission + 480 ms: lost is what was emitted in [9.95, 11.57).
    cut = Leg(up=Way(delay_ms=50), down=Way(delay_ms=50, outages=((10.0, 12.0),)))
    lost = instants(unavoidable(every(0.1, 20), {"anna": QUIET, "ben": cut}, 1))
    assert lost == [round(10.0 + 0.1 * step, 6) for step in range(16)]


def test_an_outage_on_the_origins_way_up_costs_everybody_else() -> None:
    cut = Leg(up=Way(delay_ms=50, outages=((10.0, 12.0),)), down=Way(delay_ms=50))
    oracle = Oracle({"anna": cut, "ben": QUIET, "carla": QUIET}, seed=1)
    assert oracle.out_of_reach(Emission("anna", 10.5, 11.0)) == ["ben", "carla"]
    assert oracle.out_of_reach(Emission("ben", 10.5, 11.0)) == []


def test_the_origin_needs_no_way_down() -> None:
    deaf = Leg(up=Way(delay_ms=50), down=Way(delay_ms=50, outages=((0.0, 100.0),)))
    oracle = Oracle({"anna": deaf, "ben": QUIET}, seed=1)
    assert oracle.out_of_reach(Emission("anna", 10.0, 10.5)) == []
    assert oracle.out_of_reach(Emission("ben", 10.0, 10.5)) == ["anna"]


def test_more_lead_saves_what_an_outage_would_cost() -> None:
    cut = {"anna": QUIET, "ben": Leg(up=Way(delay_ms=50), down=Way(delay_ms=50, outages=((10.0, 12.0),)))}
    short, long = Emission("anna", 10.0, 10.5), Emission("anna", 10.0, 12.2)
    assert unavoidable([short, long], cut, 1) == [short]


BURSTY = Leg.both(Way(delay_ms=60, jitter=Jitter(JitterKind.NORMAL, 5.0), bursts=Bursts(0.2, 0.3)))
BURSTY_LEGS = {"anna": BURSTY, "ben": BURSTY}


def test_same_seed_same_verdicts_and_another_seed_others() -> None:
    emissions = every(0.05, 60)
    first, again = (unavoidable(emissions, BURSTY_LEGS, 7) for _ in range(2))
    assert first
    assert first == again
    assert first != unavoidable(emissions, BURSTY_LEGS, 8)


def test_order_of_the_questions_does_not_matter() -> None:
    emissions = every(0.05, 60)
    forth = unavoidable(emissions, BURSTY_LEGS, 7)
    assert unavoidable(emissions[::-1], BURSTY_LEGS, 7) == forth[::-1]


def tried(emission: Emission, step_s: float) -> bool:
    """Return whether an event reaches ben in time if anna, and then the relay, repeat it every step_s.

    Each repeat passes the network model.
    """
    up, down = (
        Impairment(BURSTY.up, seed=7, name=way_name(*way)) for way in (("anna", "up"), ("ben", "down"))
    )
    until_s = emission.due_s - NEEDED_S
    steps = int((until_s - emission.at_s) / step_s)
    sent = (up.decide(emission.at_s + step * step_s, 200) for step in range(steps))
    arrived_s = sorted(at_s for decision in sent for at_s in decision.arrivals_s)
    if not arrived_s:
        return False
    onwards = (arrived_s[0] + step * step_s for step in range(int((until_s - arrived_s[0]) / step_s) + 1))
    return any(at_s <= until_s for on_s in onwards for at_s in down.decide(on_s, 200).arrivals_s)


def test_nothing_that_a_stubborn_sender_delivers_is_called_unavoidable() -> None:
    emissions = every(0.25, 60)
    doomed = set(unavoidable(emissions, BURSTY_LEGS, 7))
    delivered = {emission for emission in emissions if tried(emission, 0.002)}
    assert not doomed & delivered
    # And what it can't deliver is doomed, but for the few that only the very best jitter would have saved.
    assert 10 < len(doomed) <= len(set(emissions) - delivered) <= len(doomed) * 1.3
