"""A headless Chromium by its DevTools protocol: what a test needs of it, and no more.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.patience import PATIENCE_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: make peers")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--autoplay-policy=no-user-gesture-required",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Tab": ("Tab", 9, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
}


class Gone(Exception):
    """What was asked is not there any more: the page has gone to another URL."""


class Page:
    """One page of a browser.

    Attributes:
        errors: what it complained of: exceptions, errors in the console, what its policy did not allow.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.errors: list[str] = []
        self._connection, self._number, self._session = connection, 0, ""
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._connection:
            said = json.loads(message)
            if "id" in said:
                answer = self._answers.pop(said["id"])
                if not answer.done():  # nobody waits any more
                    answer.set_result(said)
            elif said["method"] == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(said["params"]["exceptionDetails"])[:2000])
            elif said["method"] == "Runtime.consoleAPICalled" and said["params"]["type"] in ("error", "assert"):
                self.errors.append(json.dumps(said["params"]["args"])[:2000])
            elif said["method"] == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
                self.errors.append(json.dumps(said["params"]["entry"])[:2000])

    async def begin(self) -> None:
        """Take the page that the browser opens by itself: what lies behind it is not drawn."""
        pages: list[dict[str, Any]] = []
        while not pages:
            targets = await self.command("Target.getTargets")
            pages = [target for target in targets["targetInfos"] if target["type"] == "page"]
        attached = await self.command("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.command(f"{domain}.enable")

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what a command of the protocol results in."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        said = {"id": self._number, "method": method, "params": parameters}
        await self._connection.send(json.dumps(said | ({"sessionId": self._session} if self._session else {})))
        answered = await asyncio.wait_for(answer, PATIENCE_S)
        if "error" in answered:
            raise Gone(answered["error"])
        result: dict[str, Any] = answered["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to a URL."""
        await self.command("Page.navigate", url=url)

    async def eval(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, or of its promise."""
        result = await self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true, and return it."""
        look = f"let value; try {{ value = ({expression}); }} catch {{}}"
        look += "if (value || tries++ > 10) return done(value); setTimeout(look, 25);"
        watch = f"new Promise((done) => {{ let tries = 0; const look = () => {{ {look} }}; look(); }})"
        while True:
            try:
                if value := await self.eval(watch):
                    return value
            except Gone:
                continue

    async def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            name, code, text = KEYS.get(key, (key, ord(key.upper()) if len(key) == 1 else 0, key))
            common = {"key": name, "windowsVirtualKeyCode": code}
            await self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
            await self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    async def write(self, text: str) -> None:
        """Write into what has the focus."""
        await self.command("Input.insertText", text=text)

    async def look(
        self, width: int, height: int, *, dark: bool = False, phone: bool = False, scale: float = 1
    ) -> None:
        """Be a screen of a size, in light or dark."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.command("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        await self.command("Emulation.setDeviceMetricsOverride", **size)

    async def picture(self, path: Path) -> None:
        """Take a picture of what is seen."""
        shot = await self.command("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def close(self) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Page]:
    """Start a browser with a new profile, and open its page; end it after."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    draining = None
    try:
        url = await asyncio.wait_for(_address(process), PATIENCE_S)
        assert process.stderr is not None
        draining = asyncio.create_task(process.stderr.read())
        async with connect(url, max_size=None, proxy=None, compression=None) as connection:
            page = Page(connection)
            try:
                await page.begin()
                yield page
            finally:
                await page.close()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        if draining is not None:
            await draining


async def _address(process: asyncio.subprocess.Process) -> str:
    """Return where a browser listens, as it says when it has begun."""
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(rb"DevTools listening on (ws://\S+)", line):
            return found[1].decode()
    raise AssertionError("chromium has ended")
