"""A virtual display, before its X server runs."""

from pathlib import Path

import pytest
from rehearsal.rigs import screen


def test_the_folder_of_sockets_exists_before_any_x_server_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sockets"
    monkeypatch.setattr(screen, "SOCKETS", folder)
    for _ in range(2):
        screen.Screen().close()
        assert folder.stat().st_mode & 0o7777 == 0o1777, "who else starts an X server may add a socket"
