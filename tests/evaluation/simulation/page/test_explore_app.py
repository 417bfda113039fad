"""Laws of the page's server: what it answers, what it refuses, and that it goes on after both."""

import io
import json
import re
from contextlib import closing
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from own_files import waves as wave_fields
from own_files import write_arrays, write_waves
from runs import write_checkpoint
from werkzeug.test import Client, EnvironBuilder

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
    explorer = Explorer(Surrogate.from_pretrained(checkpoint), checkpoint, waves)
    return Client(ExploreApp(explorer, MOST, ["127.0.0.1", "localhost"]))


def _fault(text: str) -> str:
    """The one line of an answer that is nothing but an error."""
    found = re.fullmatch(r'<p class="fault" role="alert">error: (.*)</p>', text)
    assert found is not None, text[:200]
    assert "\n" not in found[1]
    return unescape(found[1])


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
    shown = client.get("/sample?shelf=toy_duct/test&index=2&start=1&steps=4", **HOST)
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
    answer = client.get(f"/sample?{query}", **HOST)
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


def test_other_names_and_other_pages_are_refused(client: Client) -> None:
    assert client.get("/", base_url="http://evil.example/").status_code == 400
    answer = client.get("/", headers={"Origin": "http://evil.example"}, **HOST)
    assert answer.status_code == 400
    assert "http://evil.example asks" in _fault(answer.text)
    own = client.get("/", headers={"Origin": "http://127.0.0.1:8765"}, **HOST)
    assert own.status_code == 200
    assert client.get("/etc/passwd", **HOST).status_code == 404
    assert client.post("/", **HOST).status_code == 404


def test_a_failure_of_ours_tells_the_page_nothing_of_its_reasons(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(Explorer, "sample", fail)
    answer = client.get("/sample?shelf=toy_duct/test&index=0", **HOST)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in capsys.readouterr().err


def test_without_shards_the_page_says_how_to_have_samples(checkpoint: str) -> None:
    explorer = Explorer(Surrogate.from_pretrained(checkpoint), checkpoint)
    bare = Client(ExploreApp(explorer, MOST, None))
    assert "--shards DIR" in bare.get("/").text
    assert "--shards DIR" in _fault(bare.get("/sample?shelf=toy_duct/test&index=0").text)
