"""The base of every configuration: pydantic, frozen, unknown keys refused by name."""

from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from data_shards.errors import UserError, unknown_name

ConfigT = TypeVar("ConfigT", bound="Config")


class Config(BaseModel):
    """Frozen, extras forbidden; `read` turns every fault into one clear line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, values: Any, where: str) -> Self:
        """Validate plain values, as YAML or JSON gave them.

        Args:
            values: a mapping of plain values.
            where: what is being read, for the message ("preset nano").

        Raises:
            UserError: an unknown key (with the nearest known one) or a value out of range.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _as_user_error(cls, error, where) from None


def _as_user_error(cls: type[BaseModel], error: ValidationError, where: str) -> UserError:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        owner: Any = cls
        for part in first["loc"][:-1]:
            field = getattr(owner, "model_fields", {}).get(part)
            owner = getattr(field, "annotation", None)
        known = getattr(owner, "model_fields", {})
        return UserError(
            f"{where}: {unknown_name('key', str(first['loc'][-1]), known)} (at {path})"
        )
    message = first["msg"].removeprefix("Value error, ")
    place = f"{path}: " if path else ""
    came = f" (got {first['input']!r})" if path else ""
    return UserError(f"{where}: {place}{message}{came}")


def read_yaml(path: Path) -> Any:
    """Plain values of a YAML file.

    Raises:
        UserError: the file is missing or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path}: not readable as YAML: {problem}") from None
