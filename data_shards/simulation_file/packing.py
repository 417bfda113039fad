"""Numbers of netCDF as they are meant: attributes and stored numbers in, values and NaN out.

A number stands for no value where it is the file's `_FillValue`, one of its `missing_value`s,
outside of what it declares valid, or, in a netCDF file that names no fill value, what the
library writes where nothing was written. Fill values are compared as they are stored and, where
they are given in the units of the field though the field is packed, after scaling as well.
Source: NetCDF Users' Guide, "Attribute Conventions"; CF conventions 1.11, chapters 2.5 and 8.1.
Departure: bytes have no default fill value, as in that guide and in xarray; netCDF4-python has one.

Why not xarray: it decodes an opened variable by these conventions but for default fill values,
ranges declared valid and fill values in the units of the field, and opens variables by
libraries of its own. It and netCDF4-python are what tests compare with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Range = tuple[float | int | None, float | int | None]

_WHOLE = 0.1  # what a whole number may be off after it was scaled in single precision
_LARGE = 9.969209968386869e36  # what the library fills floating-point numbers with
_DEFAULT_FILL: dict[str, float | int] = {
    "f4": _LARGE, "f8": _LARGE, "i2": -(2**15) + 1, "u2": 2**16 - 1, "i4": -(2**31) + 1,
    "u4": 2**32 - 1, "i8": -(2**63) + 2, "u8": 2**64 - 2,
}  # fmt: skip


@dataclass(frozen=True)
class Packing:
    """How the numbers of one array are meant.

    Attributes:
        stored: type as which what is stored is to be understood.
        meant: type of the values.
        scale: times what is stored; None: 1.
        offset: added to that; None: 0.
        absent: stored numbers that stand for no value.
        stored_range: the least and the largest valid number, as stored.
        meant_range: likewise after scaling.
    """

    stored: np.dtype[Any]
    meant: np.dtype[Any]
    scale: float | None
    offset: float | None
    absent: Values
    stored_range: Range = (None, None)
    meant_range: Range = (None, None)

    @property
    def is_scaled(self) -> bool:
        """Whether values are others than the numbers stored."""
        return self.scale is not None or self.offset is not None

    def values(self, raw: Values) -> Values:
        """What stored numbers mean; NaN where that is nothing."""
        raw = raw.astype(raw.dtype.newbyteorder("="), copy=False).view(self.stored)
        none = _outside(raw, self.stored_range) | np.isin(raw, self.absent)
        if self.is_scaled:
            scale = 1.0 if self.scale is None else self.scale
            with np.errstate(over="ignore", invalid="ignore"):  # of a damaged factor
                raw = raw.astype(self.meant) * scale + (self.offset or 0.0)
            none |= _outside(raw, self.meant_range)
        return np.where(none, self.meant.type(np.nan), raw) if none.any() else raw


def packing_of(
    dtype: np.dtype[Any], attribute: Callable[[str], Any], netcdf: bool
) -> Packing | None:
    """What the attributes of an array say of its numbers; None if they are plain.

    Args:
        dtype: of the entries as they are stored.
        attribute: gives an attribute by name, or None.
        netcdf: whether the file is netCDF, with its default fill values.
    """
    if dtype.kind not in "fiu":
        return None
    dtype = dtype.newbyteorder("=")
    scale, offset = (_numbers(attribute(name)) for name in ("scale_factor", "add_offset"))
    scaled = len(scale) > 0 or len(offset) > 0
    if dtype.kind != "f" and not scaled:
        return None  # whole numbers cannot hold NaN, and are no fields
    stored = _signed_as_said(dtype, attribute("_Unsigned"))
    fills = [_numbers(attribute(name)) for name in ("_FillValue", "missing_value")]
    if netcdf and not len(fills[0]) and dtype.str[1:] in _DEFAULT_FILL:
        fills.append(np.array([_DEFAULT_FILL[dtype.str[1:]]]))
    low, high = _range(attribute)
    # Of the type of the factors, and of a wider one than what is stored: in units of the field.
    factors = np.result_type(*(each.dtype for each in (scale, offset) if len(each)), np.float32)
    in_units = (
        scaled and dtype != factors and all(e.dtype == factors for e in (low, high) if len(e))
    )
    if scaled and dtype.kind != "f":  # whole numbers with a fill value in the field's units
        fills += [_unscaled(each, scale, offset) for each in fills if each.dtype.kind == "f"]
    absent = [_as_stored(each, dtype, stored) for each in fills]
    packing = Packing(
        stored=stored,
        meant=np.dtype(np.float64) if scaled else dtype,
        scale=_first(scale),
        offset=_first(offset),
        absent=np.concatenate([np.empty(0, stored), *absent]),
        stored_range=(None, None) if in_units else (_end(low, stored), _end(high, stored)),
        meant_range=(_first(low), _first(high)) if in_units else (None, None),
    )
    return packing if scaled or len(packing.absent) or len(low) or len(high) else None


def _outside(values: Values, valid: Range) -> NDArray[np.bool_]:
    low, high = valid
    none = np.zeros(values.shape, bool)
    if low is not None:
        none |= values < low
    if high is not None:
        none |= values > high
    return none


def _signed_as_said(dtype: np.dtype[Any], word: Any) -> np.dtype[Any]:
    """`_Unsigned` tells netCDF 3, which has no unsigned numbers, from what is meant."""
    text = word.decode("latin-1") if isinstance(word, bytes) else str(word)
    kind = {("i", "true"): "u", ("u", "false"): "i"}.get((dtype.kind, text.strip().lower()))
    return np.dtype(f"{kind}{dtype.itemsize}") if kind else dtype


def _range(attribute: Callable[[str], Any]) -> tuple[Values, Values]:
    """The least and the largest valid number, each alone or both together."""
    both = _numbers(attribute("valid_range"))
    if len(both) == 2:
        return both[:1], both[1:]
    return _numbers(attribute("valid_min")), _numbers(attribute("valid_max"))


def _numbers(value: Any) -> Values:
    """An attribute's numbers; none of what is not one."""
    values = np.atleast_1d(np.asarray(value)).ravel() if value is not None else np.empty(0)
    values = values.astype(values.dtype.newbyteorder("="))
    return values if values.dtype.kind in "fiu" else np.empty(0)


def _as_stored(fills: Values, dtype: np.dtype[Any], stored: np.dtype[Any]) -> Values:
    """Fill values in the type in which they are compared; none that it cannot hold."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return fills.astype(dtype)
    whole = [_wrapped(int(fill), stored) for fill in fills if np.isfinite(fill) and fill % 1 == 0]
    bounds = np.iinfo(stored)
    return np.array([fill for fill in whole if bounds.min <= fill <= bounds.max], stored)


def _end(values: Values, stored: np.dtype[Any]) -> float | int | None:
    """An end of the valid range as it is compared with what is stored."""
    if not len(values):
        return None
    whole = values.dtype.kind in "iu" and stored.kind in "iu"
    return _wrapped(int(values[0]), stored) if whole else float(values[0])


def _wrapped(value: int, stored: np.dtype[Any]) -> int:
    """A negative number, or one too large, as the one of the same bits."""
    size = 1 << (8 * stored.itemsize)
    if stored.kind == "u":
        return value + size if -size // 2 <= value < 0 else value
    return value - size if size // 2 <= value < size else value


def _unscaled(fills: Values, scale: Values, offset: Values) -> Values:
    """Fill values in units of the field as the whole numbers that mean them."""
    factor = float(scale[0]) if len(scale) else 1.0
    shift = float(offset[0]) if len(offset) else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = (fills.astype(np.float64) - shift) / factor
        whole: Values = np.round(numbers)
        near: NDArray[np.bool_] = np.abs(numbers - whole) < _WHOLE
    return whole[near]


def _first(values: Values) -> float | None:
    return float(values[0]) if len(values) else None
