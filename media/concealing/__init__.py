"""Concealment of lost packets for live sinks: what is made up is `strep.concealment`, where it goes is here.

* `media.concealing.history`: what was handed on of each track a moment ago, without a copy of it.
* `media.concealing.concealer`: blocks of calls, their holes filled.
* `media.concealing.fitting`: which sinks get what is filled, as configured.

What stands in front of a sink is `media.sinks.concealed`.
"""
