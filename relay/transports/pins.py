"""Known relays: a file with the fingerprint that each relay showed at its first use, like ssh's known hosts.

A shell. The file is plain text: one "HOST:PORT FINGERPRINT" a line, "#" for comments. It is always replaced
as a whole, so that a crash leaves the old file or the new one. The first fingerprint of a relay is believed
unchecked. From then on the file protects against anybody who takes the relay's place.
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
    """Why a bridge believes that a relay is the intended one."""

    NEW = "new"
    """The relay is used for the first time. Its fingerprint has just been added to the file."""
    KNOWN = "known"
    """The relay showed the same fingerprint as at its first use."""


def default_path() -> Path:
    """Return the path of the user's file of known relays on this system."""
    return platformdirs.user_data_path("jamrelay", appauthor=False) / "known_relays"


def fingerprint_of(der: bytes) -> str:
    """Return the fingerprint of a certificate. der: the certificate, encoded as DER.

    It is "SHA256:" and the hash in base64 without padding, as ssh shows the fingerprints of keys.
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")


class KnownRelays:
    """The known relays in one file. Each check reads the file again, because several bridges may use it."""

    def __init__(self, path: Path) -> None:
        """path: the file. The file and its folder are made when the first relay is added."""
        self._path = path

    def check(self, endpoint: Endpoint, fingerprint: str) -> Trust:
        """Compare the fingerprint that a relay shows with the file. Return why the relay is believed.

        The fingerprint of a relay that isn't in the file yet is added. Raises LocalError if the file has
        another fingerprint for the endpoint. The error says what to do if the relay was really installed
        anew.
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
