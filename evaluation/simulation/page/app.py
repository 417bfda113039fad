"""The page's server: requests of a browser on this machine in, HTML out.

Of the libraries for such pages, gradio 6.31 (94 MB with what else it installs), streamlit 1.67
(80 MB) and panel 1.9 (161 MB) name their makers' servers, Google or a CDN in their code (read
there, not watched in a browser). So the page is our own, scrubs in the browser, and can be saved
as a file; the server is Werkzeug (BSD, 2 MB, which tensorboard installs anyway).

What is guarded against: a name that was made to resolve to this machine (`trusted_hosts`), a
foreign page that posts here (`Origin`), anything that a page could fetch or run that is not
ours (its policy), bodies above a limit, files made to crash their reader (`read_apart`).
"""

import base64
import hashlib
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.utils import secure_filename
from werkzeug.wrappers import Request, Response

from data_shards.errors import UserError
from data_shards.simulation_file import Reading
from evaluation.simulation.page.explorer import Explorer
from evaluation.simulation.page.render import render_fault, script_text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_FORM_BYTES = 1 << 20  # of a request beside its file
_BOUNDARIES = ("periodic", "periodic-x", "periodic-y", "edge")


class ExploreApp:
    """A WSGI application."""

    def __init__(
        self, explorer: Explorer, most_upload_bytes: int, trusted_hosts: list[str] | None
    ) -> None:
        """Prepare the answers that never change.

        Args:
            explorer: computes what is shown.
            most_upload_bytes: of a file.
            trusted_hosts: names that this server may be called by; any if None.
        """
        self._explorer, self._most = explorer, most_upload_bytes
        self._page = explorer.page(most_upload_bytes)
        self._policy = _policy(script_text())
        self._request = type(
            "ExploreRequest",
            (Request,),
            {
                "max_content_length": most_upload_bytes + _FORM_BYTES,
                "max_form_memory_size": _FORM_BYTES,
                "max_form_parts": 20,
                "trusted_hosts": trusted_hosts,
            },
        )

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Answer one request; whatever happens, the next one is answered too."""
        request = self._request(environ)
        try:
            response = self._answer(request)
        except UserError as error:
            response = _html(render_fault(str(error)), 400)
        except RequestEntityTooLarge:
            line = f"the file has more than {self._most} bytes; give a part of it, or raise "
            response = _html(render_fault(f"{line}--most-upload"), 413)
        except HTTPException as error:
            response = _html(render_fault(str(error.description)), error.code or 400)
        except Exception:
            traceback.print_exc()
            line = "a failure of ours; the terminal of `foundation serve` has the details"
            response = _html(render_fault(line), 500)
        finally:
            request.close()  # what was uploaded lies in a temporary file until then
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response(environ, start)

    def _answer(self, request: Request) -> Response:
        _check_origin(request)
        asked = (request.method, request.path)
        if asked == ("GET", "/"):
            return _html(self._page)
        if asked == ("GET", "/sample"):
            return _html(self._sample(request))
        if asked == ("POST", "/file"):
            return _html(self._file(request))
        return _html(render_fault(f"there is no {request.method} {request.path} here"), 404)

    def _sample(self, request: Request) -> str:
        values = request.args
        corpus, _, split = values.get("shelf", "").partition("/")
        index = _whole(values, "index", "sample")
        return self._explorer.sample(corpus, split, index or 0, *_window(values))

    def _file(self, request: Request) -> str:
        sent = request.files.get("file")
        if sent is None or not sent.filename:
            raise UserError("no file was sent; choose one")
        values = request.form
        window, reading, scale = _window(values), _reading(values), _text(values, "scale")
        with tempfile.TemporaryDirectory(prefix="foundation-serve-") as folder:
            # Its ending tells formats apart, and a bare array is called by its file's name.
            path = Path(folder) / (secure_filename(sent.filename) or "upload")
            sent.save(path)
            try:
                return self._explorer.file(path, reading, *window, scale)
            except UserError as error:
                raise UserError(str(error).replace(f"{folder}/", "")) from None


def _policy(script: str) -> str:
    """Nothing is fetched but from here, and no script runs but the page's own."""
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{checksum}'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _check_origin(request: Request) -> None:
    """Refuse what a page of another origin sends.

    Raises:
        UserError: there is such an origin.
        SecurityError: the server was called by a name that is not its own.
    """
    host = request.host  # checks the name
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise UserError(f"a page of {origin} asks; only pages of http://{host} may")


def _window(values: Any) -> tuple[int, int | None]:
    """First frame of the context and number of frames to predict."""
    return _whole(values, "start", "first frame") or 0, _whole(values, "steps", "frames", 1)


def _reading(values: Any) -> Reading:
    boundary = _text(values, "boundary")
    if boundary is not None and boundary not in _BOUNDARIES:
        raise UserError(f"--boundary {boundary!r}, wanted one of {', '.join(_BOUNDARIES)}")
    channels = tuple(n.strip() for n in (_text(values, "channels") or "").split(",") if n.strip())
    return Reading(
        axes=_text(values, "axes"),
        channels=channels or None,
        mask=_text(values, "mask"),
        sample=_whole(values, "sample", "--sample"),
        boundary=boundary,  # type: ignore[arg-type]
        mask_files=False,
    )


def _text(values: Any, name: str) -> str | None:
    """What was filled in, None where nothing was."""
    return str(values.get(name, "")).strip() or None


def _whole(values: Any, name: str, words: str, least: int = 0) -> int | None:
    """A whole number of a form, None where nothing was filled in.

    Raises:
        UserError: it is none, or too small.
    """
    text = str(values.get(name, "")).strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise UserError(f"{words} {text[:40]!r}, wanted a whole number of at least {least}")
    return int(text)


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, mimetype="text/html")
