"""`foundation serve`: the real verb, and a browser that uses its page at two widths."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import interrupts
import numpy as np
import pytest
from browser import CHROMIUM, Browser
from own_files import write_waves as write_file
from runs import write_checkpoint
from travelling_waves import CORPORA

from launchers.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, waves: Path) -> str:
    """With fingerprints, so that the page says what the routers take a sample for."""
    folder = tmp_path_factory.mktemp("served")
    model = str(write_checkpoint(folder / "model", resolution=32))
    words = ["routing", model, "--shards", str(waves), "--corpora", ",".join(CORPORA)]
    more = ["--windows", "3", "--save-fingerprints", "--output", str(folder / "routing.json")]
    assert main([*words, *more]) == 0
    return model


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


def _started(checkpoint: str, *options: str) -> subprocess.Popen[str]:
    """The verb in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "launchers.cli", "serve", checkpoint, "--port", "0", *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=interrupts.heard,
    )


@contextmanager
def _served(checkpoint: str, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The verb in a process of its own, and the address of its page."""
    process = _started(checkpoint, *options)
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"http://\S+", line):
                yield found[0], process
                break
        else:
            raise AssertionError("".join(lines))
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


_DRAWN = """[...document.querySelectorAll('.panels:not([hidden]) canvas')]
    .every((each) => each.dataset.painted === document.querySelector('.frame').value)"""
_PICTURES = """[...document.querySelectorAll('.panels:not([hidden]) canvas')]
    .map((each) => each.toDataURL())"""
_IDLE = "document.getElementById('shown').getAttribute('aria-busy') === 'false'"
_LINES = """(() => {
    const range = document.createRange();
    return [...document.querySelectorAll('.likeness tbody th')].map((name) => {
        range.selectNodeContents(name);
        return range.getClientRects().length;
    });
})()"""
_FITS = "document.scrollingElement.scrollWidth <= innerWidth"


def _submit(page: Browser, form: str) -> None:
    page.run("document.getElementById('shown').removeAttribute('aria-busy')")
    page.run(f"document.querySelector('form[data-look={form}] button[type=submit]').click()")
    page.wait(_IDLE)


def _texts(page: Browser, selector: str) -> list[str]:
    found = page.run(f"[...document.querySelectorAll('{selector}')].map((e) => e.textContent)")
    assert isinstance(found, list)
    return found


def _explore_a_sample(page: Browser, width: int) -> None:
    """Pick it, move the slider by its own keys, change the channel."""
    page.run("document.querySelector('select[name=shelf]').value = 'toy_duct/test'")
    page.run("document.querySelector('form[data-look=sample] [name=index]').value = 1")
    _submit(page, "sample")
    page.wait(_DRAWN)
    assert _texts(page, ".scrub h2") == ["toy_duct test sample 1"]
    first, readings = page.run(_PICTURES), _texts(page, ".readings td")
    cursor = page.run("document.querySelector('.cursor').getBoundingClientRect().left")
    page.run("document.querySelector('.frame').focus()")
    page.key("ArrowRight")
    assert page.run("document.querySelector('.frame').value") == "2"
    page.wait(_DRAWN)
    second = page.run(_PICTURES)
    assert len(first) == len(second) == 3
    assert all(one != other for one, other in zip(first, second, strict=True))
    assert _texts(page, ".readings td") != readings
    assert page.run("document.querySelector('.cursor').getBoundingClientRect().left") > cursor
    assert "frame 2 of 6" in _texts(page, ".clock")[0]
    chosen = page.run("document.querySelectorAll('.experts td.fires').length")
    assert chosen == 2 * 4, "four experts in each of two blocks"
    page.run("document.querySelector('.channel-choice').value = '1'")
    page.run("document.querySelector('.channel-choice').dispatchEvent(new Event('change'))")
    page.wait(_DRAWN)
    assert page.run(_PICTURES)[0] != second[0], "another channel"
    assert page.run(_FITS)
    assert page.run(_LINES) == [1] * len(CORPORA), "no name of a corpus is broken"
    seen = page.picture()
    assert seen.shape[1] == width
    assert seen.std() > 10, "drawn, not blank"


def _explore_files(page: Browser, good: Path, broken: Path) -> None:
    page.choose_file("input[type=file]", broken)
    _submit(page, "file")
    (line,) = _texts(page, "#shown")
    assert line.startswith("error: broken.npy: ")
    assert page.run(_FITS)
    page.choose_file("input[type=file]", good)
    _submit(page, "file")
    page.wait(_DRAWN)
    assert _texts(page, ".scrub h2") == ["flow.h5"]
    assert any("12 rows x 20 columns" in text for text in _texts(page, "#shown li"))
    assert page.run(_FITS)


def _saved(page: Browser, folder: Path) -> Path:
    """What the page saves of itself."""
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.run("document.querySelector('.save').click()")
    copy = folder / "flow.h5.html"
    page.wait_for(copy)
    return copy


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_a_browser_scrubs_through_samples_and_files_at_two_widths(
    checkpoint: str, waves: Path, tmp_path: Path
) -> None:
    good, broken, saved = write_file(tmp_path / "flow.h5"), tmp_path / "broken.npy", tmp_path / "s"
    trap = _Trap(tmp_path / "sprung")
    np.save(broken, np.array([trap], dtype=object), allow_pickle=True)
    saved.mkdir()
    with (
        _served(checkpoint, "--shards", str(waves)) as (address, process),
        Browser(tmp_path / "profile") as page,
    ):
        for width in (1280, 390):
            page.resize(width)
            page.open(address)
            assert page.run("innerWidth") == width
            assert page.run(_FITS)
            _explore_a_sample(page, width)
            _explore_files(page, good, broken)
        assert not trap.place.exists(), "nothing of a file is executed"
        pictures, copy = page.run(_PICTURES), _saved(page, saved)
        asked = [request for request in page.requests if not request.startswith("blob:")]
        assert all(request.startswith(address) for request in asked)
        assert [line for line in page.complaints if "400" not in line] == []
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        page.open(copy.as_uri())  # without the server
        page.wait(_DRAWN)
        assert page.run(_PICTURES) == pictures
        assert page.run("document.querySelectorAll('form').length") == 0


def test_a_missing_library_is_one_line_that_names_the_command(
    checkpoint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "werkzeug", None)
    assert main(["serve", checkpoint]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'moe-pot[serve]'" in line


def test_faults_are_one_line_and_exit_code_2(
    checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        commands = {
            ("serve", checkpoint, "--port", port): "choose another port",
            ("serve", checkpoint, "--port", "70000"): "wanted at most 65535",
            ("serve", checkpoint, "--port", "0", "--host", "192.0.2.1"): "--host 192.0.2.1",
            ("serve", str(tmp_path), "--port", "0"): str(tmp_path),
            ("serve", checkpoint, "--port", "0", "--shards", str(tmp_path)): "manifest",
        }
        for command, fault in commands.items():
            assert main(command) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert fault in line


def test_a_host_that_others_reach_is_warned_of(checkpoint: str) -> None:
    process = _started(checkpoint, "--host", "0.0.0.0")
    assert process.stderr is not None
    with process.stderr:
        warning, address = process.stderr.readline(), process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert "warning: --host 0.0.0.0" in warning
    assert "no password" in warning
    assert "http://127.0.0.1:" in address
