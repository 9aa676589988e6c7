"""Stems mixed anew: what is asked for happens, what is not does not."""

import numpy as np
import pytest

from levada.errors import InputError
from levada.separation.augmentation import NO_AUGMENTATION, StemAugmentation, augment
from levada.separation.stft import Stft

RATE = 22050
TRANSFORM = Stft(RATE)


def tone(hz, seconds=1.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def changed(stems, seed=0, length=RATE, **amounts):
    nothing = dict.fromkeys(("remix", "gain_db", "tone_db", "semitones", "room", "polarity", "drop"), 0)
    config = StemAugmentation(**{**nothing, **amounts})
    return augment(stems, length, rate=RATE, config=config, rng=np.random.default_rng(seed))


def result(spectra, length=RATE):
    return TRANSFORM.inverse(spectra, length)


def test_nothing_asked_is_nothing_changed():
    stems = [tone(100), tone(1000)]
    spectra = augment(stems, RATE, rate=RATE, config=NO_AUGMENTATION, rng=np.random.default_rng(0))
    assert np.abs(result(spectra) - stems).max() < 1e-5


def test_empty_stems_are_silent_and_short_ones_are_padded():
    short, empty = result(changed([tone(200, 0.5), np.zeros(0, np.float32)]))
    assert not empty.any()
    assert np.abs(short[: RATE // 2 - 2000]).max() > 0.9
    assert np.abs(short[RATE // 2 + 2000 :]).max() < 1e-5


def test_channels_are_changed_in_the_same_way():
    stereo = np.stack([tone(200, 1.2), 0.5 * tone(200, 1.2)])
    for seed in range(4):
        left, right = result(changed([stereo], seed, semitones=2, gain_db=6, tone_db=6, room=0.5, polarity=0.5))[0]
        assert np.allclose(right, 0.5 * left, atol=1e-5)
        assert np.allclose(
            left,
            result(changed([stereo[0]], seed, semitones=2, gain_db=6, tone_db=6, room=0.5, polarity=0.5))[0],
            atol=1e-6,
        )


def test_gain_and_polarity():
    gains = [
        result(changed([tone(200)], seed, gain_db=6, polarity=0.5))[0] @ tone(200) / (RATE / 2) for seed in range(60)
    ]
    assert {True, False} == {gain > 0 for gain in gains}
    assert max(map(abs, gains)) < 2.0
    assert max(map(abs, gains)) > 1.7
    assert min(map(abs, gains)) < 0.6


def test_tone_is_smooth_and_bounded():
    ratio = np.abs(changed([tone(200) + tone(3000)], 3, tone_db=9)) / (np.abs(changed([tone(200) + tone(3000)])) + 1e-9)
    at = [round(200 * TRANSFORM.frame_length / RATE), round(3000 * TRANSFORM.frame_length / RATE)]
    low, high = ratio[0, 10, at]
    assert low != pytest.approx(high, rel=0.05)
    assert 10 ** (-9.1 / 20) < min(low, high) < max(low, high) < 10 ** (9.1 / 20)


def test_a_tape_changes_pitch():
    peaks = {
        int(np.abs(np.fft.rfft(result(changed([tone(1000, 1.2)], seed, semitones=2))[0])).argmax())
        for seed in range(20)
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
    sounds = [result(changed([click], seed, room=1))[0] for seed in range(4)]
    assert all(np.abs(sound[600:5000]).max() > 1e-3 for sound in sounds)
    assert all(np.abs(sound[:100]).max() < 0.2 for sound in sounds)


def test_the_same_seed_is_the_same_sound():
    stems = [tone(100, 1.2), tone(900, 1.2)]
    one, two, three = (
        augment(stems, RATE, rate=RATE, config=StemAugmentation(), rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert (one == two).all()
    assert not (one == three).all()


@pytest.mark.parametrize("wrong", [{"drop": 2}, {"gain_db": -1}, {"semitones": "1"}, {"room": True}, {"tone_db": 90}])
def test_settings_that_make_no_sense(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} must be a number"):
        StemAugmentation(**wrong)


def test_resonances_change_some_frequencies_and_not_all_alike():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    ratio = np.abs(changed([noise], 3, resonance_db=9)[0, 5:-5]) / np.abs(TRANSFORM.forward(noise)[5:-5])
    gain_db = 20 * np.log10(ratio.mean(axis=0))
    assert 2 < np.ptp(gain_db) < 2 * 4 * 9
    assert np.allclose(ratio, ratio[:1], rtol=1e-3)  # the same in every frame


def test_a_second_microphone_is_a_later_copy():
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 1
    out = result(changed([click], 1, bleed_db=6))[0]
    later = np.abs(out[RATE // 2 + 8 : RATE // 2 + round(0.01 * RATE)])
    assert out[RATE // 2] == pytest.approx(1, abs=0.05)
    assert later.max() > 0.02
    assert np.abs(out[: RATE // 2 - 400]).max() < 0.01


def test_a_decay_is_changed_without_the_loudest_moment():
    stroke = tone(500) * np.exp(-np.arange(RATE) / (0.1 * RATE)).astype(np.float32)
    frames = np.square(np.abs(TRANSFORM.forward(stroke))).sum(axis=1)
    seen = []
    for seed in range(6):
        energy = np.square(np.abs(changed([stroke], seed, decay=0.5)[0])).sum(axis=1)
        assert energy.max() == pytest.approx(frames.max(), rel=0.01)
        slopes = [np.polyfit(np.arange(12), np.log(one[3:15]), 1)[0] for one in (frames, energy)]
        seen.append(slopes[1] / slopes[0])
    assert 0.5 <= min(seen) < 0.9
    assert 1.1 < max(seen) <= 1.5
