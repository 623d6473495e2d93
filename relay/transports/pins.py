"""Known relays: the fingerprint that each endpoint showed at its first use, like ssh's known hosts.

A shell. The file is plain text, one "HOST:PORT FINGERPRINT" a line, "#" for comments. It is always replaced
as a whole, so that a crash leaves the old or the new one. It protects against somebody who takes the relay's
place later. The first use is taken on trust.
"""

import base64
import hashlib
import logging
import os
import tempfile
from enum import Enum
from pathlib import Path

import platformdirs

from relay.wire.endpoint import Endpoint
from relay.wire.errors import LocalError

log = logging.getLogger(__name__)


class Trust(Enum):
    """Why a relay is believed to be the intended one."""

    NEW = "new"
    """First use: the fingerprint was written down just now."""
    KNOWN = "known"
    """The fingerprint equals the one written down earlier."""


def default_path() -> Path:
    """Return the path of a user's known relays on this system."""
    return platformdirs.user_data_path("jamrelay", appauthor=False) / "known_relays"


def fingerprint_of(der: bytes) -> str:
    """Return the fingerprint of a certificate in DER: "SHA256:" and unpadded base64, as ssh shows keys."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")


class KnownRelays:
    """The known relays of one file. Each check reads it anew, since several bridges may share it."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`. The first use of a relay creates it and its folder."""
        self._path = path

    def check(self, endpoint: Endpoint, fingerprint: str) -> Trust:
        """Return the trust in a relay at `endpoint` that shows `fingerprint`; write a new one down.

        Raises LocalError if the file has another fingerprint, with advice for a relay that was really
        installed anew.
        """
        lines = self._lines()
        for number, line in enumerate(lines, start=1):
            entry = line.partition("#")[0].split()
            if not entry or entry[0].lower() != str(endpoint).lower():
                continue
            if len(entry) != 2:
                raise LocalError(
                    f'line {number} of {self._path} is damaged: found {line!r}, expected "HOST:PORT '
                    'FINGERPRINT". Remove that line; the relay counts as new then'
                )
            if entry[1] != fingerprint:
                raise LocalError(
                    f"{endpoint} is not the relay you used before: it shows the key {fingerprint}, "
                    f"line {number} of {self._path} says {entry[1]}. If the relay was really installed "
                    "anew (ask whoever runs it), remove that line and try again (a join that runs does so by "
                    "itself); if not, somebody stands between you and the relay, and nothing was sent"
                )
            return Trust.KNOWN
        self._write([*lines, f"{endpoint} {fingerprint}"])
        log.info("relay noted endpoint=%s fingerprint=%s", endpoint, fingerprint)
        return Trust.NEW

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise LocalError(f"cannot read the known relays in {self._path}: {error}") from None

    def _write(self, lines: list[str]) -> None:
        temporary: str | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=f"{self._path.name}.", dir=self._path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise LocalError(f"cannot note the relay in {self._path}: {error}") from None
