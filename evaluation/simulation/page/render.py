"""The page in words and elements: what was computed in, HTML out. All text is escaped here.

A page is one file: styles and script are inline, pictures are `data:` addresses, nothing is
fetched. The part that shows a forecast stands for itself, so that a browser can put it into
the open page, and save it with the page around it.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from data_shards.pictures.strip import end_colours, gradient
from data_shards.pictures.view import label
from evaluation.records.table import number
from evaluation.simulation.channels import channels_of
from evaluation.simulation.likeness import Likeness
from evaluation.simulation.page.curve import draw_errors
from evaluation.simulation.page.pictures import (
    Panel,
    Tick,
    panels,
    plane,
    ticks,
)
from evaluation.simulation.page.samples import Shelf
from evaluation.simulation.page.scrub import Firing, FrameErrors, Scrub

_FOLDER = Path(__file__).parent
_STOPS = 12  # of a colour bar
_KINDS = {"truth": "truth", "forecast": "forecast", "error": "error: forecast less truth"}


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
    form = Template((_FOLDER / "form.html").read_text())
    return Template((_FOLDER / "page.html").read_text()).substitute(
        title=escape(checkpoint),
        facts=escape(facts),
        style=(_FOLDER / "style.html").read_text(),
        form=form.substitute(
            sample=_sample_form(found, left_out),
            most=most_upload_bytes,
            most_mib=most_upload_bytes >> 20,
        ),
        script=script_text(),
    )


def script_text() -> str:
    """The page's one script, which its policy allows by checksum."""
    return (_FOLDER / "script.html").read_text().removeprefix("<script>").rsplit("</script>", 1)[0]


def render_fault(line: str) -> str:
    """An error, where the forecast would be."""
    return f'<p class="fault" role="alert">error: {escape(line)}</p>'


def render_scrub(scrub: Scrub, about: str, notes: Sequence[str], unlike: str) -> str:
    """Everything that is shown of a forecast.

    Args:
        scrub: what was computed.
        about: what it is a forecast of, in a line; may be empty.
        notes: what was assumed, and what else its reader should know.
        unlike: why no corpus is named, where there are no fingerprints.
    """
    shown = scrub.simulation
    first, last = scrub.start, scrub.start + scrub.context_frames - 1
    lead = (
        f"The model sees frames {first} to {last} and predicts {len(scrub.forecast)}; "
        f"{len(scrub.truth)} of these are known."
    )
    channels = [label(channel) for channel in channels_of(shown)]
    return "".join(
        (
            f'<section class="scrub" data-shown="{escape(_data(scrub))}">',
            f"<h2>{escape(shown.source.name)}</h2>",
            f"<p>{escape(about)}</p>" if about else "",
            f"<p>{escape(lead)}</p>",
            _notes(notes),
            _controls(scrub, channels),
            *(_channel(scrub, number, name) for number, name in enumerate(channels)),
            _errors(scrub, channels),
            _experts(scrub.firing),
            _likeness(scrub.likeness, unlike),
            "</section>",
        )
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
        values["most"] = float(firing.probabilities_FLE.max())
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


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<details open><summary>What was assumed</summary><ul>{listed}</ul></details>"


def _controls(scrub: Scrub, channels: Sequence[str]) -> str:
    options = "".join(
        f'<option value="{number}">{escape(name)}</option>' for number, name in enumerate(channels)
    )
    frames = len(scrub.forecast)
    return (
        '<div class="controls">'
        f'<label class="pick">Channel <select class="channel-choice">{options}</select></label>'
        '<button type="button" class="play">Play</button>'
        f'<input type="range" class="frame" min="1" max="{frames}" value="1" step="1" '
        'aria-label="Predicted frame">'
        '<output class="clock"></output>'
        '<button type="button" class="save">Save page</button>'
        "</div>"
    )


def _channel(scrub: Scrub, channel: int, name: str) -> str:
    drawn = "".join(_panel(scrub, panel, name) for panel in panels(scrub, channel))
    return f'<div class="panels" data-channel="{channel}" hidden>{drawn}</div>'


def _panel(scrub: Scrub, panel: Panel, name: str) -> str:
    (x_min, x_max, y_min, y_max), aspect = plane(scrub)
    strip, (columns, rows) = panel.strip, panel.strip.size
    places = scrub.simulation
    unit = f"error of {name}" if panel.kind == "error" else name
    return (
        f'<figure class="panel {panel.kind}"><figcaption>{_KINDS[panel.kind]}</figcaption>'
        f'<div class="plot"><div class="y-ticks">{_ticks(ticks(y_min, y_max), "bottom")}'
        f"<span class='name'>{escape(_axis(places.rows.name, places.rows.attributes))}</span></div>"
        f'<div class="view" style="aspect-ratio:{aspect:.4f}">'
        f'<canvas width="{columns}" height="{rows}" data-frames="{strip.frames}" role="img" '
        f'aria-label="{escape(f"{panel.kind} of {name}")}" data-strip="{strip.address}"></canvas>'
        '<span class="nothing" hidden>not known</span></div>'
        f'<div class="x-ticks">{_ticks(ticks(x_min, x_max), "left")}'
        f"<span class='name'>{escape(_axis(places.columns.name, places.columns.attributes))}</span>"
        f"</div></div>{_bar(panel, unit)}</figure>"
    )


def _axis(name: str, attributes: dict[str, str]) -> str:
    unit = attributes.get("units", "")
    return f"{name} [{unit}]" if unit not in ("", "1") else name


def _ticks(found: Sequence[Tick], side: str) -> str:
    return "".join(
        f'<span class="tick" style="{side}:{100 * tick.place:.2f}%">{tick.text}</span>'
        for tick in found
    )


def _bar(panel: Panel, unit: str) -> str:
    scale = panel.scale
    low, high = end_colours(scale)
    below = f'<i class="below" style="background:{low}"></i>'
    above = f'<i class="above" style="background:{high}"></i>'
    return (
        '<div class="bar"><div class="colours">'
        f"{below if scale.extend in ('min', 'both') else ''}"
        f'<i style="background:{gradient(scale, _STOPS)}"></i>'
        f"{above if scale.extend in ('max', 'both') else ''}</div>"
        f'<div class="x-ticks">{_ticks(ticks(scale.low, scale.high), "left")}'
        f"<span class='name'>{escape(unit)}</span></div></div>"
    )


def _errors(scrub: Scrub, channels: Sequence[str]) -> str:
    if not len(scrub.truth):
        return (
            "<h3>Error of each frame</h3><p>Nothing is known of what follows these frames, so "
            "there is nothing to compare with; begin earlier, or give a longer file.</p>"
        )
    drawing, places = draw_errors(scrub.errors)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="model"></td><td class="floor"></td>'
        '<td class="ratio"></td></tr>'
        for name in ("all channels", *channels)
    )
    return (
        "<h3>Error of each frame</h3><p>L2RE: the norm of the error over that of the truth. "
        "Persistence repeats the last given frame; a ratio below 1 means that the model knows "
        "more than that.</p>"
        f'<div class="errors"><div class="curve" data-places="{json.dumps(places)}">{drawing}'
        '<i class="cursor"></i></div>'
        '<table class="readings"><thead><tr><th scope="col">L2RE of this frame</th>'
        '<th scope="col">model</th><th scope="col">persistence</th><th scope="col">ratio</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _experts(firing: Firing | None) -> str:
    title = "<h3>Experts that fire</h3>"
    if firing is None:
        return f"{title}<p>The model is dense: it has no experts to choose from.</p>"
    _, blocks, experts = firing.probabilities_FLE.shape
    chosen = firing.experts_FLS.shape[2]
    head = "".join(f'<th scope="col">{expert}</th>' for expert in range(1, experts + 1))
    rows = "".join(
        f'<tr><th scope="row">block {block + 1}</th>{"<td></td>" * experts}'
        '<td class="chosen"></td></tr>'
        for block in range(blocks)
    )
    return (
        f"{title}<p>What every block's router gives each of its {experts} experts for the "
        f"frame above, and the {chosen} that compute it, framed, with their weights in the "
        "mixture. Experts of different blocks have nothing to do with each other.</p>"
        f'<div class="wide"><table class="experts" style="--experts:{experts}"><thead><tr>'
        f'<th scope="col">expert</th>{head}'
        '<th scope="col" class="chosen">chosen (weight)</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        '<div class="key"><span>routing probability</span><span>0</span><i></i>'
        f"<span>{number(float(firing.probabilities_FLE.max()))}</span></div>"
    )


def _likeness(likes: Likeness | None, unlike: str) -> str:
    title = "<h3>What the routers take it for</h3>"
    if likes is None:
        return f"{title}<p>{escape(unlike)}</p>"
    most = max(each.divergence for each in likes.corpora) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{escape(each.corpus)}</th><td class="near"><i style="width:'
        f'{100 * each.divergence / most:.1f}%"></i></td><td>{number(each.divergence)}</td></tr>'
        for each in likes.corpora
    )
    scale = ""
    if likes.strangeness is not None:
        scale = (
            f" That is {likes.strangeness:.0%} of the way from {likes.nearest.corpus} to a "
            "typical other corpus."
        )
    return (
        f"{title}<p>Nearest is <strong>{escape(likes.nearest.corpus)}</strong>: divergence of "
        f"the routes of the given frames from its fingerprint, all blocks together, in nats."
        f"{escape(scale)}</p>"
        '<table class="likeness"><thead><tr><th scope="col">corpus</th><th scope="col"></th>'
        f'<th scope="col">divergence</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _sample_form(found: Sequence[Shelf], left_out: Sequence[str]) -> str:
    if not found and not left_out:
        return "<p>Start with <code>--shards DIR</code> to pick samples of its corpora, too.</p>"
    if not found:
        listed = "; ".join(left_out)
        return f"<p>The model can take nothing of the folder of shards: {escape(listed)}</p>"
    options = "".join(
        f'<option value="{escape(f"{s.corpus}/{s.split}")}" data-count="{s.count}" '
        f'data-frames="{s.frames}" title="{escape(s.title)}">{escape(f"{s.corpus} {s.split}")} '
        f"({s.count})</option>"
        for s in found
    )
    unseen = (
        f'<p class="small">Left out, the model cannot take them: {escape("; ".join(left_out))}</p>'
        if left_out
        else ""
    )
    return (
        f'<label>Corpus and split <select name="shelf">{options}</select></label>'
        f'<label>Sample <input type="number" name="index" value="0" min="0" '
        f'max="{found[0].count - 1}" required></label>{unseen}'
    )
