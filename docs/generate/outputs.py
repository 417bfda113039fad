"""What a shown command prints: a block of one command in, the same block with its output out.

For commands of the console that need nothing and are done in seconds.
"""

import io
import re
import shlex
from contextlib import redirect_stdout

from launchers.cli import main

_ASKED = re.compile(r"(^```sh\n(?P<command>.*?)^```\n)\n<!-- output -->", re.M | re.S)


def with_outputs(markdown: str) -> str:
    """The page with outputs where it asks for them.

    Raises:
        RuntimeError: a command that fails.
    """
    return _ASKED.sub(
        lambda found: f"{found[1]}\n```text\n{_printed(found['command'])}```", markdown
    )


def _printed(command: str) -> str:
    program, *words = shlex.split(command.replace("\\\n", " "))
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(words)
    if program != "foundation" or code != 0:
        raise RuntimeError(f"a page of docs/ shows the output of a command that fails: {command}")
    return out.getvalue()
