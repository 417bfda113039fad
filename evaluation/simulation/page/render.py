"""The page: what was computed in, HTML out, by the templates beside this file.

A page is one file: styles and script are inline, pictures are `data:` addresses, nothing is
fetched. The part that shows a forecast stands for itself, so that a browser can put it into
the open page, and save it with the page around it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_shards.pictures.strip import Strip, end_colours, gradient
from data_shards.pictures.view import label
from data_shards.simulation_file.simulation import Coordinate
from evaluation.records.table import number
from evaluation.simulation.channels import channels_of
from evaluation.simulation.page.curve import draw_errors
from evaluation.simulation.page.pictures import Panel, Tick, panels, plane, ticks
from evaluation.simulation.page.samples import Shelf
from evaluation.simulation.page.scrub import FrameErrors, Scrub
from evaluation.templates import templates

_TEMPLATES = templates(Path(__file__).parent)
_STOPS = 12  # of a colour bar
_KINDS = {"truth": "truth", "forecast": "forecast", "error": "error: forecast less truth"}


@dataclass(frozen=True)
class _Ruler:
    """Numbers along an axis or a colour bar, and what they are of."""

    ticks: tuple[Tick, ...]
    name: str


@dataclass(frozen=True)
class _ShownPanel:
    """A panel with its colour bar; `below` and `above` are colours of what lies beyond, if any."""

    kind: str
    title: str
    strip: Strip
    gradient: str
    below: str | None
    above: str | None
    colours: _Ruler


@dataclass(frozen=True)
class _ShownChannel:
    """A channel by its name and unit, and its panels."""

    name: str
    panels: tuple[_ShownPanel, ...]


def render_page(
    checkpoint: str,
    facts: str,
    found: Sequence[Shelf],
    left_out: Sequence[str],
    most_upload_bytes: int,
) -> str:
    """The page before anything is shown.

    Args:
        checkpoint: as the user calls it.
        facts: about the model, one line.
        found: what there is to pick from; empty without shards.
        left_out: what the model cannot take, and why.
        most_upload_bytes: of a file.
    """
    return _TEMPLATES.get_template("page.html").render(
        checkpoint=checkpoint,
        facts=facts,
        found=found,
        left_out=left_out,
        most=most_upload_bytes,
    )


def script_text() -> str:
    """The page's one script, which its policy allows by checksum."""
    script = _TEMPLATES.get_template("script.html").render()
    return script.removeprefix("<script>").rsplit("</script>", 1)[0]


def render_fault(line: str) -> str:
    """An error, where the forecast would be."""
    return _TEMPLATES.get_template("fault.html").render(line=line)


def render_scrub(scrub: Scrub, about: str, notes: Sequence[str], unlike: str) -> str:
    """Everything that is shown of a forecast.

    Args:
        scrub: what was computed.
        about: what it is a forecast of, in a line; may be empty.
        notes: what was assumed, and what else its reader should know.
        unlike: why no corpus is named, where there are no fingerprints.
    """
    shown = scrub.simulation
    (x_min, x_max, y_min, y_max), aspect = plane(scrub)
    errors = None if scrub.report is None else scrub.report.errors
    curve, places = (
        draw_errors(scrub.errors, errors, len(scrub.forecast))
        if errors is not None or len(scrub.truth)
        else (None, ())
    )
    return _TEMPLATES.get_template("scrub.html").render(
        data=_data(scrub),
        name=shown.source.name,
        about=about,
        first=scrub.start,
        last=scrub.start + scrub.context_frames - 1,
        frames=len(scrub.forecast),
        known=len(scrub.truth),
        notes=notes,
        channels=_channels(scrub),
        aspect=aspect,
        rows=_Ruler(ticks(y_min, y_max), _axis(shown.rows)),
        columns=_Ruler(ticks(x_min, x_max), _axis(shown.columns)),
        verdict=None if scrub.report is None else scrub.report.verdict,
        curve=curve,
        places=json.dumps(places),
        firing=scrub.firing,
        likeness=scrub.likeness,
        unlike=unlike,
        number=number,
    )


def _data(scrub: Scrub) -> str:
    """What the script needs of every frame."""
    values: dict[str, Any] = {
        "frames": len(scrub.forecast),
        "known": len(scrub.truth),
        "times": [float(f"{time:.5g}") for time in scrub.times],
        "errors": [_error_data(e) for e in (scrub.errors, *scrub.channel_errors)],
    }
    if (firing := scrub.firing) is not None:
        values["probabilities"] = firing.probabilities_FLE.round(4).tolist()
        values["experts"] = firing.experts_FLS.tolist()
        values["weights"] = firing.weights_FLS.round(4).tolist()
        values["most"] = firing.most
    return json.dumps(_rounded(values), separators=(",", ":"))


def _error_data(errors: FrameErrors | None) -> list[list[str]]:
    """Texts of model, persistence and their ratio for every known frame."""
    if errors is None:
        return []
    rows = []
    for model, floor in zip(errors.model.tolist(), errors.persistence.tolist(), strict=True):
        rows.append([number(model), number(floor), number(model / floor) if floor else "–"])
    return rows


def _rounded(values: Any) -> Any:
    """Float32 written out in full would be half of the page."""
    if isinstance(values, dict):
        return {key: _rounded(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return round(values, 6) if isinstance(values, float) else values


def _channels(scrub: Scrub) -> list[_ShownChannel]:
    names = [label(channel) for channel in channels_of(scrub.simulation)]
    return [
        _ShownChannel(name, tuple(_shown(panel, name) for panel in panels(scrub, number)))
        for number, name in enumerate(names)
    ]


def _shown(panel: Panel, channel: str) -> _ShownPanel:
    scale = panel.scale
    low, high = end_colours(scale)
    unit = f"error of {channel}" if panel.kind == "error" else channel
    return _ShownPanel(
        kind=panel.kind,
        title=_KINDS[panel.kind],
        strip=panel.strip,
        gradient=gradient(scale, _STOPS),
        below=low if scale.extend in ("min", "both") else None,
        above=high if scale.extend in ("max", "both") else None,
        colours=_Ruler(ticks(scale.low, scale.high), unit),
    )


def _axis(places: Coordinate) -> str:
    unit = places.attributes.get("units", "")
    return f"{places.name} [{unit}]" if unit not in ("", "1") else places.name
