"""The front doors: they turn what came from the wire into frames of known tracks, and open calls for newcomers."""
