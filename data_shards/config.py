"""The base of every configuration: pydantic, frozen, unknown keys refused by name.

A key that joins a configuration after its values were hashed into records or compared with
folders on disk is declared by `later`, so that yesterday's records and folders stay what they are:

    compile: bool = later(False)

It is left out of `canonical`, and so of every hash, while it is at its default. Hence a default
that was once released can never change.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Tag, ValidationError
from pydantic.fields import FieldInfo

from data_shards.errors import UserError, unknown_name
from data_shards.untrusted import MOST_YAML_BYTES, parse_yaml, read_text

ConfigT = TypeVar("ConfigT", bound="Config")

_LATER = "later"


def later(default: Any, **settings: Any) -> Any:
    """A key that came after the first records: hashed only where it is not at its default.

    Args:
        default: what was done before there was such a key.
        settings: of pydantic's `Field`, such as `ge`.
    """
    return Field(default, json_schema_extra={_LATER: True}, **settings)


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

    def canonical(self) -> dict[str, Any]:
        """Plain values for hashes: all keys but those that came later and are at their default."""
        values = self.model_dump(mode="json")
        _drop_silent(self, values)
        return values


def _drop_silent(config: Any, values: Any) -> None:
    """Take silent later keys out of dumped values, in place and however deep."""
    if isinstance(config, (list, tuple)):
        for part, dumped in zip(config, values, strict=True):
            _drop_silent(part, dumped)
    if not isinstance(config, Config):
        return
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if _is_later(field) and value == field.get_default(call_default_factory=True):
            del values[name]
        else:
            _drop_silent(value, values[name])


def _is_later(field: FieldInfo) -> bool:
    marks = field.json_schema_extra
    return isinstance(marks, dict) and bool(marks.get(_LATER))


def _as_user_error(cls: type[BaseModel], error: ValidationError, where: str) -> UserError:
    first = error.errors()[0]
    keys: list[str] = []
    owner, inner = None, cls
    for part in first["loc"]:
        if member := _member(inner, part):
            inner = member
        else:
            keys.append(str(part))
            owner, inner = inner, _value_type(inner, part)
    path = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = getattr(owner, "model_fields", {})
        return UserError(f"{where}: {unknown_name('key', keys[-1], known)} (at {path})")
    message = first["msg"].removeprefix("Value error, ")
    place = f"{path}: " if path else ""
    # What one key is wrong in is worth repeating, a whole section is not.
    whole = first["type"] == "value_error" and isinstance(first["input"], Mapping)
    came = f" (got {first['input']!r})" if path and not whole else ""
    return UserError(f"{where}: {place}{message}{came}")


def _member(union: Any, tag: Any) -> Any:
    """The type of that tag in a union told apart by tags; None of anything else."""
    for member in get_args(union):
        kind, *marks = get_args(member) or (member,)
        if any(isinstance(mark, Tag) and mark.tag == tag for mark in marks):
            return kind
    return None


def _value_type(owner: Any, key: Any) -> Any:
    """What a key holds, of a configuration or of a mapping by free names; None if unknown."""
    if get_origin(owner) is dict:
        return get_args(owner)[1]
    field = getattr(owner, "model_fields", {}).get(key)
    held = getattr(field, "annotation", None)
    inner = [part for part in get_args(held) if part is not type(None)]
    # Of a configuration that may be None, the configuration.
    return inner[0] if type(None) in get_args(held) and len(inner) == 1 else held


def read_yaml(path: Path) -> Any:
    """Plain values of a YAML file.

    Raises:
        UserError: the file is missing, is not YAML, or is larger than what people write.
    """
    try:
        return parse_yaml(read_text(path, MOST_YAML_BYTES), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
