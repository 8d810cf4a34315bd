"""Pictures of the page for README.md and docs/page.md: ``make screenshots``.

A server, a simulated carrier whose callers speak, press keys and are transcribed, and headless Chromium. ::

    python -m tests.page.screenshots [--only one,many] [--to docs/pictures]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.page.browser import CHROMIUM, Page, browser

ROOT = Path(__file__).resolve().parent.parent.parent
STREP = (sys.executable, "-m", "media.cli")
UDP, WS, HTTP = "127.0.0.1:9540", "127.0.0.1:9541", "127.0.0.1:9580"
WIDE, PHONE = (1440, 900), (390, 844)


@dataclass(frozen=True)
class Scene:
    """One run: who calls, how long it is watched, and which pictures are taken."""

    name: str
    callers: tuple[str, ...]
    watch_s: float
    pictures: tuple[str, ...]


_NOISE = "--loss 0.8% --burst-loss 3 --reorder 1% --jitter 12"
SCENES = (
    Scene(
        "one",
        (f"--ws ws://{WS}/telnyx --dialect telnyx --seconds 75 --press 9:4 --press 10:7 --press 11:1",),
        15,
        ("one-light", "one-phone"),
    ),
    Scene(
        "fifty",
        (
            f"--ws ws://{WS}/telnyx --dialect telnyx --calls 4 --stagger 700 --seconds 75 --press 7:1",
            f"--udp {UDP} --calls 40 --stagger 190 --seconds 75 --dtmf 4711 {_NOISE} --seed 7",
            f"--udp {UDP} --calls 6 --stagger 900 --seconds 75 --loss 5% --burst-loss 5 --seed 3",
        ),
        18,
        ("fifty-light", "fifty-dark"),
    ),
    Scene(
        "two-thousand",
        (
            f"--udp {UDP} --calls 1900 --stagger 7 --seconds 150 --ptime 60 --segmented --loss 0.1% --seed 1",
            f"--udp {UDP} --calls 100 --stagger 90 --seconds 150 --ptime 60 --loss 2% --burst-loss 3 --seed 2",
        ),
        30,
        ("two-thousand-dark",),
    ),
    Scene(
        "recording",
        (
            f"--udp {UDP} --calls 5 --stagger 300 --seconds 40 --dtmf 90210 {_NOISE} --hold 16+4 --seed 11",
            f"--ws ws://{WS}/telnyx --dialect telnyx --calls 2 --stagger 500 --seconds 41 --press 8:3",
        ),
        52,
        ("recording-light", "recording-phone"),
    ),
)


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *STREP, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def film(scene: Scene, to: Path) -> None:
    """Take the pictures of one scene."""
    folder = Path(tempfile.mkdtemp(prefix="strep-page-"))
    serve = ["serve", "--udp", UDP, "--ws", WS, "--http", HTTP, "--http-recordings", "on"]
    serve += ["--record", str(folder / "recordings"), "--detect", "dtmf"] if scene.name != "two-thousand" else []
    if scene.name == "recording":
        serve += ["--idle-timeout", "6"]
    if find_spec("pocketsphinx") and scene.name in ("one", "recording"):
        serve += ["--transcribe", "pocketsphinx"]
    try:
        async with contextlib.AsyncExitStack() as stack:
            server = await stack.enter_async_context(running(*serve))
            assert server.stdout is not None
            await server.stdout.readline()
            page = await stack.enter_async_context(browser(folder / "profile"))
            await page.look(*WIDE)
            await page.open(f"http://{HTTP}/#/live")
            for caller in scene.callers:
                await stack.enter_async_context(running("simulate", *caller.split()))
            await page.until("document.querySelectorAll('.row').length > 0")
            await asyncio.sleep(scene.watch_s)
            await prepare(page, scene)
            for picture in scene.pictures:
                await shoot(page, scene, picture, to)
            for error in page.errors:
                sys.stdout.write(f"{scene.name}: {error[:300]}\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def prepare(page: Page, scene: Scene) -> None:
    """Show what the pictures are to show."""
    if scene.name == "recording":
        await page.eval("location.hash = '#/recordings'")
        await page.until("document.querySelectorAll('.take').length > 0")
        await page.eval("document.querySelector('.take:has(.badge.lost)').click()")
        await page.until("Boolean(strep.recordings.data?.peaks)")
        await page.eval("strep.recordings.player.start = 9.4 * 8000")
    elif scene.name == "one":
        await page.press("3", "Escape")
    else:
        await page.eval("strep.list.sortBy('worst')")
        await asyncio.sleep(6)
        await page.eval("strep.list.box.scrollTop = 0, strep.list.step(-1e9)")
    await asyncio.sleep(4)


async def shoot(page: Page, scene: Scene, picture: str, to: Path) -> None:
    """Take one picture."""
    is_phone = picture.endswith("phone")
    await page.look(*(PHONE if is_phone else WIDE), dark=picture.endswith("dark"), phone=is_phone)
    if is_phone and scene.name == "one":
        await page.eval("document.querySelector('.row').click()")
    await asyncio.sleep(1.5)
    path = to / f"page-{picture}.png"
    await page.picture(path)
    sys.stdout.write(f"{path}: {path.stat().st_size // 1000} kB\n")


async def main(arguments: Sequence[str]) -> None:
    """Take all pictures, or those of some scenes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "pictures")
    given = parser.parse_args(arguments)
    if CHROMIUM is None:
        sys.exit("chromium is not installed: make peers")
    given.to.mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        if not given.only or scene.name in given.only.split(","):
            await film(scene, given.to)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
