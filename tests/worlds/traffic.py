"""Traffic for virtual jams: recordings of the genuine Sonic Pi 3.2.2, and a seeded random player."""

import json
from random import Random

from laboratory.virtual.traffic import Sent

from relay.wire.osc import BUNDLE_TAG, bundle, encode, timetag_of
from relay.wire.timetag import from_unix_ns, ticks
from tests.worlds.places import VECTORS

FOLDER = VECTORS / "traffic"


def recorded(name: str, *, until_s: float = 1e9) -> list[Sent]:
    """Return the datagrams from Sonic Pi in a recording, up to `until_s`. Times are measured from its first
    line."""
    rows = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]
    start_s = rows[0]["t"]
    start = from_unix_ns(round(start_s * 1e9))
    sent = []
    for row in rows:
        at_s = row["t"] - start_s
        if row["dir"] != "to_scsynth" or at_s > until_s:
            continue
        datagram = bytes.fromhex(row["hex"])
        is_bundle = datagram.startswith(BUNDLE_TAG)
        sent.append(Sent(at_s, datagram, timetag_of(datagram) - start if is_bundle else None))
    return sent


def boot() -> list[Sent]:
    """Return the datagrams that Sonic Pi sends at its start, without its pause for loading synthdefs."""
    return recorded("boot")


def generated(seed: int, *, seconds: float, per_s: float = 12.0) -> list[Sent]:
    """Return the datagrams of a random player: notes, chords, settings, and FX that come and go.

    Most notes are sent 0.5 s before their timetag, some 2 s, 0.2 s or too late. The groups of a boot must
    exist. Node ids never repeat.
    """
    dice = Random(seed)
    ids = iter(range(100, 100_100))
    run, mixer = next(ids), next(ids)
    sent: list[Sent] = []

    def bare(at_s: float, address: str, *args: str | int | float) -> None:
        sent.append(Sent(at_s, encode(address, *args), None))

    def timed(at_s: float, ahead_s: float, address: str, *args: str | int | float) -> None:
        at = ticks(at_s + ahead_s)
        sent.append(Sent(at_s, bundle(0x8000_0000_0000_0002, encode(address, *args)), at))

    bare(0.0, "/g_new", run, 1, 4)
    bare(0.001, "/s_new", "sonic-pi-basic_mixer", mixer, 0, 2, "amp", 1.0, "in_bus", 36.0, "out_bus", 34.0)
    at_s, inner, previous = 0.05, None, None
    while at_s < seconds:
        beat_s = 0.5 if dice.random() < 0.9 else dice.choice([-0.001, 0.2, 2.0])
        target = inner[1] if inner else run
        for _ in range(dice.choice([1, 1, 1, 3])):
            note = next(ids)
            pitch = float(dice.randint(40, 80))
            timed(at_s, beat_s, "/s_new", "sonic-pi-beep", note, 0, target, "note", pitch, "out_bus", 36.0)
            previous = note if beat_s == 0.5 else previous
        if previous is not None and dice.random() < 0.2:
            timed(at_s, 0.505, "/n_set", previous, "note", 60.0)
        if inner is None and dice.random() < 0.15:
            inner = (next(ids), next(ids), next(ids))
            bare(at_s, "/g_new", inner[0], 1, run)
            bare(at_s + 0.001, "/g_new", inner[1], 0, inner[0])
            fx = ("/s_new", "sonic-pi-fx_reverb", inner[2], 1, inner[0], "in_bus", 38.0, "out_bus", 36.0)
            bare(at_s + 0.002, *fx)
        elif inner is not None and dice.random() < 0.2:
            bare(at_s + 0.003, "/n_free", inner[0])
            inner = None
        at_s += dice.expovariate(per_s)
    return sorted(sent, key=lambda one: one.at_s)
