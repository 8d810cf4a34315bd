"""Measurements of this machine; ``strep bench`` runs them, `README.md` explains them.

A file answers one question and opens by saying which; `benchmarks.question` lists them. Every contender is measured
by the same means, side by side in one run, and a figure counts only if the referee found that the work behind it was
done right.
"""
