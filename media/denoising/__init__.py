"""Noise suppression in columns: all tracks of a tick at once, each sample at its own place.

* `media.denoising.gains`: how much of each frequency is noise, and what is left of it. The method.
* `media.denoising.bank`: windows, spectra and back; tracks by number.
* `media.denoising.denoiser`: blocks of calls through a bank; switched per call and direction.

A filter in front of any sink is `media.sinks.denoised`; of what is played, `media.talk.sources.denoised`.
"""
