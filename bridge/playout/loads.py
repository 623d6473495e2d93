"""Loads: the buffers and synthdefs of this host's scsynth, those of the others included.

Pure, but for the look at the file system that `samples` takes.
"""

from bridge.effects import Tell
from bridge.playout.accounts import Accounts
from bridge.playout.holdback_queue import Held
from bridge.playout.loaded_buffers import Buffers
from bridge.playout.missing_samples import Absent
from bridge.playout.outgoing import Outgoing
from bridge.scsynth.arguments import buffer_numbers
from bridge.scsynth.id_space import Origin
from bridge.scsynth.remap import remap
from bridge.scsynth.samples import ResourceFolders, load_to_local
from relay.wire.errors import RemoteError
from relay.wire.osc import single_message


class Loads:
    """What is loaded, and what is to be."""

    def __init__(self, folders: ResourceFolders, out: Outgoing, accounts: Accounts) -> None:
        self._folders = folders
        self._out = out
        self._accounts = accounts
        self.buffers = Buffers()
        self.absent = Absent()

    def news(self) -> list[Tell]:
        """Take out what to tell the person."""
        return self.absent.news()

    def named(self) -> dict[str, int]:
        """Return by name what can't be loaded here, for the statistics."""
        return self.absent.named()

    def synthdefs_loaded(self) -> None:
        """Note that Sonic Pi's synthdefs are in scsynth."""
        self.buffers.synthdefs_loaded = True

    def loaded(self, buffer: int) -> None:
        """Note that scsynth says, or said to the bridge before this one, that a buffer is loaded."""
        self.buffers.loaded.add(buffer)

    def loaded_before(self, payloads: list[bytes], own: Origin) -> None:
        """Note what the local player has loaded, by messages of his foundation: his scsynth has it all."""
        for message in map(single_message, payloads):
            if message.address in ("/b_alloc", "/b_allocRead"):
                self.loaded(own.buffer(int(message.args[0])))

    def load(self, payload: bytes, origin: Origin) -> None:
        """Load a buffer of another member's, if that may be and the file is here."""
        try:
            message = single_message(payload)
            load = load_to_local(message, self._folders)
            if load is None:
                self.absent.note(str(message.args[1]))
                return
            mapped = remap(single_message(load.payload), origin)
            self.buffers.claim(int(single_message(mapped).args[0]), load.samples)
            self._out.add([mapped])
        except RemoteError as error:
            self._accounts.refuse(error)

    def handed_over(self, held: Held, origin: Origin) -> None:
        """Note what frees a buffer, and the buffers that a note plays."""
        if held.sub or not held.counted:  # in the jam's numbers already, and nobody else's business
            return
        if held.payload.startswith(b"/b_free\0"):
            self.buffers.free(origin.buffer(int(single_message(held.payload).args[0])), held.due)
        elif held.number is not None and held.payload.startswith(b"/s_new\0"):
            numbers = buffer_numbers(single_message(held.payload))
            self.buffers.handed_over(held.number, held.due, [origin.buffer(number) for number in numbers])

    def run(self, until: int) -> None:
        """Enter the notes due at or before a session instant that found nothing to play."""
        for number, due in self.buffers.silent(until):
            self._accounts.silent(number, due)

    def clock_was_set(self) -> None:
        """Forget the notes: their dues mean nothing any more."""
        self.buffers.clear_notes()
