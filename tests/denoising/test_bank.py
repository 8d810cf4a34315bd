"""`media.denoising.bank` and `media.denoising.gains`: what is noise goes, everything else stays, and where it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.denoising.bank import Bank
from media.denoising.gains import DEAD_POWER, FLOOR
from tests.denoising.sounds import as_pcm, denoised, hiss, level_db, talk, tone

rates = pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 24000, 44100, 48000])


def si_sdr_db(reference: np.ndarray, audio: np.ndarray) -> float:
    """Return the scale-invariant signal-to-distortion ratio (Le Roux et al., ICASSP 2019)."""
    wanted = (reference @ audio) / (reference @ reference) * reference
    return level_db(wanted) - level_db(audio - wanted)


class TestPlaces:
    @rates
    def test_every_sample_comes_out_where_it_was(self, rate_hz: int) -> None:
        """Before the noise of a track is known its audio is left as it is."""
        audio = hiss(0.25, 2000, rate_hz)
        made = denoised(audio, rate_hz, block=rate_hz // 50)
        assert len(made) == len(audio)
        assert np.abs(made - as_pcm(audio)).max() < 0.1

    @given(st.lists(st.integers(1, 900), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
    def test_however_it_is_cut(self, lengths: list[int], seed: int) -> None:
        audio = hiss(sum(lengths) / 8000, 500, seed=seed)
        bank = Bank(8000)
        slot = np.array([bank.claim()])
        pieces = np.split(as_pcm(audio)[None], np.cumsum(lengths)[:-1], axis=1)
        held = bank.hop_samples
        made = []
        for piece in pieces:
            out = bank.receive(slot, piece)
            held += piece.shape[1] - out.shape[1]
            assert bank.hop_samples <= held == bank.hop_samples + bank.rest_samples(slot)[0] < 2 * bank.hop_samples
            made.append(out)
        made.append(bank.flush(slot))
        joined = np.concatenate(made, axis=1)[0, bank.hop_samples :]
        np.testing.assert_allclose(joined, denoised(audio), atol=0.05)

    def test_all_tracks_at_once_or_one_by_one(self) -> None:
        """Neither the others nor their number changes what becomes of a track."""
        tracks = [talk(3) + hiss(3, 30 * i, seed=i) for i in range(5)] * 80
        bank = Bank(8000)
        slots = np.array([bank.claim() for _ in tracks])
        pcm = np.array([as_pcm(track) for track in tracks])
        made = [bank.receive(slots, pcm[:, start : start + 160]) for start in range(0, pcm.shape[1], 160)]
        joined = np.concatenate([*made, bank.flush(slots)], axis=1)[:, bank.hop_samples :]
        for i in range(5):
            np.testing.assert_allclose(joined[i::5], np.tile(denoised(tracks[i]), (80, 1)), atol=0.5)

    def test_a_slot_that_is_released_has_no_past(self) -> None:
        bank = Bank(8000)
        slot = bank.claim()
        bank.receive(np.array([slot]), as_pcm(hiss(3, 3000))[None])
        bank.release(slot)
        assert bank.claim() == slot
        audio = as_pcm(hiss(0.2, 100))[None]
        made = np.concatenate([bank.receive(np.array([slot]), audio), bank.flush(np.array([slot]))], axis=1)
        assert np.abs(made[0, bank.hop_samples :] - audio[0]).max() < 0.1

    def test_too_slow_a_rate(self) -> None:
        with pytest.raises(ValueError, match="8000"):
            Bank(6000)


class TestNoise:
    @pytest.mark.parametrize("rms", [20, 100, 1000, 8000])
    @rates
    def test_steady_noise_is_turned_down(self, rate_hz: int, rms: float) -> None:
        made = denoised(hiss(4, rms, rate_hz), rate_hz)
        assert level_db(made[2 * rate_hz :]) < 20 * np.log10(rms) - 12

    def test_it_is_never_turned_down_by_more_than_the_floor(self) -> None:
        made = denoised(hiss(4, 1000))
        assert level_db(made) > 60 + 20 * np.log10(FLOOR)

    def test_noise_that_rises_is_noticed(self) -> None:
        made = denoised(np.concatenate([hiss(3, 100), hiss(6, 1000)]))
        assert level_db(made[7 * 8000 :]) < 60 - 12

    def test_a_hum_goes(self) -> None:
        hum = tone(8, 50, 100, 150, 250, amplitude=800) + hiss(8, 20)
        assert level_db(denoised(hum)[4 * 8000 :]) < level_db(hum) - 14

    def test_no_chirping_is_left(self) -> None:
        """What is left of noise is as even as noise: bins do not come and go."""
        made = denoised(hiss(12, 1000))[4 * 8000 :]
        power = np.abs(np.fft.rfft(made.reshape(-1, 256) * np.hanning(256), axis=1)[:, 2:-2]) ** 2
        # Of noise, power is distributed exponentially: the square of its mean is half its mean square.
        assert (power**2).mean() / power.mean() ** 2 < 2 * 4

    @given(st.integers(0, 2**32 - 1), st.floats(0, 4.5))
    def test_no_energy_is_added(self, seed: int, magnitude: float) -> None:
        random = np.random.default_rng(seed)
        audio = random.normal(0, 10**magnitude, 16000) * (random.random(16000) < random.random())
        audio[random.integers(16000) :] *= random.choice([0, 1, 0.01])
        pcm, made = as_pcm(audio).astype(np.float64), denoised(audio).astype(np.float64)
        assert (made**2).sum() <= (pcm**2).sum() * 1.0001 + 1
        assert np.isfinite(made).all()


class TestSpeech:
    @pytest.mark.parametrize("snr_db", [0, 5, 10, 15])
    def test_it_is_more_like_itself(self, snr_db: int) -> None:
        """It begins with the first sample: there is no noise alone that could be learnt."""
        voice = talk(12)
        noisy = voice + hiss(12, 10 ** ((level_db(voice) - snr_db) / 20))
        assert si_sdr_db(voice, denoised(noisy)) > si_sdr_db(voice, noisy) + 3

    def test_without_noise_it_is_left_alone(self) -> None:
        voice = talk(12)
        assert si_sdr_db(voice, denoised(voice)) > 15

    def test_the_first_word_is_whole(self) -> None:
        voice = talk(0.3)
        assert np.abs(denoised(voice) - as_pcm(voice)).max() < 1

    def test_speech_of_other_rates(self) -> None:
        voice = np.repeat(talk(8), 2)
        noisy = voice + hiss(8, 10 ** ((level_db(voice) - 5) / 20), 16000)
        assert si_sdr_db(voice, denoised(noisy, 16000)) > si_sdr_db(voice, noisy) + 3


class TestSilence:
    def test_silence_stays_silence(self) -> None:
        made = denoised(np.concatenate([np.zeros(8000), hiss(2, 1000), np.zeros(8000)]))
        assert not made[:7840].any()
        assert not made[3 * 8000 + 160 :].any()

    def test_noise_is_as_it_was_behind_a_silence(self) -> None:
        """DTX and losses are no quiet room: the noise behind them is known at once."""
        made = denoised(np.concatenate([hiss(4, 1000), np.zeros(3 * 8000), hiss(1, 1000, seed=2)]))
        assert level_db(made[7 * 8000 + 320 :]) < 60 - 12

    def test_lost_packets_do_not_bring_the_noise_back(self) -> None:
        noise = hiss(10, 1000)
        lost = np.repeat(np.random.default_rng(3).random(500) < 0.05, 160)
        noise[np.roll(lost, 57)] = 0
        assert level_db(denoised(noise)[4 * 8000 :]) < 60 - 12

    def test_the_least_there_is_passes(self) -> None:
        quiet = hiss(3, np.sqrt(DEAD_POWER) / 3)
        assert np.abs(denoised(quiet) - as_pcm(quiet)).max() < 0.1


class TestTones:
    @pytest.mark.parametrize("noise", [0, 60])
    def test_keys_are_no_noise(self, noise: float) -> None:
        """Neither a short one nor one that is held for four seconds, behind noise that is known."""
        for seconds in (0.05, 0.5, 4):
            key = tone(seconds, 770, 1336)
            made = denoised(np.concatenate([hiss(3, 60), key + hiss(seconds, noise)]))[3 * 8000 :]
            assert abs(level_db(made[-320:]) - level_db(key[-320:])) < 1, f"the end of {seconds} s"
            assert abs(level_db(made) - level_db(key)) < 1, f"{seconds} s"

    @pytest.mark.parametrize(("hz", "seconds"), [(1100, 0.5), (2100, 4.0), (440, 2.0)])
    def test_fax_and_the_network(self, hz: float, seconds: float) -> None:
        sound = np.concatenate([hiss(3, 60), tone(seconds, hz) + hiss(seconds, 60), hiss(1, 60)])
        made = denoised(sound)
        for part in (slice(3 * 8000, 3 * 8000 + 800), slice(-9600, -8160)):
            assert abs(level_db(made[part]) - level_db(sound[part])) < 1

    def test_a_whistle_that_never_ends_is_noise(self) -> None:
        whistle = tone(14, 1000) + hiss(14, 20)
        assert level_db(denoised(whistle)[10 * 8000 :]) < level_db(whistle) - 12
