"""Stock choices: which content the room plays, of synthdefs that differ between releases of Sonic Pi.

Pure. The first member who plays such a synthdef decides for all. A decision stands as long as any member has
that content in its scsynth, so no synthdef changes while music with it runs.
"""

from collections.abc import Mapping

from relay.wire.stock import CONTESTED, SYNTHDEFS_FOLDER, StockFile

_CONTESTED = {name.removeprefix(f"{SYNTHDEFS_FOLDER}/").encode(): name for name in CONTESTED}
"""The names of files by the synthdefs' names, as these stand in messages."""


class Choices:
    """The decisions of one room, by travelling name."""

    def __init__(self) -> None:
        self.chosen: dict[str, StockFile] = {}

    def played(self, synthdef: bytes, loaded: Mapping[str, StockFile]) -> bool:
        """Note that a member plays a synthdef. loaded: the contents in that member's scsynth, by name.

        Return whether this decides something.
        """
        name = _CONTESTED.get(synthdef)
        if name is None or name in self.chosen or name not in loaded:
            return False
        self.chosen[name] = loaded[name]
        return True

    def forget(self, loaded: list[Mapping[str, StockFile]]) -> None:
        """Forget decisions for a content that is in no member's scsynth. loaded: as in `played`, by
        member."""
        self.chosen = {
            name: file
            for name, file in self.chosen.items()
            if any(contents.get(name) == file for contents in loaded)
        }
