"""`strep demo`: a server and a simulated carrier on this machine, and whether they agree on what happened."""
