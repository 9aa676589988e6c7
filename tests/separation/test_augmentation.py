"""Stems mixed anew: what is asked for happens, what is not does not."""

import numpy as np
import pytest

from levada.errors import InputError
from levada.separation.augmentation import AS_IT_IS, StemAugmentation, mix
from levada.separation.stft import Stft

RATE = 22050
TRANSFORM = Stft(RATE)


def tone(hz, seconds=1.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def changed(stems, seed=0, length=RATE, **by):
    nothing = dict.fromkeys(("remix", "gain_db", "tone_db", "semitones", "room", "polarity", "drop"), 0)
    by = StemAugmentation(**{**nothing, **by})
    return mix(stems, length, rate=RATE, by=by, rng=np.random.default_rng(seed))


def heard(spectra, length=RATE):
    return TRANSFORM.inverse(spectra, length)


def test_nothing_asked_is_nothing_changed():
    stems = [tone(100), tone(1000)]
    spectra = mix(stems, RATE, rate=RATE, by=AS_IT_IS, rng=np.random.default_rng(0))
    assert np.abs(heard(spectra) - stems).max() < 1e-5


def test_stems_that_are_not_there_are_silent_and_short_ones_end():
    spectra = changed([None, tone(200, 0.5), np.zeros(0, np.float32)])
    sound = heard(spectra)
    assert not sound[0].any()
    assert not sound[2].any()
    assert np.abs(sound[1, : RATE // 2 - 2000]).max() > 0.9
    assert np.abs(sound[1, RATE // 2 + 2000 :]).max() < 1e-5


def test_gain_and_polarity():
    gains = [
        heard(changed([tone(200)], seed, gain_db=6, polarity=0.5))[0] @ tone(200) / (RATE / 2) for seed in range(60)
    ]
    assert {True, False} == {gain > 0 for gain in gains}
    assert max(map(abs, gains)) < 2.0
    assert max(map(abs, gains)) > 1.7
    assert min(map(abs, gains)) < 0.6


def test_tone_is_smooth_and_bounded():
    ratio = np.abs(changed([tone(200) + tone(3000)], 3, tone_db=9)) / (np.abs(changed([tone(200) + tone(3000)])) + 1e-9)
    at = [round(200 * TRANSFORM.window / RATE), round(3000 * TRANSFORM.window / RATE)]
    low, high = ratio[0, 10, at]
    assert low != pytest.approx(high, rel=0.05)
    assert 10 ** (-9.1 / 20) < min(low, high) < max(low, high) < 10 ** (9.1 / 20)


def test_a_tape_changes_pitch():
    peaks = {
        int(np.abs(np.fft.rfft(heard(changed([tone(1000, 1.2)], seed, semitones=2))[0])).argmax()) for seed in range(20)
    }
    assert min(peaks) >= 1000 / 2 ** (2 / 12) - 2
    assert max(peaks) <= 1000 * 2 ** (2 / 12) + 2
    assert max(peaks) - min(peaks) > 50


def test_dropped_is_silent():
    silent = [not changed([tone(100)], seed, drop=0.3).any() for seed in range(100)]
    assert 15 < sum(silent) < 45


def test_a_room_rings_on():
    click = np.zeros(RATE, np.float32)
    click[100] = 1
    sounds = [heard(changed([click], seed, room=1))[0] for seed in range(4)]
    assert all(np.abs(sound[600:5000]).max() > 1e-3 for sound in sounds)
    assert all(np.abs(sound[:100]).max() < 0.2 for sound in sounds)


def test_the_same_seed_is_the_same_sound():
    by = StemAugmentation()
    stems = [tone(100, 1.2), tone(900, 1.2)]
    one, two, three = (mix(stems, RATE, rate=RATE, by=by, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == two).all()
    assert not (one == three).all()


@pytest.mark.parametrize("wrong", [{"drop": 2}, {"gain_db": -1}, {"semitones": "1"}, {"room": True}, {"tone_db": 90}])
def test_settings_that_make_no_sense(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} must be a number"):
        StemAugmentation(**wrong)
