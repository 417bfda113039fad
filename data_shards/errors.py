"""What a user can fix: one exception type and the did-you-mean hint.

Every layer of the house raises `UserError` for a wrong name, file or
combination; the console turns it into one line on stderr and exit code 2.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

# A URL up to its host, and what follows its path; as a path on disk it has lost one of its slashes.
_USER = re.compile(r"(\b[a-zA-Z][\w+.-]+:/{1,2})[^\s/?#]*@")
_QUERY = re.compile(
    r"(\b[a-zA-Z][\w+.-]+:/{1,2}[^\s?#'\"]+)[?#][^\s'\"]*?(?=[,;:.)]*(?:[\s'\"]|$))"
)
_MOST_TOLD = 24  # names in a message


class UserError(Exception):
    """A fault that the user can fix: where, what came, what was wanted, what to do.

    It ends up on consoles, in logs and on pages, so URLs in it lose what is secret in them.
    """

    def __init__(self, message: object) -> None:
        super().__init__(without_secrets(str(message)))


def without_secrets(text: str) -> str:
    """A text whose URLs have lost user, password, query (signatures, tokens) and fragment."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))


def unknown_name(kind: str, name: str, known: Iterable[str], listing: str = "") -> UserError:
    """The error for a name that is not in a closed list, with the nearest known ones.

    Args:
        kind: what the name names, as the user would call it ("corpus", "preset").
        name: what came.
        known: every accepted name; of very many only the number is told.
        listing: command that lists them, if there is one.

    Returns:
        A `UserError` to raise.
    """
    options = sorted(known)
    near = get_close_matches(name, options, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    if len(options) <= _MOST_TOLD:
        return UserError(f"unknown {kind} {name!r}; {hint}known: {', '.join(options)}")
    rest = f"; {listing} lists them" if listing else f", as {', '.join(options[:_MOST_TOLD])}"
    return UserError(f"unknown {kind} {name!r}; {hint}{len(options)} are known{rest}")
