"""Laws of the page's server: what it answers, what it refuses, and that it goes on after both."""

import io
import json
import re
from contextlib import closing
from html import unescape
from pathlib import Path
from threading import Barrier, Event, Thread
from urllib.parse import parse_qsl

import numpy as np
import pytest
from own_files import waves as wave_fields
from own_files import write_arrays, write_waves
from runs import write_checkpoint
from werkzeug.test import Client, EnvironBuilder, TestResponse

from data_shards.errors import UserError
from evaluation.simulation.page import explorer
from evaluation.simulation.page.app import ExploreApp
from evaluation.simulation.page.explorer import Explorer
from foundation import Surrogate
from launchers.cli import main

HOST = {"base_url": "http://127.0.0.1:8765/"}
MOST = 1 << 20


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_checkpoint(tmp_path_factory.mktemp("explored") / "model", resolution=32))


@pytest.fixture(scope="module")
def client(checkpoint: str, waves: Path) -> Client:
    shown = Explorer(Surrogate.from_pretrained(checkpoint), checkpoint, waves)
    return Client(ExploreApp(shown, MOST))


def _fault(text: str) -> str:
    """The one line of an answer that is nothing but an error."""
    found = re.fullmatch(r'<p class="fault" role="alert">error: (.*)</p>', text)
    assert found is not None, text[:200]
    assert "\n" not in found[1]
    return unescape(found[1])


def _look(client: Client, query: str, **headers: str) -> TestResponse:
    """Ask for a sample, as the page does."""
    return client.post("/sample", data=dict(parse_qsl(query)), headers=headers, **HOST)


def _upload(client: Client, name: str, content: bytes, **form: str) -> tuple[int, str]:
    data = {"file": (io.BytesIO(content), name), "start": "0", **form}
    with closing(EnvironBuilder("/file", method="POST", data=data, **HOST)) as request:
        environ = request.get_environ()
        with environ["wsgi.input"]:  # a temporary file if it is large
            answer = client.open(environ)
    return answer.status_code, answer.text


def test_the_page_lists_every_sample_and_fetches_nothing(client: Client) -> None:
    answer = client.get("/", **HOST)
    assert answer.status_code == 200
    assert re.findall(r'value="(toy_[a-z]*/test)" data-count="(\d+)"', answer.text) == [
        ("toy_duct/test", "3"),
        ("toy_wave/test", "3"),
    ]
    assert not re.search(r"(?:src|href)=\"(?!data:)|@import|url\(", answer.text)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_sample_and_a_file_are_shown(client: Client, tmp_path: Path) -> None:
    shown = _look(client, "shelf=toy_duct/test&index=2&start=1&steps=4")
    assert shown.status_code == 200
    assert "toy_duct test sample 2" in shown.text
    assert "speed" in shown.text
    assert shown.text.count("<canvas") == 2 * 3
    path = write_waves(tmp_path / "flow.h5")
    status, text = _upload(client, path.name, path.read_bytes())
    assert status == 200
    assert "<h2>flow.h5</h2>" in text
    assert "u0, u1 read as (t, y, x): 13 frames of 12 rows x 20 columns" in unescape(text)


def test_the_page_has_the_verdict_of_predict(
    client: Client,
    checkpoint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_waves(tmp_path / "flow.npz", wave_fields(frames=18))
    _, text = _upload(client, path.name, path.read_bytes(), start="2", steps="6")
    output = tmp_path / "forecast.npz"
    command = ["predict", checkpoint, str(path), "--steps", "6", "--output", str(output)]
    assert main(command) == 0
    capsys.readouterr()
    report = json.loads(output.with_suffix(".report.json").read_text())
    said = report["verdict"]["sentence"]
    assert said[1:] in unescape(text)
    assert f"{len(report['errors']['starts'])} forecasts of known frames" in text
    status, text = _upload(client, path.name, path.read_bytes(), scale="10+1")
    assert status == 200
    assert "the model sees (u0 - 1) / 10" in unescape(text)
    status, text = _upload(client, path.name, path.read_bytes(), scale="auto")
    assert (status, "say the scale yourself" in _fault(text)) == (400, True)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("shelf=toy_duct/test&index=3", "sample 3, it has 3"),
        ("shelf=toy_duct/test&index=-1", "wanted a whole number"),
        ("shelf=toy_duct/test&index=0&start=7", "start frame 7, wanted 0 to 6"),
        ("shelf=toy_duct/test&index=0&steps=0", "of at least 1"),
        ("shelf=toy_duct/held&index=0", "unknown split"),
        ("shelf=../../etc/passwd&index=0", "unknown corpus '..'"),
        ("", "unknown corpus ''"),
    ],
)
def test_a_sample_that_is_not_there_is_one_line(client: Client, query: str, fault: str) -> None:
    answer = _look(client, query)
    assert answer.status_code == 400
    assert fault in _fault(answer.text)


def _pickled(path: Path) -> Path:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return path


def _cut(path: Path) -> Path:
    write_waves(path)
    path.write_bytes(path.read_bytes()[:-2000])
    return path


def _text(path: Path) -> Path:
    path.write_text("import os")
    return path


def _short(path: Path) -> Path:
    return write_arrays(path, {"u": wave_fields(frames=9)[:, 0]})


BROKEN = {"a.npy": _pickled, "a.h5": _cut, "a.nc": _text, "a.npz": _short, "a.mat": _text}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_file_shows_the_line_of_predict_and_the_server_lives_on(
    client: Client,
    checkpoint: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = BROKEN[name](Path(name))
    status, text = _upload(client, name, path.read_bytes(), axes="t,y,x")
    assert status == 400
    command = ["predict", checkpoint, name, "--axes", "t,y,x", "--steps", "1", "--output", "f.h5"]
    assert main(command) == 2
    line = capsys.readouterr().err.splitlines()[-1].removeprefix("error: ")
    assert _fault(text) == line
    assert client.get("/", **HOST).status_code == 200


def test_the_name_of_an_upload_leads_nowhere(client: Client, tmp_path: Path) -> None:
    path = write_waves(tmp_path / "flow.npz")
    status, text = _upload(client, "../../tmp/<b>&.npz", path.read_bytes())
    assert status == 200
    assert "<b>" not in text
    status, text = _upload(client, "flow.npz", path.read_bytes(), mask="/etc/hostname")
    assert status == 400
    assert _fault(text).startswith("flow.npz: unknown array '/etc/hostname'")


def test_too_large_a_file_is_refused_before_it_is_read(client: Client) -> None:
    status, text = _upload(client, "a.npy", bytes(MOST + (1 << 20)))
    assert status == 413
    assert "--most-upload" in _fault(text)
    announced = {
        "CONTENT_LENGTH": str(1 << 40),
        "CONTENT_TYPE": "multipart/form-data; boundary=x",
    }
    answer = client.post("/file", environ_overrides=announced, **HOST)
    assert answer.status_code == 413


SAMPLE = "shelf=toy_duct/test&index=0&steps=1"
OWN = "http://127.0.0.1:8765"


@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "[::"]
)
def test_a_name_that_was_made_to_lead_here_is_refused(client: Client, name: str) -> None:
    """DNS rebinding: the browser takes us for that name, and its pages for ours."""
    for host in (name, f"{name}:8765"):
        answer = client.get("/", headers={"Host": host}, **HOST)
        assert answer.status_code == 403
        assert "no name of this server" in _fault(answer.text)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "192.0.2.7"])
def test_addresses_and_our_own_names_are_answered(client: Client, name: str) -> None:
    assert client.get("/", headers={"Host": f"{name}:8765"}, **HOST).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # of another port of this machine
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1:8765"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "null"},
        {"Origin": OWN, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_pages_look_at_the_page_but_have_nothing_computed(
    client: Client, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr(Explorer, "sample", computed)
    monkeypatch.setattr(Explorer, "file", computed)
    for path in ("/sample", "/file"):
        answer = client.post(path, data=dict(parse_qsl(SAMPLE)), headers=headers, **HOST)
        assert answer.status_code == 403
        assert f"only pages of {OWN} may" in _fault(answer.text)
    assert client.get("/", headers=headers, **HOST).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin", "Origin": OWN}],
)
def test_our_own_page_and_programs_are_answered(client: Client, headers: dict[str, str]) -> None:
    assert _look(client, SAMPLE, **headers).status_code == 200


def test_what_computes_is_no_address_that_a_page_can_embed(client: Client) -> None:
    assert client.get(f"/sample?{SAMPLE}", **HOST).status_code == 404
    assert client.get("/etc/passwd", **HOST).status_code == 404
    assert client.post("/", **HOST).status_code == 404


def test_too_many_fields_are_not_called_a_large_file(client: Client) -> None:
    for form in ({f"f{n}": "1" for n in range(30)}, {"mask": "m" * ((1 << 20) + 1)}):
        status, text = _upload(client, "a.npy", b"1", **form)
        assert status == 413
        assert "the form has more than 20 fields, or texts of more than" in _fault(text)
    answer = _look(client, "&".join(f"f{n}=1" for n in range(30)))  # of one line, not of parts
    assert answer.status_code == 413
    assert "the form has more than 20 fields" in _fault(answer.text)


def test_the_head_of_the_page_is_the_page_without_its_body(client: Client) -> None:
    head, page = client.head("/", **HOST), client.get("/", **HOST)
    assert (head.status_code, head.text) == (200, "")
    assert head.headers["Content-Length"] == str(len(page.data))


def test_a_body_without_a_length_is_refused_before_it_is_read(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Explorer, "sample", lambda *_: pytest.fail("computed"))
    headers = {"Transfer-Encoding": "chunked"}
    answer = client.post("/sample", data=dict(parse_qsl(SAMPLE)), headers=headers, **HOST)
    assert answer.status_code == 411
    assert "how long it is" in _fault(answer.text)


def test_no_more_files_are_read_at_once_than_there_are_readers(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two readers are held; a third upload waits for its turn, and is told so."""
    content = write_waves(tmp_path / "flow.npz").read_bytes()
    enough, leave, answers = Barrier(3), Event(), []

    def held(*_: object) -> None:
        enough.wait(30)
        assert leave.wait(30)
        raise UserError("held")

    monkeypatch.setattr(explorer, "read_apart", held)
    monkeypatch.setattr(explorer, "_PATIENCE_S", 0.05)
    threads = [
        Thread(target=lambda: answers.append(_upload(client, "flow.npz", content)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    enough.wait(30)
    status, text = _upload(client, "flow.npz", content)
    assert status == 503
    assert "busy with other requests" in _fault(text)
    leave.set()
    for thread in threads:
        thread.join(30)
    assert [_fault(text) for _, text in answers] == ["held", "held"]


def test_a_failure_of_ours_tells_the_page_nothing_of_its_reasons(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(Explorer, "sample", fail)
    answer = _look(client, "shelf=toy_duct/test&index=0")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in capsys.readouterr().err


def test_without_shards_the_page_says_how_to_have_samples(checkpoint: str) -> None:
    bare = Client(ExploreApp(Explorer(Surrogate.from_pretrained(checkpoint), checkpoint), MOST))
    assert "--shards DIR" in bare.get("/").text
    assert "--shards DIR" in _fault(_look(bare, "shelf=toy_duct/test&index=0").text)
