"""``strep doctor``: whether a machine is fit for what a server is to do there, and what to type where it is not.

`facts` is what can be read of a machine, `readings` reads it, `demand` is what a server needs, and `checks` judges
one against the other: pure, one rule after another. It changes nothing.
"""
