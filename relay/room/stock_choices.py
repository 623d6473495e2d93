"""Stock choices: decides which content of a synthdef the room plays, if releases of Sonic Pi differ in it.

Pure. The first member who plays such a synthdef decides for all. A decision stands as long as any member has
that content in its scsynth, so no synthdef changes while music with it runs.
"""

from collections.abc import Mapping

from relay.wire.stock import CONTESTED, SYNTHDEFS_FOLDER, StockFile

_CONTESTED = {name.removeprefix(f"{SYNTHDEFS_FOLDER}/").encode(): name for name in CONTESTED}
"""The file name of each synthdef that differs between releases, by the synthdef's name in messages."""


class Choices:
    """The decisions of one room. chosen: the content that the room plays, by file name."""

    def __init__(self) -> None:
        self.chosen: dict[str, StockFile] = {}

    def played(self, synthdef: bytes, loaded: Mapping[str, StockFile]) -> bool:
        """Record that a member plays a synthdef. Return whether this makes a new decision.

        loaded: the contents in that member's scsynth, by file name.
        """
        name = _CONTESTED.get(synthdef)
        if name is None or name in self.chosen or name not in loaded:
            return False
        self.chosen[name] = loaded[name]
        return True

    def forget(self, loaded: list[Mapping[str, StockFile]]) -> None:
        """Forget each decision whose content is in no member's scsynth any more. loaded: for each member, as
        in `played`."""
        self.chosen = {
            name: file
            for name, file in self.chosen.items()
            if any(contents.get(name) == file for contents in loaded)
        }
