"""Proof: compares each member's recording with the relay's log, message by message, and renders it.

Pure but for the renderer, which is a parameter. scsynth executes by (timetag, arrival), the log's order is
(due, number). Both orders must be the same, and every message must be the event at its place in the log.

In the render each message gets its due from the log instead of its timetag, because the members' timetags
differ by microseconds. Then equal recordings give equal samples. A recording that doesn't match the log isn't
rendered: its first mismatch is reported.

A member who came later was not handed everything: its bridge built what others played (see `logmatch`). That
is proved, too, but not rendered. The sound can't be the same bit by bit, since nobody can build what a reverb
remembers. So the renders are those of the members who were there before the first music.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal.proof import hosttree
from rehearsal.proof.logmatch import TICKS_PER_S, Match, match
from rehearsal.proof.offline import RenderError
from rehearsal.proof.relaylog import LoggedEvent
from rehearsal.rigs.recording import Recording

STEM_DBFS_MIN = -50.0
"""A member's own sound below this level (dBFS) counts as silent. The demo's examples lie above -35 dBFS."""


@dataclass(frozen=True, slots=True)
class MemberProof:
    """The proof of one member."""

    match: Match
    sha256: str | None = None
    """SHA-256 (hex) of the rendered samples, all channels; None if nothing was rendered."""
    stem_dbfs: float | None = None
    """Level (dBFS) of this member's stem in the render of its own recording; None if nothing was rendered."""
    error: str | None = None

    @property
    def trouble(self) -> str | None:
        """The reason why this member's recording doesn't match the log or couldn't be rendered; None if all
        is well."""
        found = self.match.mismatch or self.error
        return None if found is None else f"{self.match.member}'s recording: {found}"


@dataclass(frozen=True, slots=True)
class Proof:
    """The result for a room. events: number of events in the log. rendered: False if there was no renderer;
    then only the order is proved."""

    members: Mapping[str, MemberProof]
    events: int
    rendered: bool
    why_silent: str = ""
    """The reason why there was no renderer, in words."""

    @property
    def alike(self) -> dict[str, MemberProof]:
        """The members whose renders must be equal: those who were there from the first music to the last."""
        return {name: one for name, one in self.members.items() if one.match.is_whole}

    @property
    def sha256(self) -> str | None:
        """The SHA-256 (hex) that the renders of all members in `alike` share; None if they differ or there is
        only one."""
        found = [member.sha256 for member in self.alike.values()]
        alone = len(found) == 1 < len(self.members)
        return found[0] if len(set(found)) == 1 and not alone else None

    @property
    def troubles(self) -> list[str]:
        """The reasons, in words, why the proof failed; [] if it succeeded."""
        found = [member.trouble for member in self.members.values() if member.trouble]
        if not self.members or not self.events:
            found.append("nothing was proved: no event in the relay's log")
        if not self.rendered or found:
            return found
        if len(self.alike) < min(2, len(self.members)):
            found.append("no two members were there for the whole music: no two renders can be compared")
        elif self.sha256 is None:
            found.append(
                "the renders differ: "
                + ", ".join(f"{name} {str(member.sha256)[:12]}" for name, member in self.alike.items())
            )
        found += [
            f"{name}'s stem is silent in the render ({member.stem_dbfs:.0f} dBFS)"
            for name, member in self.alike.items()
            if member.stem_dbfs is None or member.stem_dbfs < STEM_DBFS_MIN
        ]
        return found

    @property
    def proved(self) -> bool:
        """True if every recording matches the log. After renders, they must also be equal, and their stems
        audible."""
        return not self.troubles


def score(found: Match, log: Sequence[LoggedEvent], slots: Sequence[int]) -> list[tuple[float, bytes]]:
    """Return a complete match as (time_s, message) pairs for offline.render.

    The messages are the recorded ones, after those that build the host's tree. The times are the dues in the
    log, in seconds after the first due. A build is placed at the due of the log's event that made the last of
    its nodes.
    """
    first = min(event.due for event in log)
    ordered = sorted((*found.built, *found.pairs), key=lambda pair: pair[0].key)
    opening = [(0.0, raw) for raw in hosttree.canonical(slots)]
    return opening + [((event.runs_at - first) / TICKS_PER_S, message.raw) for event, message in ordered]


Renderer = Callable[[Sequence[tuple[float, bytes]], Path, int], tuple[str, list[float]]]
"""A function that renders a score, (time_s, message) pairs, to a WAV file with so many channels. It returns
the SHA-256 (hex) of the samples, and the level (dBFS) of each pair of channels."""


def prove(
    recordings: Mapping[str, Recording],
    slots: Mapping[str, int],
    log: Sequence[LoggedEvent],
    render: Renderer | None,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
    why_silent: str = "",
    owners: Mapping[str, int] | None = None,
) -> Proof:
    """Match all recordings with the log. Those that match and are whole are rendered to NAME-proof.wav in
    `folder`.

    slots: name -> slot. owners: name -> which of the slot's owners the member is (see `match`). render: None
    if this machine can't render. why_silent: the reason why it can't. progress: called as each member is
    done.
    """
    members: dict[str, MemberProof] = {}
    everybody = sorted({event.slot for event in log} | set(slots.values()))
    for name, recording in recordings.items():
        found = match(name, slots[name], recording, log, everybody, (owners or {}).get(name, -1))
        proof = MemberProof(found)
        if found.mismatch is None and found.is_whole and render is not None and log:
            try:
                wav = folder / f"{name}-proof.wav"
                played = score(found, log, everybody)
                sha256, levels = render(played, wav, 2 + 2 * len(everybody))
                proof = MemberProof(found, sha256, levels[1 + everybody.index(slots[name])])
            except RenderError as error:
                proof = MemberProof(found, error=str(error))
        members[name] = proof
        progress()
    return Proof(members, events=len(log), rendered=render is not None, why_silent=why_silent)
