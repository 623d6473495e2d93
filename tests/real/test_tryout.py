"""scripts/tryout on genuine Sonic Pis: its verdict on three small programs whose right verdict is known."""

from pathlib import Path

import pytest
from rehearsal.rigs.stage import Stage
from rehearsal.tryout import theatre
from rehearsal.tryout.theatre import Program, Theatre
from rehearsal.tryout.trial import Trial

pytestmark = [pytest.mark.real, pytest.mark.exhaustive]

SECONDS = 8.0
PROGRAMS = {
    "kick": "live_loop(:kick) { sample :bd_haus; synth :tb303, note: 40, release: 0.2; sleep 0.5 }",
    "own_sample": 'live_loop(:own) { sample "OWN"; sleep 0.5 }',
    "key": "live_loop :key do\n  note, velocity = sync '/midi*/note_on'\n  play note\nend",
}
CUES = {"key": "".join(f"{at_s} /midi:keys:0:1/note_on {60 + at_s} 100\n" for at_s in range(1, 7))}


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    folder = tmp_path_factory.mktemp("tryout")
    own = folder / "own.flac"
    own.write_bytes(Path("/usr/share/sonic-pi/samples/elec_beep.flac").read_bytes())
    with Stage() as stage:
        stands = Theatre(stage, folder / "stage")
        found = {}
        for name, code in PROGRAMS.items():
            path = folder / f"{name}.rb"
            path.write_text(code.replace("OWN", str(own)))
            if name in CUES:
                path.with_suffix(".cues").write_text(CUES[name])
            found[name] = stands.try_out(Program.at(path), SECONDS)
            stands.afresh()
    return found


def test_a_program_of_stock_sounds_is_the_same_at_home_and_elsewhere(trials: dict[str, Trial]) -> None:
    trial = trials["kick"]
    assert (trial.verdict, trial.faults) == ("same", [])
    assert trial.sent.plain > 20
    assert min(trial.levels[name].whole for name in theatre.WHERE) > -50


def test_an_own_sample_is_heard_at_home_alone_and_counted(trials: dict[str, Trial]) -> None:
    trial = trials["own_sample"]
    assert trial.verdict in ("counted", "told")
    assert trial.levels["home"].apart_db(trial.levels["plain"]) < 1.0
    assert trial.levels["elsewhere"].whole < -100
    assert trial.counted["anna local_only"] == 1


def test_what_comes_from_outside_drives_both_sonic_pis(trials: dict[str, Trial]) -> None:
    assert (trials["key"].sent.plain, trials["key"].sent.jam) == (6, 6)
    assert trials["key"].verdict == "same"
