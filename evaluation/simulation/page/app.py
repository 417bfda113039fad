"""The page's server: requests of a browser on this machine in, HTML out.

Of the libraries for such pages, gradio 6.31 (94 MB with what else it installs), streamlit 1.67
(80 MB) and panel 1.9 (161 MB) name their makers' servers, Google or a CDN in their code (read
there, not watched in a browser). So the page is our own, scrubs in the browser, and can be saved
as a file; the server is Werkzeug (BSD, 2 MB, which tensorboard installs anyway).

What is guarded against: a name that was made to resolve to this machine (only an address, which
no name server gives out as a name, and our own names are answered), a foreign page that asks here
(`Origin`, `Sec-Fetch-Site`; what computes is a POST, of which every browser tells the origin),
anything that a page could fetch or run that is not ours (its policy), bodies above a limit or
without an end, files made to crash their reader (`read_apart`). `server` bounds time and threads.
"""

import base64
import hashlib
import tempfile
import traceback
from collections.abc import Collection, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.exceptions import (
    ClientDisconnected,
    Forbidden,
    HTTPException,
    LengthRequired,
    RequestEntityTooLarge,
)
from werkzeug.utils import secure_filename
from werkzeug.wrappers import Request, Response

from data_shards.errors import UserError
from data_shards.simulation_file import Reading
from evaluation.simulation.page.explorer import BusyError, Explorer
from evaluation.simulation.page.render import render_fault, script_text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FORM_BYTES = 1 << 20  # of a request beside its file
_MOST_FIELDS = 20
_BOUNDARIES = ("periodic", "periodic-x", "periodic-y", "edge")


class ExploreApp:
    """A WSGI application."""

    def __init__(
        self,
        explorer: Explorer,
        most_upload_bytes: int,
        names: Collection[str] = ("localhost",),
    ) -> None:
        """Prepare the answers that never change.

        Args:
            explorer: computes what is shown.
            most_upload_bytes: of a file.
            names: that this server may be called by, beside addresses.
        """
        self._explorer, self._most = explorer, most_upload_bytes
        self._names = frozenset(name.lower() for name in names)
        self._page = explorer.page(most_upload_bytes)
        self._policy = _policy(script_text())
        self._request = type(
            "ExploreRequest",
            (Request,),
            {
                "max_content_length": most_upload_bytes + FORM_BYTES,
                "max_form_memory_size": FORM_BYTES,
                "max_form_parts": _MOST_FIELDS,
            },
        )

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Answer one request; whatever happens, the next one is answered too."""
        request = self._request(environ)
        try:
            response = self._answer(request)
        except BusyError as error:
            response = _html(render_fault(str(error)), 503)
        except UserError as error:
            response = _html(render_fault(str(error)), 400)
        except RequestEntityTooLarge:
            response = _html(render_fault(self._too_much(request)), 413)
        except ClientDisconnected:
            response = _html(render_fault("the request ended early, or came too slowly"), 408)
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

    def _too_much(self, request: Request) -> str:
        """What is too much of a request whose length is known."""
        if (request.content_length or 0) > self._most + FORM_BYTES:
            more = "give a part of it, or raise --most-upload"
            return f"the file has more than {self._most} bytes; {more}"
        texts = f"texts of more than {FORM_BYTES} bytes"
        return f"the form has more than {_MOST_FIELDS} fields, or {texts}"

    def _answer(self, request: Request) -> Response:
        _check_name(request, self._names)
        asked = (request.method, request.path)
        if asked in (("GET", "/"), ("HEAD", "/")):  # a link from anywhere may lead to the page
            return _html(self._page)
        _check_asker(request)
        if "Transfer-Encoding" in request.headers:
            raise LengthRequired("the request does not say how long it is")
        if asked == ("POST", "/sample"):
            return _html(self._sample(request))
        if asked == ("POST", "/file"):
            return _html(self._file(request))
        return _html(render_fault(f"there is no {request.method} {request.path} here"), 404)

    def _sample(self, request: Request) -> str:
        values = _form(request)
        corpus, _, split = values.get("shelf", "").partition("/")
        index = _whole(values, "index", "sample")
        return self._explorer.sample(corpus, split, index or 0, *_window(values))

    def _file(self, request: Request) -> str:
        sent = request.files.get("file")
        if sent is None or not sent.filename:
            raise UserError("no file was sent; choose one")
        values = _form(request)
        window, reading, scale = _window(values), _reading(values), _text(values, "scale")
        with tempfile.TemporaryDirectory(prefix="foundation-serve-") as folder:
            # Its ending tells formats apart, and a bare array is called by its file's name.
            path = Path(folder) / (secure_filename(sent.filename) or "upload")
            sent.save(path)
            try:
                return self._explorer.file(path, reading, *window, scale)
            except UserError as error:
                raise type(error)(str(error).replace(f"{folder}/", "")) from None


def _policy(script: str) -> str:
    """Nothing is fetched but from here, and no script runs but the page's own."""
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{checksum}'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _check_name(request: Request, names: Collection[str]) -> None:
    """Refuse to be called by a name that is not ours: it was made to lead here.

    Raises:
        Forbidden: it is such a name.
    """
    try:
        name = (urlsplit(f"//{request.host}").hostname or "").rstrip(".")
        if name not in names:
            ip_address(name)
    except ValueError:
        raise Forbidden(f"called by {request.host!r}, which is no name of this server") from None


def _check_asker(request: Request) -> None:
    """Refuse what a page of another origin asks for.

    Raises:
        Forbidden: there is such an origin.
    """
    origin, own = request.headers.get("Origin"), f"http://{request.host}"
    if origin is not None and origin != own:
        raise Forbidden(f"a page of {origin} asks; only pages of {own} may")
    # Another port of this machine is another site's too, though browsers call it the same site.
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Forbidden(f"another page asks; only pages of {own} may")


def _form(request: Request) -> Any:
    """Fields of a form, which werkzeug counts where they are parts, and not in a line of them.

    Raises:
        RequestEntityTooLarge: there are too many.
    """
    if sum(1 for _ in request.form.items(multi=True)) > _MOST_FIELDS:
        raise RequestEntityTooLarge
    return request.form


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
