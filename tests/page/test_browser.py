"""The page in a real browser, a real server behind it, and a simulated carrier that calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from media.carrier.options import SimulationOptions, Transport, WebSocketOptions
from media.carrier.simulation import Simulation, Target
from media.config import Endpoint, ServerConfig
from media.server import Server
from media.sinks.contract import CallInfo
from media.workers.steering import is_supported
from strep.clock import NS_PER_SECOND
from tests.http.door import hall
from tests.http.test_access import TOKEN
from tests.media.serving import address, serving
from tests.page.browser import Page, browser, needs_chromium
from tests.patience import PATIENCE_S
from tests.sinks.rows import WALL_NS

pytestmark = [pytest.mark.peer, pytest.mark.realtime, needs_chromium]
LOOPBACK = Endpoint("127.0.0.1", 0)
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>"\'&amp;'


@asynccontextmanager
async def calling(server: Server, **options: Any) -> AsyncIterator[None]:
    """Let a caller talk meanwhile, and stop him then."""
    said = SimulationOptions(transport=Transport.WEBSOCKET, websocket=WebSocketOptions(dialect="telnyx"), **options)
    target = Target(stream_url=f"ws://{server.addresses['ws']}/telnyx")
    task = asyncio.create_task(Simulation(said).run(target))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def loudest(page: Page, selector: str) -> int:
    """Return how many pixels of a canvas are painted."""
    count = """(() => { const c = document.querySelector(%r);
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 200; return n; })()"""
    return int(await page.eval(count % selector))


async def test_a_call_is_seen_heard_and_played_again(tmp_path: Path) -> None:
    """By the keyboard alone."""
    config = ServerConfig(
        ws=LOOPBACK, http=LOOPBACK, record=tmp_path / "recordings", http_recordings="on", reconnect_grace_s=0.1
    )
    async with asyncio.timeout(PATIENCE_S), Server(config) as server, browser(tmp_path / "profile") as page:
        await page.look(1200, 800)
        await page.open(f"http://{server.addresses['http']}/")
        await page.until("document.querySelector('#link')?.dataset.state === 'live'")
        assert await page.eval("document.querySelector('.list .empty h2').textContent") == "Quiet"
        async with calling(server, seconds=120, presses=((NS_PER_SECOND, "7"),)):
            await page.until("document.querySelectorAll('.row').length === 1")
            await page.until("Boolean(strep.detail.call?.wave)")
            before = await page.eval("document.querySelector('.row canvas').toDataURL()")
            await page.until("document.querySelector('.log .dtmf')?.textContent.includes('digit 7')")
            await page.until("strep.detail.call.wave.digits[0]?.digit === '7'")
            await page.until(f"document.querySelector('.row canvas').toDataURL() !== {before!r}")
            await page.until("strep.detail.call.wave.lanes[0].peak.some((peak) => peak > 0 && peak < 60)")
            assert await loudest(page, ".detail canvas") > 0
            await page.until("document.querySelectorAll('.facts dl').length > 0")
            state = "import('/page/js/format.js').then(({stateOf}) => stateOf({...strep.detail.call, heardAt: %s}))"
            assert await page.eval(state % "strep.detail.call.toldAt") == "live"
            assert await page.eval(state % "strep.detail.call.toldAt - 12_300") == "quiet 12 s"
            await page.press("l")
            await page.until("strep.detail.listening?.sound.played > 4000")
            assert await page.eval("document.querySelector('#listen').getAttribute('aria-pressed')") == "true"
            await page.press("l")
            await page.until("!strep.detail.listening")
            await page.until("document.querySelectorAll('.verbs button').length > 5")
            await page.press("3")  # keys
            await page.write("5")
            await page.press("Enter")
            await page.until("document.querySelector('.result').textContent.startsWith('send dtmf: ok')")
            ended = "[...document.querySelectorAll('.log .playback_ended')].map((line) => line.textContent).join()"
            told = await page.until(ended)
            assert "status completed" in told
            assert "is measured true" in told, "by the carrier, which has played it"
            await page.eval("document.activeElement.blur()")
        await page.until("document.querySelectorAll('.row').length === 0")
        await page.until("document.querySelector('.detail .state').textContent === 'ended'")
        await page.press("g", "r")
        await page.until("document.querySelectorAll('.take').length === 1")
        await page.eval("document.querySelector('.take').focus()")
        await page.press("Enter")
        await page.until("document.querySelector('#play') && !document.querySelector('#play').disabled")
        await page.press("Escape", " ")
        await page.until("strep.recordings.player.sound?.played > 4000")
        assert await loudest(page, "#view-recordings canvas") > 0
        await page.eval("strep.recordings.player.seek(100)")
        await page.until("strep.recordings.player.position >= 100")
        gone = "(url) => (strep.asked += url.endsWith('/audio'), Promise.reject(new TypeError('gone')))"
        await page.eval(
            f"(strep.fetch = fetch, globalThis.fetch = {gone}, strep.asked = 0, strep.recordings.player.seek(50))"
        )
        await page.until("strep.recordings.player.state === 'paused'")
        assert await page.eval("strep.asked") == 1, "what cannot be had is asked for once"
        await page.eval("globalThis.fetch = strep.fetch")
        await page.press(" ")
        await page.until("strep.recordings.player.state === 'playing' && strep.recordings.player.position > 50")
        await page.press("?")
        assert await page.eval("document.querySelector('#shortcuts').open")
        await page.press("Escape", "g", "l")
        await page.until("location.hash === '#/live'")
    assert [error for error in page.errors if "/v1/calls/" not in error] == [], "but for a call that ended meanwhile"


async def test_strangers_hostile_names_and_colours(tmp_path: Path) -> None:
    async with browser(tmp_path / "profile") as page, hall(TOKEN) as found:
        call = CallInfo(0, f"{HOSTILE}-id", "strep", WALL_NS, identity={"from": HOSTILE, "to": HOSTILE})
        found.room.feed.call_started(call)
        for index in range(1, 300):
            found.room.feed.call_started(CallInfo(index, f"call-{index}", "ws", WALL_NS - index))
        await page.look(1200, 800)
        await page.open(f"http://{found.netloc}/")
        await page.until("document.querySelector('#ask-token').open")
        assert [error for error in page.errors if "401" not in error] == []
        page.errors.clear()
        await page.write(TOKEN)
        await page.press("Enter")
        await page.until("document.querySelectorAll('.row').length > 5")
        assert await page.eval("document.querySelectorAll('.row').length") < 40, "only those in sight exist"
        assert await page.eval("document.querySelector('.row .title .in').textContent") == HOSTILE[:128]
        assert await page.eval("document.querySelectorAll('img, main script').length") == 0
        assert await page.eval("document.title") == "strep"
        assert await page.eval("location.href.includes('token') || document.cookie !== ''") is False
        before = "import('/page/js/wave.js').then(({Wave}) => new Wave().lanes[0].at(-1))"
        assert await page.eval(before) == -1, "nothing is known of what was before a call"
        await page.press("/")
        await page.write("call-29")
        await page.until("strep.list.found.length === 11")
        await page.press("Escape", "ArrowDown", "ArrowDown")
        assert await page.eval("document.querySelectorAll('.row[aria-selected=true]').length") == 1
        await page.until("location.hash.startsWith('#/call/call-29')")
        paper = "getComputedStyle(document.body).backgroundColor"
        light = await page.eval(paper)
        await page.look(1200, 800, dark=True)
        dark = await page.eval(paper)
        await page.press("t")
        assert dark != light == await page.eval(paper), "which one chose is stronger than what the system has"
        assert [error for error in page.errors if "/v1/calls/" not in error] == [], (
            "the feed's calls are no calls here"
        )


@pytest.mark.skipif(not is_supported(), reason="needs Linux")
async def test_several_workers_are_seen_and_heard_as_one(tmp_path: Path) -> None:
    arguments = ("--udp", ":0", "--http", ":0", "--workers", "2", "--drain-timeout", "0")
    simulation = Simulation(SimulationOptions(calls=4, seconds=120))
    with serving(*arguments, folder=tmp_path) as (_, addresses):
        async with asyncio.timeout(PATIENCE_S), browser(tmp_path / "profile") as page:
            calling = asyncio.create_task(simulation.run(Target(udp=address(addresses["udp"]))))
            await page.look(1200, 800)
            await page.open(f"http://{addresses['http']}/")
            await page.until("document.querySelectorAll('.row').length === 4")
            await page.until("strep.list.found.every((call) => call.wave && call.mos > 4)")
            await page.until("strep.calls.totals?.calls === 4")
            for _ in range(2):  # one of each worker
                await page.press("ArrowDown")
                await page.until("strep.detail.call.wave?.lanes[0].peak.some((peak) => peak > 0 && peak < 60)")
                await page.press("l")
                await page.until("strep.detail.listening?.sound.played > 4000")
                await page.press("l")
                await page.until("!strep.detail.listening")
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            assert page.errors == []
