"""The files of the page: open, whole, and under a strict policy; and that they are what browsers can read."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import urllib.request
import zipfile
from pathlib import Path

import pytest

from media.http.page import FILES, STATIC
from tests.http.door import hall
from tests.patience import PATIENCE_S

MODULES = sorted((STATIC / "js").glob("*.js"))
ROOT = Path(__file__).resolve().parent.parent.parent


def fetch(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S) as reply:
        return reply.status, reply.read(), {name.lower(): value for name, value in reply.headers.items()}


@pytest.mark.realtime
async def test_every_file_is_open_and_under_a_policy() -> None:
    async with hall("secret") as found:
        for path, file in FILES.items():
            status, content, headers = await asyncio.to_thread(fetch, f"http://{found.netloc}{path}")
            assert (status, content) == (200, file.read_bytes())
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy, "nothing comes from elsewhere"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["etag"]
        status, _, _ = await found.get("/v1/page")
        assert status == 401, "but it is told nothing of calls"
        status, said, _ = await found.get("/page/../media/config.py", Authorization="Bearer secret")
        assert status == 404
        assert "/page/" not in said["error"]["message"].partition("there are")[2]


@pytest.mark.realtime
async def test_what_a_browser_has_is_not_sent_again() -> None:
    async with hall() as found:
        url = f"http://{found.netloc}/page/js/main.js"
        _, _, headers = await asyncio.to_thread(fetch, url)
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(lambda: fetch(url, **{"If-None-Match": headers["etag"]}))
        caught.value.close()
        assert caught.value.code == 304


class TestFiles:
    """No build step: what lies there is what runs."""

    def test_all_that_is_named_is_there(self) -> None:
        html = (STATIC / "index.html").read_text(encoding="utf-8")
        named = set(re.findall(r'(?:src|href)="(/[^"]*)"', html))
        for module in MODULES:
            text = module.read_text(encoding="utf-8")
            named |= {f"/page/js/{name}" for name in re.findall(r'from "\./([^"]+)"', text)}
            named |= set(re.findall(r'"(/page/[^"]+)"', text))
        for style in (STATIC / "style").glob("*.css"):
            named |= {f"/page/{name}" for name in re.findall(r'url\("\.\./([^"]+)"\)', style.read_text())}
        assert named <= FILES.keys()
        used = named | {"/", "/page/js/main.js", "/page/fonts/OFL.txt"}
        assert used >= FILES.keys() - {"/page/index.html"}, "nothing lies there that nobody asks for"

    @pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
    def test_text_stays_text(self, module: Path) -> None:
        text = module.read_text(encoding="utf-8")
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bDOMParser", text
        )
        assert not found
        assert len(text.splitlines()) <= 300

    def test_no_script_and_no_style_inside(self) -> None:
        html = (STATIC / "index.html").read_text(encoding="utf-8")
        assert not re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", html)

    @pytest.mark.peer
    @pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: make peers")
    def test_every_module_is_one(self, tmp_path: Path) -> None:
        for module in MODULES:
            copy = tmp_path / f"{module.stem}.mjs"  # which node takes for a module without being told
            copy.write_bytes(module.read_bytes())
            checked = subprocess.run(["node", "--check", str(copy)], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stderr


def test_the_wheel_has_all_of_it(tmp_path: Path) -> None:
    """Built as an installation is, of the checkout as it is."""
    from hatchling.builders.wheel import WheelBuilder

    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {f"media/page/static/{path.relative_to(STATIC).as_posix()}" for path in FILES.values()}
    assert expected <= names
