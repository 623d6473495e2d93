"""Sounds that only the local player hears: counted by name, and reported once for each name."""

from bridge.tap.only_here import NAMES_MAX, Missed
from relay.wire.commands import HOME_ONLY, OWN_FX, OWN_SYNTH


def test_each_name_is_told_once_and_counted_each_time() -> None:
    missed = Missed()
    first = missed.synth("mybeep", OWN_SYNTH)
    assert first is not None
    assert "mybeep is a synthdef of your own: only you hear it" in first.text
    assert missed.synth("mybeep", OWN_SYNTH) is None
    assert missed.synth("myfx", OWN_FX) is not None
    assert missed.by_name == {"mybeep": 2, "myfx": 1}


def test_each_sort_has_its_own_words() -> None:
    missed = Missed()
    tells = [
        missed.synth("a", OWN_SYNTH),
        missed.synth("b", OWN_FX),
        missed.synth("sonic-pi-live_audio_mono", HOME_ONLY["sonic-pi-live_audio_mono"]),
        missed.synth("sonic-pi-fx_echo", None),
        missed.file("drum.wav"),
        missed.other("/b_setn"),
    ]
    texts = [tell.text.partition(";")[0] for tell in tells if tell is not None]
    assert texts == [
        "a is a synthdef of your own: only you hear it",
        "b is an FX of your own: the others hear what goes into it as it is",
        "live_audio: sound input stays at home, only you hear it",
        "a call of fx_echo is too long to travel: only you hear it",
        "drum.wav is none of Sonic Pi's own samples: only you hear it",
        "a call of /b_setn is too long to travel: only you hear it",
    ]


def test_of_names_without_end_only_so_many_are_told() -> None:
    missed = Missed()
    tells = [missed.file(f"{number}.wav") for number in range(NAMES_MAX + 10)]
    assert sum(tell is not None for tell in tells) == NAMES_MAX == len(missed.by_name)
