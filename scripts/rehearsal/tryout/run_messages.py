"""Sonic Pi's messages to its GUI about its runs: counts runs that stopped, ended or fell behind."""

import re
from collections.abc import Iterable, Sequence

RUN_TIME = re.compile(r"/log/multi_message (\S+) \S+ ([\d.]+) ")
"""Matches a message of Sonic Pi to its GUI about a run. Its groups are the run's number and its age in s."""


def runs(said: Iterable[str], what: str) -> set[str]:
    """Return the run numbers in the messages "Stopping run" or "Completed run". what: "Stopping" or
    "Completed"."""
    lines = (line.rpartition(f"{what} run ") for line in said)
    return {number.strip() for _, found, number in lines if found}


def seconds_behind(warnings: Sequence[str]) -> int:
    """Return the number of seconds in which at least one warning came.

    Single warnings aren't counted, because a thread that is behind warns at every sleep until it has caught
    up. A warning without a time counts as one second.
    """
    found = [RUN_TIME.match(line) for line in warnings]
    return found.count(None) + len({(match[1], int(float(match[2]))) for match in found if match})
