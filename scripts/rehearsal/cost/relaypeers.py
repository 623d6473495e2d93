"""Message brokers to compare with the relay: the CPU time that redis and mosquitto need for the same events.

All members of the one room subscribe to one channel and publish there. A broker only passes events on. It
doesn't seal, judge, number, repair or compare them. Only installed brokers are measured.
"""

import asyncio
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rehearsal.cost.relayload import GRAIN_S, Load, cpu_ns
from rehearsal.cost.relaymember import PAYLOAD
from rehearsal.rigs.machine import find_ports
from rehearsal.rigs.stage import Stage

CHANNEL = b"room"
STAMP = re.compile(rb"@jam(\d{19})@")
STAMP_BYTES = 24
WARM_S = 1.0
CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker: how to start it, and the bytes that its clients send.

    start: returns the arguments of its command, given its port and a folder. publish: returns the bytes that
    publish a payload.
    """

    program: str
    start: Callable[[str, Path], list[str]]
    subscribe: bytes
    """The first bytes that a member sends on the connection on which it receives."""
    greet: bytes
    """The first bytes that a member sends on the connection on which it publishes."""
    publish: Callable[[bytes], bytes]


def _redis(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _mqtt(kind: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([kind]) + length + bytes([size]) + body


def _mqtt_text(text: bytes) -> bytes:
    return len(text).to_bytes(2) + text


def _mosquitto_settings(port: str, place: Path) -> Path:
    """Write mosquitto's settings to a file in `place` and return its path.

    With them mosquitto sends small messages at once, as redis and the relay do.
    """
    path = place / "mosquitto.conf"
    path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    return path


# The client id is empty: the broker assigns one.
_MQTT_CONNECT = _mqtt(0x10, _mqtt_text(b"MQTT") + b"\x04\x02\x00\x00" + _mqtt_text(b""))

BROKERS = (
    Broker(
        "redis-server",
        lambda port, place: ["--port", port, "--save", "", "--appendonly", "no", "--dir", str(place)],
        _redis(b"SUBSCRIBE", CHANNEL),
        b"",
        lambda payload: _redis(b"PUBLISH", CHANNEL, payload),
    ),
    Broker(
        "mosquitto",
        lambda port, place: ["-c", str(_mosquitto_settings(port, place))],
        _MQTT_CONNECT + _mqtt(0x82, b"\x00\x01" + _mqtt_text(CHANNEL) + b"\x00"),
        _MQTT_CONNECT,
        lambda payload: _mqtt(0x30, _mqtt_text(CHANNEL) + payload),
    ),
)
"""The brokers that can be measured. Sources of their protocols: redis.io, RESP; OASIS, MQTT 3.1.1."""


def installed() -> list[Broker]:
    """Return the brokers that are installed on this machine."""
    return [broker for broker in BROKERS if shutil.which(broker.program)]


def measure_broker(broker: Broker, place: Path, members: int, events_per_s: float, seconds: float) -> Load:
    """Let members send events to each other through a broker for `seconds`, and return the result.

    events_per_s: events per second of each member. place: folder for the broker's files.
    """
    port = find_ports(1).scsynth
    with Stage() as stage:
        command = [shutil.which(broker.program) or "", *broker.start(str(port), place)]
        process = stage.spawn(command, place / "broker.log")
        return asyncio.run(_play(broker, port, members, events_per_s, seconds, process.pid))


async def _play(
    broker: Broker, port: int, members: int, events_per_s: float, seconds: float, pid: int
) -> Load:
    load, dice, counts = Load(), random.Random(1), [False]
    writers, readers = [], []
    for member in range(members):
        reader, subscriber = await _connect(port)
        subscriber.write(broker.subscribe)
        readers.append(asyncio.create_task(_listen(reader, None if member else load, counts)))
        replies, writer = await _connect(port)
        writer.write(broker.greet)
        readers.append(asyncio.create_task(_listen(replies, None, counts)))
        writers += [subscriber, writer]
    publishers = writers[1::2]
    began_s = time.monotonic()
    next_s = began_s
    before_ns = 0
    while next_s < began_s + WARM_S + seconds:
        await asyncio.sleep(max(GRAIN_S, next_s - time.monotonic()))
        if not counts[0] and next_s >= began_s + WARM_S:
            counts[0], before_ns = True, cpu_ns(pid)
        while next_s <= time.monotonic():
            stamp = b"@jam%019d@" % time.time_ns()
            dice.choice(publishers).write(broker.publish(stamp + PAYLOAD))
            load.sent += counts[0]
            next_s += dice.expovariate(events_per_s * members)
    load.cpu_percent = (cpu_ns(pid) - before_ns) / 1e7 / (time.monotonic() - began_s - WARM_S)
    await asyncio.sleep(0.5)
    load.missing = max(0, load.sent - len(load.delays_ms))
    for task in readers:
        task.cancel()
    for one in writers:
        one.close()
    return load


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(CONNECT_S):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)


async def _listen(reader: asyncio.StreamReader, load: Load | None, counts: list[bool]) -> None:
    """Read all data. If there is a `load` and counts[0] is true, append the delays of the events to the
    load."""
    rest = b""
    while data := await reader.read(1 << 16):
        if load is None:
            continue
        came_ns, data = time.time_ns(), rest + data
        found = list(STAMP.finditer(data))
        if counts[0]:
            load.delays_ms += [(came_ns - int(one[1])) / 1e6 for one in found]
        rest = data[max(found[-1].end() if found else 0, len(data) - STAMP_BYTES) :]
