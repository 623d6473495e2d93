"""Window jam: genuine Sonic Pi windows in one room, each on a host of its own, started as users start them.

A window uses its ports without asking whether they are free. So two windows on one machine need a network
each. These networks are a star of namespaces (`star`), with a relay in the middle and a good network on the
legs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rehearsal.rigs.stage import Stage
from rehearsal.rigs.window import Window

from laboratory.runs.players import BIN, RELAY_PORT, Relay, environment
from laboratory.star.star import Star
from relay.netmodel.networks import parse_leg
from relay.wire.sequence import Scheme

NETWORK = "fibre"
STATS_S = 10.0


@dataclass(eq=False)
class WindowJam:
    """Genuine windows in one room. A context manager.

    folder: gets a home folder for each window. names: the members, one window each. plain: further windows,
    without a bridge. Raises NetlabError, StageError, RunFailed, in words.
    """

    folder: Path
    names: Sequence[str]
    plain: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.star = Star({name: parse_leg(NETWORK) for name in (*self.names, *self.plain)}, seed=1)
        self.stage = Stage()
        self.windows: dict[str, Window] = {}

    def __enter__(self) -> "WindowJam":
        self.star.__enter__()
        try:
            Relay(self.star.relay, self.folder, lead_ms=200, repair=True, scheme=Scheme.JUDGED).start()
            for name in (*self.plain, *self.names):
                self.open(name)
            for window in self.windows.values():
                window.wait_shown()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, name: str) -> Window:
        """Start a window as its user does, and return it.

        Its home folder is new, so a window of the same name can be opened again.
        """
        index = len(self.stage.performers)
        home = self.folder / f"{name}-{index}"
        home.mkdir()
        join: list[str | Path] = [
            BIN / "jambridge", "join", f"{self.star.relay_address}:{RELAY_PORT}", "--name", name, "--",
        ]  # fmt: skip
        launcher = [] if name in self.plain else join
        window = Window(name, index, home, self.star.member(name), launcher)
        self.stage.add(window)
        window.start()
        self.windows[name] = window
        return window

    def members(self) -> dict[str, dict[str, Any]]:
        """Return name -> statistics of each member who is present, by the relay."""
        done = self.star.relay.run(
            [BIN / "jamrelay", "stats", f"localhost:{RELAY_PORT}", "--json"],
            env=environment(self.folder), capture_output=True, text=True, timeout=STATS_S, check=True,
        )  # fmt: skip
        rooms = json.loads(done.stdout)["rooms"]
        return {member["name"]: member for room in rooms for member in room["members"] if member["present"]}

    def close(self) -> None:
        """Close all windows, and end the relay and the networks."""
        self.stage.close()
        self.star.close()
