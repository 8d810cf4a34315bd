"""Applications that come along: small, real, and written on nothing but `media.talk.call.LiveCall`.

`load_app` finds them by name, and any other function as ``module:function``.

`echo` says back what it hears, half a second later. `parrot` listens until there is a pause, and says back what was
said. `ivr` is a menu for keys.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from media.talk.call import Application

BUILT_IN = ("echo", "ivr", "parrot")


def load_app(name: str) -> Application:
    """Import an application; a module of the user's is looked for in the working directory first.

    Raises:
        ConfigurationError: there is none of this name, or it cannot be imported.
    """
    module, colon, function = (f"media.apps.{name}", ":", name) if name in BUILT_IN else name.partition(":")
    if not colon:
        raise ConfigurationError(f"app: there is no {name!r}; there is {', '.join(BUILT_IN)}, or MODULE:FUNCTION")
    if name not in BUILT_IN and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # which an installed command, unlike `python -m`, has not
    try:
        app: Application = getattr(importlib.import_module(module), function)
    except Exception as error:  # code of others: whatever it raises, it is not usable
        raise ConfigurationError(f"app: {name} cannot be imported: {error!r}") from error
    if not callable(app):
        raise ConfigurationError(f"app: {name} is no function of a call")
    return app
