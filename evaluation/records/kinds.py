"""Files of records, of whatever kind: JSON in, typed contents out; a folder is parsed once.

A file says by its `format` of what kind it is. A kind is registered where its contents are
defined, by one line: what models them, what refuses those that no run writes, and the remedy.

    RESULTS = Kind(ResultFile, _check, "evaluate again")
    results = RecordFolder(folder).of(RESULTS)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from data_shards.config import ConfigT
from data_shards.errors import UserError
from data_shards.untrusted import parse_json, read_text


@dataclass(frozen=True)
class Kind(Generic[ConfigT]):
    """What a file may be.

    Attributes:
        content: the model of what is in it; the default of its `format` names the kind.
        check: refuses (content, where it is from) by a UserError.
        remedy: of a file that is damaged.
    """

    content: type[ConfigT]
    check: Callable[[ConfigT, str], None] = lambda content, where: None
    remedy: str = "fix or remove it"

    def take(self, document: object, where: str) -> ConfigT | None:
        """The content of a parsed file; None if it is of another kind.

        Raises:
            UserError: it is of this kind, but not what a run writes.
        """
        name = self.content.model_fields["format"].default
        if not isinstance(document, dict) or document.get("format") != name:
            return None
        return self._checked(document, where)

    def read(self, path: Path) -> ConfigT | None:
        """The content of one file; None if it is of another kind.

        Raises:
            UserError: it cannot be read, or is not what a run writes.
        """
        return self.take(_parsed(path, self.remedy), str(path))

    def require(self, path: Path) -> ConfigT:
        """The content of a file that is of this kind by its place, and need not say so.

        Raises:
            UserError: it cannot be read, is of another kind, or is not what a run writes.
        """
        return self._checked(_parsed(path, self.remedy), str(path))

    def _checked(self, document: object, where: str) -> ConfigT:
        content = self.content.read(document, where)
        self.check(content, where)
        return content


class RecordFolder:
    """All JSON files below a folder."""

    def __init__(self, folder: Path) -> None:
        """Read and parse each of them once.

        Raises:
            UserError: no such folder, or a file that is not JSON.
        """
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no such folder of records; write some with foundation evaluate"
            )
        self.path = folder
        paths = sorted(folder.rglob("*.json"))
        self._documents = [(path, _parsed(path, "fix or remove it")) for path in paths]

    def of(self, kind: Kind[ConfigT]) -> list[ConfigT]:
        """Contents of the files of one kind, sorted by path.

        Raises:
            UserError: one of them is not what a run writes.
        """
        return [content for _, content in self.files_of(kind)]

    def files_of(self, kind: Kind[ConfigT]) -> list[tuple[Path, ConfigT]]:
        """Paths and contents of the files of one kind, sorted by path.

        Raises:
            UserError: one of them is not what a run writes.
        """
        taken = ((path, kind.take(document, str(path))) for path, document in self._documents)
        return [(path, content) for path, content in taken if content is not None]


def _parsed(path: Path, remedy: str) -> object:
    try:
        return parse_json(read_text(path), str(path), remedy)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror}); {remedy}") from None
