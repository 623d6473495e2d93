"""Identity of a relay: a key and a self-signed certificate, made on first start and kept for good.

A shell. Bridges pin the certificate's fingerprint, so no authority has to sign it and it need not expire.
Both files are made in a temporary folder that is then renamed. So either both exist or none does.
"""

import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from relay.transports.pins import fingerprint_of
from relay.wire.errors import LocalError

__all__ = ["TlsIdentity", "fingerprint_of", "load_or_create"]

log = logging.getLogger(__name__)

VALID_FOR = timedelta(days=36_525)
"""How long the certificate is valid: a hundred years. It is so long because every member must be told of a
new certificate."""

_FOLDER = "identity"
_CERT = "cert.pem"
_KEY = "key.pem"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """The paths of a relay's certificate and key, and the fingerprint that bridges pin."""

    cert_path: Path
    key_path: Path
    fingerprint: str


def load_or_create(data_dir: Path) -> TlsIdentity:
    """Return the identity kept in `data_dir`. If there is none, it is made.

    Raises LocalError if the identity is damaged, readable by others, or can't be made. A damaged identity is
    never replaced by itself, because every member would take the new one for an impostor's.
    """
    folder = data_dir / _FOLDER
    if not folder.exists():
        _create(folder)
    return _load(folder)


def _load(folder: Path) -> TlsIdentity:
    cert_path, key_path = folder / _CERT, folder / _KEY
    try:
        cert = x509.load_pem_x509_certificate(cert_path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), password=None)
    except FileNotFoundError as error:
        raise _damaged(folder, f"{error.filename} is missing") from None
    except OSError as error:
        raise LocalError(f"cannot read the relay's identity: {error}") from None
    except (ValueError, TypeError) as error:  # TypeError: the key asks for a password
        raise _damaged(folder, str(error)) from None
    if _public(cert.public_key()) != _public(key.public_key()):
        raise _damaged(folder, "key and certificate do not belong together")
    if os.name == "posix" and key_path.stat().st_mode & 0o077:
        raise LocalError(f"others on this machine may read the relay's key: run chmod 600 {key_path}")
    return TlsIdentity(cert_path, key_path, fingerprint_of(cert.public_bytes(Encoding.DER)))


def _create(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jamrelay")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # for a bridge whose clock is behind
        .not_valid_after(now + VALID_FOR)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    making: str | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent)  # mode 0700
        _write(Path(making, _KEY), key_pem, mode=0o600)
        _write(Path(making, _CERT), cert.public_bytes(Encoding.PEM), mode=0o644)
        os.rename(making, folder)
    except OSError as error:
        if making is not None:
            shutil.rmtree(making, ignore_errors=True)
        if folder.exists():  # another start was faster: its identity is the relay's
            return
        raise LocalError(f"cannot make the relay's identity in {folder}: {error}") from None
    log.info("identity made folder=%s", folder)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _public(key: object) -> bytes:
    assert hasattr(key, "public_bytes"), "every key of the library can be written out"
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _damaged(folder: Path, what: str) -> LocalError:
    return LocalError(
        f"the relay's identity in {folder} is damaged: {what}. Put it back from a copy; or remove "
        "the folder, and a new one is made at the next start, which every member must then be told of"
    )
