"""Stock: Sonic Pi's own files on this host, as far as the room's music needs them.

Pure. The rest of the bridge uses only this module of the package. Playout asks it which synthdefs are missing
here, and reports the notes that were not heard. A missing file is first looked for on this host, in Sonic
Pi's folder and in the cache. Then it is fetched from another member.
"""

from pathlib import Path

from bridge import notices
from bridge.effects import AskFiles, Effect, SendControl, Tell, ToSynth
from bridge.file_jobs import Answer, Find, Found, Keep, Part, Scan, Scanned
from bridge.stock.fetcher import Fetched, Fetcher
from bridge.stock.giver import Giver
from bridge.stock.lacking import Lacking
from bridge.stock.shelf import Shelf
from bridge.stock.synthdef_loads import SynthdefLoads
from relay.wire.control import Chosen, Chunk, Give, NoDonor, Roster, Welcome
from relay.wire.stock import StockFile, stock_file, synthdef_file

PROGRESS_EVERY_S = 5.0
"""How often the player is told how far a fetch is, s."""


class Stock:
    """The files of Sonic Pi on this host, and the notes not heard because files are missing."""

    def __init__(self, own_slot: int, *, fetches: bool) -> None:
        """fetches: whether this host gets files from other members, and gives them its own."""
        self._fetches = fetches
        self._shelf = Shelf()
        self._lacking = Lacking(own_slot)
        self._fetcher = Fetcher()
        self._giver = Giver()
        self._synthdefs = SynthdefLoads()
        self._root: Path | None = None
        self._looked_for: set[StockFile] = set()
        """Files that are being looked for on this host, or put into the cache."""
        self._ready: list[tuple[StockFile, Path]] = []
        self._is_new = False
        """Whether the relay must be told again which files this host has."""
        self._now_s = 0.0
        self._told_at_s = 0.0
        self._effects: list[Effect] = []

    def named(self) -> dict[str, int]:
        """Return the counts of notes not heard and of files, by name, for the statistics."""
        counts = self._lacking.named() | self._shelf.named() | self._fetcher.named()
        return counts | {"given_chunks": self._giver.given, "give_refused": self._giver.refused}

    # -- what playout asks and tells ------------------------------------------------------------------

    def synthdefs_loaded(self, root: Path | None) -> None:
        """Note that scsynth has loaded Sonic Pi's synthdefs. root: the folder of Sonic Pi's files; None if
        unknown."""
        self._shelf.loaded_anew()
        if root is not None and root != self._root:
            self._root = root
            self._effects.append(AskFiles(Scan(root)))
        self._catch_up()

    def lacks(self, synthdef: str) -> bool:
        """Return whether scsynth lacks a synthdef, or has it with another content than the room plays."""
        return self._shelf.lacks(synthdef)

    def need(self, name: str) -> bool:
        """Begin to get a file that is missing here. Return False if other members can't give it.

        name: as the file travels.
        """
        file = self._shelf.wanted(name)
        if file is not None:
            self._look_for(file)
        return file is not None and self._fetches

    def not_heard(self, slot: int, name: str) -> None:
        """Count a note that was not heard here because the file `name` is missing. slot: of the note's
        player."""
        self._lacking.note(slot, name)

    def refused(self, slot: int, synthdef: str) -> None:
        """Count a note that scsynth refused because it lacks the synthdef. slot: of the note's player."""
        self._shelf.refused(synthdef)
        self._lacking.note(slot, synthdef_file(synthdef))
        self.need(synthdef_file(synthdef))

    def ready(self) -> list[tuple[StockFile, Path]]:
        """Remove and return the samples that were missing and have come since, each with its path."""
        ready, self._ready = self._ready, []
        return ready

    def answers_load(self, *, is_done: bool) -> bool:
        """Process scsynth's answer to the load of a synthdef. Return whether the bridge itself had sent the
        load.

        is_done: whether the load has worked.
        """
        file = self._synthdefs.answered()
        if file is not None and is_done:
            self._shelf.received(file)
            self._is_new = True
        return file is not None

    # -- what comes in ---------------------------------------------------------------------------------

    def take_in(self, message: object, now_s: float) -> None:
        """Process a message of the relay. Messages that aren't about files or members are ignored. now_s:
        local clock."""
        match message:
            case Welcome():
                self._lacking.meet(message.members)
                self._is_new = True
                self._shelf.chosen.clear()
                self._fetcher.connected()
                self._giver.forget()
            case Roster():
                self._lacking.meet(message.members)
            case Chosen():
                files = [stock_file(*one) for one in message.files]
                self._shelf.chosen = {file.name: file for file in files if file is not None}
                self._catch_up()
            case Give():
                has = self._shelf.files() if self._fetches else ()
                self._effects += map(SendControl, self._giver.asked(message, has))
            case Chunk():
                file = stock_file(message.name, message.sha256)
                self._fetched(self._fetcher.came(file, message.offset, message.data, now_s))
            case NoDonor():
                file = stock_file(message.name, message.sha256)
                if self._fetcher.no_donor(file, now_s):
                    self._effects.append(notices.nobody_gives(message.name))

    def files_say(self, answer: Answer) -> None:
        """Process the shell's answer to a job with files."""
        match answer:
            case Scanned(found, cached):
                self._shelf.scanned(found, cached)
                self._is_new = True
                self._catch_up()
                for file in cached:
                    if file.is_synthdef and self._shelf.lacks_file(file):
                        self._look_for(file)
                if unlisted := self._shelf.unlisted():
                    self._effects.append(notices.unlisted(unlisted))
            case Found():
                self._found(answer)
            case Part(file, offset, data):
                chunk = Chunk(name=file.name, sha256=file.sha256, offset=offset, data=data)
                self._effects.append(SendControl(chunk))

    def _look_for(self, file: StockFile) -> None:
        if file not in self._looked_for and file not in self._synthdefs and not self._fetcher.has(file):
            self._looked_for.add(file)
            self._effects.append(AskFiles(Find(file, self._root)))

    def _catch_up(self) -> None:
        """Begin to get the contents that the room plays and scsynth doesn't have."""
        for file in self._shelf.behind():
            self._look_for(file)

    def _found(self, found: Found) -> None:
        file = found.file
        self._looked_for.discard(file)
        if found.kept and found.path is None:
            self._effects.append(notices.cannot_keep(file.name))
            if not file.is_synthdef:
                self._fetcher.postpone(file, self._now_s)
        if found.kept and found.path is not None:
            self._shelf.cache(file)
            self._is_new = True
        if file.is_synthdef:
            if found.content and not found.kept:
                self._effects += map(ToSynth, self._synthdefs.load(file, found.content, self._now_s))
        elif found.path is not None:
            self._ready.append((file, found.path))
        if found.path is None and not found.kept and self._fetches:
            self._fetcher.want(file)

    def _fetched(self, fetched: Fetched | None) -> None:
        if fetched is None:
            return
        file, content = fetched.file, fetched.content
        self._looked_for.add(file)
        self._effects.append(AskFiles(Keep(file, content)))
        if file.is_synthdef:
            self._effects += map(ToSynth, self._synthdefs.load(file, content, self._now_s))
        self._effects.append(notices.fetched(file.name))

    # -- what goes out -----------------------------------------------------------------------------------

    def flush(self, now_s: float, *, in_room: bool) -> list[Effect]:
        """Return the effects that are due: jobs with files, sentences for the player, and messages to the
        relay.

        now_s: local clock. in_room: whether the relay counts the bridge among the room's members.
        """
        self._now_s = now_s
        self._synthdefs.expire(now_s)
        effects, self._effects = self._effects, []
        percent = self._fetcher.percent if self._fetches else lambda _: None
        effects += self._lacking.for_player(self._shelf.release, percent, now_s)
        if not in_room:
            return [one for one in effects if not isinstance(one, SendControl)]
        effects += self._progress(now_s)
        effects += [AskFiles(job) for job in self._giver.reads(self._root, now_s)]
        if self._is_new and (holdings := self._shelf.holdings(gives=self._fetches)) is not None:
            self._is_new = False
            effects.append(SendControl(holdings))
        effects += map(SendControl, self._lacking.for_relay(self._shelf.release, percent, now_s))
        effects += map(SendControl, self._fetcher.wants(now_s))
        return effects

    def next_at_s(self) -> float | None:
        """Return the local instant (s) at which the next part of a file may be given; None if no request
        waits."""
        return self._giver.next_at_s()

    def _progress(self, now_s: float) -> list[Tell]:
        file = self._fetcher.current
        if file is None:
            self._told_at_s = now_s
            return []
        if now_s < self._told_at_s + PROGRESS_EVERY_S:
            return []
        self._told_at_s = now_s
        return [notices.fetching(file.name, self._fetcher.percent(file.name) or 0, len(self._fetcher) - 1)]
