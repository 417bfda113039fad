"""`foundation serve`: a checkpoint in, a page to explore it on this machine out."""

import argparse
import ipaddress
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from data_shards.errors import UserError
from launchers.console.arguments import (
    CHECKPOINT_HELP,
    Subparsers,
    add_parser,
    add_shards_option,
    not_negative,
    positive,
)
from launchers.console.placing_options import add_placing_options
from launchers.console.progress import say
from launchers.verbs import SUMMARIES

if TYPE_CHECKING:
    from evaluation.simulation.page.explorer import Explorer

_EXAMPLES = """examples:
  foundation serve runs/tiny/model --shards shards
  foundation serve runs/tiny/model --port 0          # any free port; the address is printed

On the page: pick a sample of the shards, or upload a simulation of your own (.h5 .nc .npz .npy
.mat, read as `foundation predict` reads it); scrub through truth, forecast and error; see which
experts fire, and for how many frames to trust it. It fetches nothing from the network, and
saves what it shows as one file. Ctrl-C ends it. Needs: pip install 'moe-pot[serve]'
"""
_MOST_PORT = 65535
_ANY = ("0.0.0.0", "::", "")


def add_verb(subparsers: Subparsers) -> None:
    """Add `serve` to the console."""
    parser = add_parser(subparsers, "serve", SUMMARIES["serve"], _EXAMPLES)
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", help=CHECKPOINT_HELP)
    add_shards_option(parser, "to pick samples from", required=False)
    add("--host", default="127.0.0.1", metavar="H", help="default: 127.0.0.1, this machine alone")
    add("--port", type=not_negative, default=8765, metavar="P", help="default: 8765; 0: a free one")
    add(
        "--most-upload",
        type=positive,
        default=512,
        metavar="MIB",
        help="largest file that the page takes (default: 512 MiB)",
    )
    add_placing_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    try:
        import werkzeug  # noqa: F401
    except ImportError:
        raise UserError(
            "serve needs a library that is not installed; pip install 'moe-pot[serve]'"
        ) from None
    from evaluation.simulation.page.explorer import Explorer
    from foundation.nn.device import float32_products
    from launchers.console.device import open_continuing

    products = float32_products(rounded=options.tf32)
    with _listen(options.host, options.port) as listening, products:
        explorer = Explorer(open_continuing(options), options.checkpoint, options.shards)
        _serve(explorer, listening, options.host, options.most_upload << 20)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: no such address here, or the port is taken.
    """
    if port > _MOST_PORT:  # python would leave its socket open
        raise UserError(f"--port {port}: wanted at most {_MOST_PORT}; 0 takes any free one")
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"--host {host} --port {port}: {reason}; choose another port (0: any free one) or host"
        ) from None


def _serve(
    explorer: "Explorer", listening: socket.socket, host: str, most_upload_bytes: int
) -> None:
    from evaluation.simulation.page.app import FORM_BYTES, ExploreApp
    from evaluation.simulation.page.server import BoundedServer

    if not _is_loopback(host):
        say(
            f"warning: --host {host}: whoever reaches this machine over the network can use the "
            "page, look at the shards and upload files; there is no password"
        )
    machine = socket.gethostname()
    names = ["localhost", machine, f"{machine}.local"] if host in _ANY else ["localhost", host]
    app = ExploreApp(explorer, most_upload_bytes, names)
    server = BoundedServer(app, listening, most_upload_bytes + FORM_BYTES)
    shown, port = "127.0.0.1" if host in _ANY else _in_address(host), listening.getsockname()[1]
    with suppress(KeyboardInterrupt):  # also one that comes before the server has begun
        say(f"the page: http://{shown}:{port}/ (Ctrl-C ends it)")
        server.serve_forever()  # until Ctrl-C
    say("ended")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_address(host: str) -> str:
    """A host as it is written in an address."""
    return f"[{host}]" if ":" in host else host
