"""Loads: records which buffers and synthdefs this host's scsynth has, and loads other members' samples.

Pure, except that `samples` looks at the file system.
"""

from bridge.effects import Tell
from bridge.playout.accounts import Accounts
from bridge.playout.holdback_queue import Held
from bridge.playout.loaded_buffers import Buffers
from bridge.playout.missing_samples import Absent
from bridge.playout.to_scsynth import Outgoing
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from bridge.scsynth.samples import ResourceFolders, load_to_local
from relay.wire.errors import RemoteError
from relay.wire.meaning import Meaning


class Loads:
    """Knows which buffers and synthdefs scsynth has, and loads other members' samples."""

    def __init__(self, folders: ResourceFolders, out: Outgoing, accounts: Accounts) -> None:
        self._folders = folders
        self._out = out
        self._accounts = accounts
        self.buffers = Buffers()
        self.absent = Absent()

    def news(self) -> list[Tell]:
        """Remove and return the messages to the player about samples that are missing here."""
        return self.absent.news()

    def named(self) -> dict[str, int]:
        """Return how many loads failed here, by name, for the statistics."""
        return self.absent.named()

    def synthdefs_loaded(self) -> None:
        """Note that Sonic Pi's synthdefs are in scsynth."""
        self.buffers.synthdefs_loaded = True

    def loaded(self, buffer: int) -> None:
        """Note that scsynth has loaded a buffer. buffer: scsynth's number."""
        self.buffers.note_loaded(buffer)

    def loaded_before(self, payloads: list[bytes], own: Origin) -> None:
        """Note that the running scsynth has all buffers of the local player's boot state.

        payloads: the messages of that boot state, in Sonic Pi's numbers. own: the local player's origin,
        which translates them.
        """
        for meaning in map(Meaning, payloads):
            try:
                if meaning.loads is not None:
                    self.loaded(own.buffer(meaning.loads))
            except RemoteError as error:
                self._accounts.refuse(error)

    def load(self, meaning: Meaning, origin: Origin) -> None:
        """Load a buffer of the member `origin` into scsynth. Refused loads and missing files are counted."""
        try:
            load = load_to_local(meaning, self._folders)
            if load is None:
                self.absent.note(str(meaning.message.arg(1)))
                return
            mapped = remap(load.meaning.message, origin)
            buffer = load.meaning.loads
            assert buffer is not None, "nothing else comes through load_to_local"
            self.buffers.claim(origin.buffer(buffer), load.samples)
            self._out.add([mapped])
        except RemoteError as error:
            self._accounts.refuse(error)

    def handed_over(self, held: Held, origin: Origin) -> None:
        """Note that scsynth was handed an event: it frees a buffer, or is a note that plays buffers.

        origin: that of the event's sender.
        """
        if held.sub or not held.counted:  # has the jam's numbers already, and is not reported
            return
        meaning = held.meaning
        if meaning.unloads is not None:
            self.buffers.free(origin.buffer(meaning.unloads), held.due)
        elif held.number is not None and meaning.makes_synth:
            self.buffers.handed_over(
                held.number, held.due, [origin.buffer(number) for number in meaning.needs]
            )

    def run(self, until: int) -> None:
        """Record as silent the notes due at or before `until` (session ticks) that lacked a buffer or
        synthdef."""
        for number, due in self.buffers.silent(until):
            self._accounts.silent(number, due)

    def clock_was_set(self) -> None:
        """Forget the notes at scsynth, because session time was set and their dues are no longer valid."""
        self.buffers.clear_notes()
