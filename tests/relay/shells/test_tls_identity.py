"""A relay's TLS identity: made at the first start, kept, and never replaced without being asked."""

import hashlib
import ssl
import stat
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from relay.shells.tls_identity import fingerprint_of, load_or_create
from relay.wire.errors import LocalError


def test_first_start_makes_an_identity_and_later_ones_keep_it(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "new" / "folder")
    assert load_or_create(tmp_path / "new" / "folder") == first
    assert sorted(path.name for path in (tmp_path / "new" / "folder").rglob("*.pem")) == [
        "cert.pem",
        "key.pem",
    ]
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 1, "nothing half-made is left behind"


def test_two_relays_have_different_identities(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "a").fingerprint != load_or_create(tmp_path / "b").fingerprint


def test_fingerprint_is_written_as_ssh_shows_it() -> None:
    digest = b64encode(hashlib.sha256(b"der").digest()).decode()
    assert fingerprint_of(b"der") == f"SHA256:{digest.rstrip('=')}"
    assert len(fingerprint_of(b"der")) == len("SHA256:") + 43


def test_fingerprint_is_that_of_the_certificate_shown(tmp_path: Path) -> None:
    identity = load_or_create(tmp_path)
    assert fingerprint_of(ssl.PEM_cert_to_DER_cert(identity.cert_path.read_text())) == identity.fingerprint


def test_certificate_is_p256_and_lasts_a_working_life(tmp_path: Path) -> None:
    cert = x509.load_pem_x509_certificate(load_or_create(tmp_path).cert_path.read_bytes())
    key = cert.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert cert.not_valid_before_utc < datetime.now(UTC)
    assert cert.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365 * 50)


def test_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    key_path = load_or_create(tmp_path).key_path
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    key_path.chmod(0o640)
    with pytest.raises(LocalError, match=f"chmod 600 {key_path}"):
        load_or_create(tmp_path)


@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
@pytest.mark.parametrize("damage", ["empty", "cut", "missing", "other"])
def test_damaged_identity_says_what_to_do_and_is_left_alone(tmp_path: Path, name: str, damage: str) -> None:
    load_or_create(tmp_path / "mine")
    path = tmp_path / "mine" / "identity" / name
    content = path.read_bytes()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "missing":
            path.unlink()
        case "other":
            load_or_create(tmp_path / "other")
            path.write_bytes((tmp_path / "other" / "identity" / name).read_bytes())
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(LocalError, match=r"is damaged: .*Put it back from a copy; or remove the folder"):
        load_or_create(tmp_path / "mine")
    assert (path.read_bytes() if path.exists() else None) == before


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalError, match="cannot make the relay's identity"):
        load_or_create(tmp_path / "file" / "below")
