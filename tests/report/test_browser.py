"""The page in a real browser: keys sort, colours follow the reader's, nothing is fetched, nothing is wider than it."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess

import pytest

from mis.report.writing import report

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


pytestmark = [pytest.mark.browser, pytest.mark.skipif(FOUND is None, reason="there is no Chromium here")]

COLUMN = """Array.from(document.querySelectorAll("table.sortable")[0].tBodies[0].rows)
    .map(row => row.cells[%d].dataset.value ?? row.cells[%d].textContent)"""
HEAD = 'document.querySelectorAll("table.sortable")[0].tHead.rows[0].cells[%d]'


class Browser:
    """A page in a browser; ``events`` are what it reported, requests and errors among them."""

    def __init__(self, folder):
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        # The protocol's pipes are the descriptors 3 and 4 of the browser.
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}', FOUND]
        command += [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
        ]
        command += [
            f"--user-data-dir={folder}",
            "--no-first-run",
            "--disable-background-networking",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            command, pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self._ids, self._rest, self.events, self._session = itertools.count(1), b"", [], None

    def __enter__(self):
        try:
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):
                os.close(pipe)

    def _receive(self):
        while b"\0" not in self._rest:
            got = os.read(self._from, 1 << 20)
            assert got, "the browser ended"
            self._rest += got
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def ask(self, method, **params):
        asked = {"id": next(self._ids), "method": method, "params": params}
        asked |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while True:
            message = self._receive()
            if message.get("id") == asked["id"]:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, path, width=1200, height=900, scheme="light"):
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def get(self, expression):
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key, code, **more):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more)

    def shot(self, path):
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    return {name: report(folders / name, out / name)[0] for name in ("ranking", "ranking-hostile", "all")}


def test_keys_sort_tables(browser, pages):
    browser.open(pages["ranking"])
    for _ in range(20):
        browser.press("Tab", 9)
        if browser.get("document.activeElement.tagName") == "BUTTON":
            break
    assert browser.get(f"document.activeElement === {HEAD % 0}.querySelector('button')")
    names = browser.get(COLUMN % (0, 0))
    browser.press("Enter", 13, text="\r")
    assert browser.get(f"{HEAD % 0}.getAttribute('aria-sort')") == "ascending"
    assert browser.get(COLUMN % (0, 0)) == sorted(names) != names
    browser.press(" ", 32, text=" ")
    assert browser.get(f"{HEAD % 0}.getAttribute('aria-sort')") == "descending"
    assert browser.get(COLUMN % (0, 0)) == sorted(names, reverse=True)
    for _ in range(3):
        browser.press("Tab", 9)
    browser.press("Enter", 13, text="\r")
    assert [browser.get(f"{HEAD % k}.getAttribute('aria-sort')") for k in (0, 3)] == [None, "ascending"]
    numbers = [float(value) for value in browser.get(COLUMN % (3, 3))]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("name", ["ranking", "ranking-hostile", "all"])
def test_nothing_is_fetched_and_nothing_fails(browser, pages, name):
    browser.open(pages[name])
    assert browser.get("document.querySelectorAll('th button').length") > 3
    asked = [event["params"]["request"]["url"] for event in browser.events
             if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert asked == [pages[name].resolve().as_uri()]
    bad = ("Log.entryAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")
    assert not [event for event in browser.events if event.get("method") in bad]


def test_dark_and_light(browser, pages):
    found = {}
    for scheme in ("light", "dark"):
        browser.open(pages["ranking"], scheme=scheme)
        look = "getComputedStyle(document.querySelector('%s')).%s"
        found[scheme] = [
            sum(map(int, browser.get(look % pair).strip("rgb()").split(",")))
            for pair in (("body", "backgroundColor"), ("body", "color"), ("svg text", "fill"))
        ]
    (ground, ink, drawn), (dark_ground, dark_ink, dark_drawn) = found["light"], found["dark"]
    assert ground > 700 > 150 > max(ink, drawn)
    assert dark_ground < 150 < 600 < min(dark_ink, dark_drawn)


@pytest.mark.parametrize("name", ["ranking", "ranking-hostile", "all"])
@pytest.mark.parametrize("width", [320, 380, 1200])
def test_no_wider_than_the_window(browser, pages, name, width):
    browser.open(pages[name], width=width)
    assert browser.get("document.documentElement.scrollWidth") == width
