"""Named networks between a member and the relay, with the sources of their figures.

Pure, except that `parse_leg` reads a file if a text names a trace (relay/netmodel/legspec.py). Figures are
for one direction. Some sources say how much delays vary but not how fast. A network from such a source keeps
each delay for 20 ms, because datagrams that follow each other closely meet the same queue. "Assumption"
marks a figure that nobody has measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.netmodel import legspec
from relay.netmodel.impairment import Bursts, Jitter, JitterKind, Leg, Spikes, Way

HOLD_MS = 20.0
"""How long a random delay holds before the next one is drawn, ms (assumption)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A named network. leg: its model in both directions."""

    name: str
    leg: Leg
    source: str
    """Where the figures come from, and which of them are assumptions. It is one or two lines."""


def _added(mean_ms: float, kind: JitterKind = JitterKind.LOGNORMAL) -> Jitter:
    return Jitter(kind, mean_ms, HOLD_MS)


_STUDIO_LAN = Way(delay_ms=0.2, jitter=_added(0.1, JitterKind.EXPONENTIAL))

_RESEARCH = Way(delay_ms=15.0, jitter=_added(0.2))

_FIBRE = Way(delay_ms=15.0, jitter=_added(2.0), bursts=Bursts(0.0005, 0.020))

_CABLE = Way(delay_ms=22.0, jitter=_added(6.0), loss=0.0005, bursts=Bursts(0.0015, 0.040), rate_kbps=20_000.0)

_DSL = Way(delay_ms=35.0, jitter=_added(7.0), loss=0.001, bursts=Bursts(0.002, 0.060), rate_kbps=10_000.0)

_HOTEL_WIFI = Way(
    delay_ms=15.0,
    jitter=_added(10.0),
    loss=0.005,
    bursts=Bursts(0.01, 0.080),
    spikes=Spikes(5.0, 60.0),
    rate_kbps=10_000.0,
    queue_ms=500.0,
)

_WIFI_SPIKES = Way(delay_ms=8.0, jitter=_added(2.0), loss=0.001, spikes=Spikes(33.0, 250.0))

_MOBILE = Way(
    delay_ms=30.0,
    jitter=_added(12.0),
    loss=0.002,
    bursts=Bursts(0.005, 0.150),
    spikes=Spikes(20.0, 120.0),
    rate_kbps=10_000.0,
    queue_ms=500.0,
)

_BUFFERBLOAT_FREE = Way(delay_ms=15.0, jitter=_added(3.0), loss=0.0005)
_BUFFERBLOAT_BUSY = Way(
    delay_ms=15.0,
    jitter=_added(10.0),
    loss=0.005,
    bursts=Bursts(0.005, 0.060),
    spikes=Spikes(4.0, 200.0),
    rate_kbps=5_000.0,
    queue_ms=500.0,
)

_INTERCONTINENTAL = Way(delay_ms=150.0, jitter=_added(4.0), loss=0.001, bursts=Bursts(0.002, 0.060))

_SATELLITE_LEO = Way(
    delay_ms=16.0, jitter=_added(8.0), loss=0.003, bursts=Bursts(0.008, 0.100), spikes=Spikes(15.0, 100.0)
)

_TABLE = (
    Profile("loopback", Leg.both(Way()), "No impairment at all."),
    Profile("studio-lan", Leg.both(_STUDIO_LAN), "Assumption: a wired network of one house."),
    Profile(
        "research",
        Leg.both(_RESEARCH),
        "Published for six European research paths: 7.5-22.5 ms one way; no loss, next to no jitter.",
    ),
    Profile(
        "fibre",
        Leg.both(_FIBRE),
        "Good home fibre to a relay in the same country: 15-30 ms, jitter 1-3 ms, loss under 0.1 % (FCC, "
        "Measuring Broadband America, sorts lines at 0.4 and 1 %); distribution: assumption.",
    ),
    Profile(
        "cable",
        Leg.both(_CABLE),
        "Home cable: 20-60 ms, jitter 5-20 ms, loss 0.1-0.4 % (FCC, Measuring Broadband America: its lowest "
        "class of loss at peak hours ends at 0.4 %); here 0.2 %, most of it in bursts of 40 ms, 20 Mbit/s: "
        "assumption.",
    ),
    Profile(
        "dsl",
        Leg.both(_DSL),
        "Home DSL: upper half of 20-60 ms, jitter 5-20 ms, loss 0.1-0.4 % (FCC, as cable); interleaving "
        "takes 8 ms each way (an ADSL2+ customer of Deutsche Telekom); bursts, 10 Mbit/s: assumption.",
    ),
    Profile(
        "hotel-wifi",
        Leg.both(_HOTEL_WIFI),
        "Shared Wi-Fi: jitter 5-15 ms with spikes of 40-80 ms; the home line behind it, 1.5 % loss, two "
        "thirds of it in bursts of 80 ms, a spike every 5 s, 10 Mbit/s: assumption.",
    ),
    Profile(
        "wifi-spikes",
        Leg.both(_WIFI_SPIKES),
        "C. Huitema, The weird case of the wifi latency spikes (2023): 18 spikes in 10 min, up to 250 ms, "
        "falling at slope -1; 0.12 % loss; otherwise RTT p50 4, p95 8 ms; a short way behind it is assumed.",
    ),
    Profile(
        "mobile",
        Leg.both(_MOBILE),
        "4G in town: RTT from about 60 ms (operators' means 31-39 ms to a near server, Ookla, plus the way "
        "to the relay); jitter, 0.7 % loss, handovers every 20 s with 120 ms, 10 Mbit/s: assumption.",
    ),
    Profile(
        "mobile-slow-4g",
        Leg(
            up=Way(delay_ms=75.0, rate_kbps=750.0, queue_ms=500.0),
            down=Way(delay_ms=75.0, rate_kbps=1600.0, queue_ms=500.0),
        ),
        "Lighthouse 'Slow 4G' (WebPageTest 'Mobile 3G - Fast'): RTT 150 ms, 1.6 Mbit/s down, 750 kbit/s up, "
        "no loss; the queue: assumption.",
    ),
    Profile(
        "bufferbloat",
        Leg(up=_BUFFERBLOAT_BUSY, down=_BUFFERBLOAT_FREE),
        "A home upload beside the jam: bursts of 200 ms on the way up (J. Gettys, bufferbloat: modems hold "
        "100-500 ms), which then leave at the line's rate; 5 Mbit/s, every 4 s, share of loss: assumption.",
    ),
    Profile(
        "intercontinental",
        Leg.both(_INTERCONTINENTAL),
        "Europe to Australia: RTT 310-324 ms between data centres in Ireland, Frankfurt and Sydney (AWS, "
        "table of 2017), so 155 ms one way; home line's jitter and 0.3 % loss: assumption.",
    ),
    Profile(
        "asymmetric-20-80",
        Leg(
            up=Way(delay_ms=20.0, jitter=_added(1.0)),
            down=Way(delay_ms=80.0, jitter=_added(1.0)),
        ),
        "Made up: 30 ms that no clock exchange can see, (80 - 20) / 2.",
    ),
    Profile(
        "satellite-leo",
        Leg.both(_SATELLITE_LEO),
        "Starlink: RTT median 33 ms in the US (2024), satellites change every 15 s with spikes of 75-140 ms "
        "(arXiv 2601.08439) and bursts of loss (IMC 2022); at random instants here, loss 1.1 %: assumption.",
    ),
    Profile(
        "jepsen-48",
        Leg.both(Way(delay_ms=48.0)),
        "X. Riley, Evaluating distributed time synchronization ... using Ableton Link (MSc thesis, 2018): "
        "48 ms, constant.",
    ),
    Profile(
        "jepsen-48-normal",
        Leg.both(Way(delay_ms=48.0, jitter=Jitter(JitterKind.NORMAL, 10.0), fifo=False)),
        "As jepsen-48, normal, drawn for every datagram as netem does, which reorders; deviation of 10 ms: "
        "assumption.",
    ),
    Profile(
        "jepsen-500",
        Leg.both(Way(delay_ms=500.0)),
        "X. Riley's thesis, as jepsen-48: 500 ms, constant.",
    ),
    Profile(
        "jepsen-500-normal",
        Leg.both(Way(delay_ms=500.0, jitter=Jitter(JitterKind.NORMAL, 100.0), fifo=False)),
        "As jepsen-500, normal, drawn for every datagram; deviation of 100 ms: assumption.",
    ),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in _TABLE}
"""All named networks, by name."""

_LEGS = {profile.name: profile.leg for profile in _TABLE}


def parse_leg(text: str) -> Leg:
    """Return the leg that a text describes, such as "hotel-wifi,loss=5%", "delay=50,jitter=10" or
    "trace:FILE".

    "up:...;down:..." describes each direction on its own. All words are in relay.netmodel.legspec.WORDS.
    Raises LocalError, with a text for people, if the text isn't of these forms.
    """
    return legspec.parse(text, _LEGS, legspec.read_file)
