"""How good a track was: bursts of loss (RFC 3611), the E-model (ITU-T G.107), from counters and the ledger."""
