"""The wire: STREP, RTP, G.711 and the sample-exact timeline, in columns.

Nothing in this package knows of calls, files or sockets' owners; it imports numpy and the standard
library only. `media` builds the service on top of it.
"""

__version__ = "0.1.0"
