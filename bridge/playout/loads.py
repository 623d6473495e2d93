"""Loads: records which buffers and synthdefs this host's scsynth has, and loads other members' samples.

Pure, except that `samples` looks at the file system.
"""

from bridge.effects import Tell
from bridge.playout.accounts import Accounts
from bridge.playout.holdback_queue import Held
from bridge.playout.loaded_buffers import Buffers
from bridge.playout.missing_samples import Absent
from bridge.playout.to_scsynth import Outgoing
from bridge.playout.unstarted import Note, Unstarted
from bridge.scsynth.id_space import Origin, slot_of_buffer
from bridge.scsynth.remap import remap
from bridge.scsynth.samples import Load, ResourceFolders, load_from, load_to_local
from bridge.stock.stock import Stock
from relay.wire.errors import RemoteError
from relay.wire.meaning import Meaning
from relay.wire.stock import synthdef_file


class Loads:
    """Knows which buffers and synthdefs scsynth has, and loads other members' samples."""

    def __init__(self, folders: ResourceFolders, out: Outgoing, accounts: Accounts, stock: Stock) -> None:
        self._folders = folders
        self._out = out
        self._accounts = accounts
        self._stock = stock
        self.buffers = Buffers(stock.lacks)
        self._numbers: dict[int, int] = {}
        """Buffer of another member (scsynth's number) -> room number of the event that loaded it."""
        self._freed_early: set[int] = set()
        """Buffers that scsynth was told to free before it had loaded them."""
        self.absent = Absent()
        self._unstarted = Unstarted()
        self._waiting: dict[int, tuple[str, Meaning, Origin]] = {}
        """Buffer (scsynth's number) -> (its file's travelling name, the load, the sender's origin), for loads
        whose file this host lacks."""
        self._early: dict[int, tuple[Meaning, Origin, int]] = {}
        """Buffer (scsynth's number) -> what `load` was given for it before the synthdefs were loaded."""

    def news(self) -> list[Tell]:
        """Remove and return the messages to the player about samples that are missing here."""
        return self.absent.news()

    def named(self) -> dict[str, int]:
        """Return how many loads and synths failed here, by name, for the statistics."""
        return self.absent.named() | {"synthdef_not_found": self._unstarted.failures}

    def synthdefs_loaded(self) -> None:
        """Note that Sonic Pi's synthdefs are in scsynth."""
        self.buffers.synthdefs_loaded = True
        self._stock.synthdefs_loaded(self._folders.root)
        early, self._early = self._early, {}
        for meaning, origin, number in early.values():
            self.load(meaning, origin, number)

    def loaded(self, buffer: int) -> None:
        """Note that scsynth has loaded a buffer. buffer: scsynth's number.

        If scsynth was told to free the buffer before it had loaded it, the buffer doesn't count as loaded.
        """
        if buffer in self._freed_early:
            self._freed_early.discard(buffer)
        else:
            self.buffers.note_loaded(buffer)

    def loaded_before(self, meaning: Meaning, own: Origin) -> None:
        """Note that the running scsynth has a buffer of the local player.

        meaning: of the message that loaded it. own: the local player's origin, which translates its number.
        """
        try:
            if meaning.loads is not None:
                self.loaded(own.buffer(meaning.loads))
        except RemoteError as error:
            self._accounts.refuse(error)

    def load(self, meaning: Meaning, origin: Origin, number: int) -> None:
        """Load a buffer of the member `origin` into scsynth. Refused loads and missing files are counted.

        Until the synthdefs are loaded this waits: their folder shows where Sonic Pi's samples are.

        number: the room number of the event that loads it, or of the last event in the live state that
        contains it.
        """
        try:
            own = meaning.loads
            if own is not None and not self.buffers.synthdefs_loaded:
                self._early[origin.buffer(own)] = meaning, origin, number
                return
            load = load_to_local(meaning, self._folders)
            assert own is not None, "nothing else comes through load_to_local"
            buffer = origin.buffer(own)
            self._numbers[buffer] = number
            if load is not None:
                self._load(load, origin)
                return
            name = str(meaning.message.arg(1))
            self._waiting[buffer] = (name, meaning, origin)
            if not self._stock.need(name):
                self.absent.note(name)
        except RemoteError as error:
            self._accounts.refuse(error)

    def _load(self, load: Load, origin: Origin) -> None:
        """Hand over a load with a path of this machine. Raises Refused."""
        mapped = remap(load.meaning.message, origin)
        assert load.meaning.loads is not None, "it is a load"
        buffer = origin.buffer(load.meaning.loads)
        self.buffers.claim(buffer, load.samples)
        self._waiting.pop(buffer, None)
        self._freed_early.discard(buffer)
        self._out.add([mapped])

    def _load_what_came(self) -> None:
        """Carry out the loads whose missing file has come to this host meanwhile."""
        for file, path in self._stock.ready():
            for name, meaning, origin in list(self._waiting.values()):
                if name != file.name:
                    continue
                try:
                    self._load(load_from(meaning, path, file.size), origin)
                except RemoteError as error:
                    self._accounts.refuse(error)

    def free(self, slot: int, number: int, now: int) -> list[int]:
        """Forget the buffers of a slot that were loaded by events up to room number `number`. Return these
        buffers.

        The caller must tell scsynth to free them now. scsynth carries out loads and frees in their order, so
        a load under way is freed too. now: session ticks.
        """
        for buffer, (_, _, as_of) in list(self._early.items()):
            if slot_of_buffer(buffer) == slot and as_of <= number:
                del self._early[buffer]
        freed = [buffer for buffer, as_of in self._numbers.items() if as_of <= number]
        freed = [buffer for buffer in freed if slot_of_buffer(buffer) == slot]
        for buffer in freed:
            del self._numbers[buffer]
            self._waiting.pop(buffer, None)
            if buffer not in self.buffers.loaded:
                self._freed_early.add(buffer)
            self.buffers.free(buffer, now)
        return freed

    def enter_epoch(self) -> None:
        """Forget room numbers, because the relay's new epoch numbers events anew. All buffers count as loaded
        before the first of these numbers."""
        self._numbers = dict.fromkeys(self._numbers, 0)

    def answers_load(self, *, is_done: bool) -> bool:
        """Process scsynth's answer to the load of a synthdef. Return whether the bridge itself had sent the
        load.

        is_done: whether the load has worked.
        """
        return self._stock.answers_load(is_done=is_done)

    def handed_over(self, held: Held, origin: Origin) -> None:
        """Note that scsynth was handed an event. Only two kinds matter here: frees of buffers, and synths.

        origin: the origin of the event's sender.
        """
        if held.sub or not held.counted:  # has the jam's numbers already, and is not reported
            return
        meaning = held.meaning
        if meaning.unloads is not None:
            buffer = origin.buffer(meaning.unloads)
            self.buffers.free(buffer, held.due)
            self._waiting.pop(buffer, None)
            self._early.pop(buffer, None)
            self._numbers.pop(buffer, None)
        elif held.number is not None and meaning.makes_synth:
            buffers = tuple(origin.buffer(number) for number in meaning.needs)
            ((node, _, _),) = meaning.creates
            note = Note(held.due, held.number, held.slot, origin.node(node), meaning.synthdef)
            self.buffers.handed_over(
                held.number, held.due, buffers, slot=held.slot, synthdef=meaning.synthdef
            )
            self._unstarted.handed_over(note)
            self.need(meaning)

    def need(self, meaning: Meaning) -> None:
        """Ask for the synthdef of a synth that is to be played here, if this host lacks it. Raises
        RemoteError if the message can't be read."""
        if meaning.makes_synth and self._stock.lacks(meaning.synthdef):
            self._stock.need(synthdef_file(meaning.synthdef))

    def began(self, node: int) -> None:
        """Note that scsynth has begun to play a synth. node: scsynth's number."""
        self._unstarted.began(node)

    def synth_failed(self) -> None:
        """Note that scsynth says it lacks the synthdef of a synth. It doesn't say which synth."""
        self._unstarted.failed()

    def run(self, until: int) -> None:
        """Load the samples whose file has come. Record the silent notes due at or before `until` (session
        ticks).

        A note is silent if scsynth lacks one of its buffers or its synthdef.
        """
        self._load_what_came()
        for silent in self.buffers.silent(until):
            self._accounts.silent(silent.number, silent.due)
            if silent.synthdef:
                self._unstarted.expect_failure(silent.number)
                self._stock.not_heard(silent.slot, synthdef_file(silent.synthdef))
            elif waiting := next(filter(None, map(self._waiting.get, silent.buffers)), None):
                self._stock.not_heard(silent.slot, waiting[0])
        for note in self._unstarted.refused(until):
            self._accounts.silent(note.number, note.due)
            self._stock.refused(note.slot, note.synthdef)

    def clock_was_set(self) -> None:
        """Forget the notes at scsynth, because session time was set and their dues are no longer valid."""
        self.buffers.clear_notes()
        self._unstarted.clear()
