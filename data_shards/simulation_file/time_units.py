"""Units of time in words, as CF and people write them: seconds out."""

import re

_SECONDS = {
    "nanosecond": 1e-9, "nsec": 1e-9, "ns": 1e-9,
    "microsecond": 1e-6, "usec": 1e-6, "us": 1e-6,
    "millisecond": 1e-3, "msec": 1e-3, "ms": 1e-3,
    "second": 1.0, "sec": 1.0, "s": 1.0,
    "minute": 60.0, "min": 60.0, "m": 60.0,
    "hour": 3600.0, "hr": 3600.0, "h": 3600.0,
    "day": 86400.0, "d": 86400.0,
    "week": 604800.0, "w": 604800.0,
}  # fmt: skip
_SINCE = re.compile(r"(.+?)\s+since\s+.+", re.IGNORECASE)


def is_time(units: str) -> bool:
    """Whether units are of time without a doubt: "hours since 1900-01-01", "seconds"; not "m"."""
    if _SINCE.fullmatch(units.strip()):
        return True
    return units.strip() not in ("m", "d", "w", "h") and seconds_of(units) is not None


def seconds_of(units: str) -> float | None:
    """Seconds of one unit; None if it is none that has always the same."""
    since = _SINCE.fullmatch(units.strip())
    word = (since[1] if since else units).strip().lower()
    return _SECONDS.get(word, _SECONDS.get(word.removesuffix("s")))
