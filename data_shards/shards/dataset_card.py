"""The card of a folder of shards as a data set to share: a manifest in, README.md out.

The front matter is the Hub's: a folder with this file is a data set that
`datasets.load_dataset` reads, one configuration per corpus. The text repeats
what cards and manifest say; nothing here is written by hand.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from data_shards.atomic import replace_file
from data_shards.handbook import anchor, facts, grid_text, table
from data_shards.shards.manifest import CorpusEntry, Manifest, SourceFile

CARD = "README.md"
# The line by which a card of ours is known; a README without it was written by hand.
MARK = "# Written from manifest.json at every change; remove this line to keep your own words."
# Identifiers of the Hub; anything else is "other" there.
_LICENSES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"
_NAMED = 3  # families of equations that still fit into a title
_LISTED = 4  # raw files that are all named
_NUMBER = "[0-9]" * 6  # of a shard; with "*", corpus x would take the shards of x-train as well

_LOADING = """## How to load it

Every sample is one trajectory: `fields.npy` (T, C, H, W), float, in physical units, rows along y
upwards (one dimension has H = 1, three have (T, C, D, H, W)); `mask.npy`, 1 in the fluid and 0 in
solid cells; `meta.json` with channels, units, time step, domain, boundary and, as JSON text, the
parameters. `FOLDER` is a path, for `datasets` also the name of a data set on the Hub.

```python
from datasets import load_dataset

rows = load_dataset("FOLDER", "{corpus}", split="{split}", streaming=True)
fields = next(iter(rows))["fields.npy"]
```

```python
import webdataset

pattern = "FOLDER/{shards}"
samples = webdataset.WebDataset(pattern, shardshuffle=False).decode()
fields = next(iter(samples))["fields.npy"]
```

```python
from data_shards.shards.corpus import ShardedCorpus  # pip install moe-pot

corpus = ShardedCorpus.open("FOLDER", "{corpus}", "{split}")
window = corpus.window(trajectory=0, start=0, length={length})  # reads these frames only
```

`foundation shards verify FOLDER` proves it against the checksums in `manifest.json`.
"""


def write_dataset_card(folder: Path, manifest: Manifest) -> bool:
    """Replace the card of a folder of shards in one step.

    Returns:
        Whether it was written; a README.md that is not ours stays as it is.
    """
    path = folder / CARD
    if path.exists() and MARK not in path.read_text(errors="replace"):
        return False
    replace_file(path, dataset_card(manifest).encode())
    return True


def dataset_card(manifest: Manifest) -> str:
    """The text of the card, front matter first."""
    front = yaml.safe_dump(_front_matter(manifest), sort_keys=False, allow_unicode=True, width=96)
    parts = [f"---\n{MARK}\n{front}---\n\n# {_pretty_name(manifest)}\n"]
    if not manifest.entries:
        return parts[0] + "\nNo corpora yet.\n"
    parts += [_summary(manifest), _contents(manifest), _loading(manifest.entries[0])]
    for name in _corpora(manifest):
        entries = [entry for entry in manifest.entries if entry.corpus == name]
        described = next((entry for entry in entries if entry.split == "train"), entries[0])
        about = facts(described.card, described.statistics, _origins(entries))
        parts.append(f"## {name}\n\n{about}")
        parts.append(f"Statistics: of the {described.split} split here.\n")
    return "\n".join(parts)


def _front_matter(manifest: Manifest) -> dict[str, Any]:
    front: dict[str, Any] = {"pretty_name": _pretty_name(manifest)}
    if not manifest.entries:
        return front
    return front | {
        **_license(manifest),
        "task_categories": ["time-series-forecasting"],
        "tags": ["physics", "pde", "simulation", "surrogate-modelling", "webdataset"],
        "size_categories": [_size(sum(entry.count for entry in manifest.entries))],
        "configs": [
            {
                "config_name": name,
                "data_files": [
                    {"split": entry.split, "path": f"{name}-{entry.split}-{_NUMBER}.tar"}
                    for entry in manifest.entries
                    if entry.corpus == name
                ],
            }
            for name in _corpora(manifest)
        ],
    }


def licence_of(entry: CorpusEntry) -> str:
    """What holds for an entry, of a card's "generated here: A; the published files: B"."""
    words = entry.card.license
    origin = "generated here" if entry.provenance.seed >= 0 else "the published"
    for clause in words.split(";"):
        whose, colon, terms = clause.partition(":")
        if colon and whose.strip().startswith(origin):
            return terms.strip()
    return words


def _license(manifest: Manifest) -> dict[str, Any]:
    """The front matter's licence: identifiers of the Hub, or a name where it knows none."""
    licences = list(dict.fromkeys(licence_of(entry) for entry in manifest.entries))
    identifiers = list(dict.fromkeys(_identifier(licence) for licence in licences))
    if "other" not in identifiers:
        return {"license": identifiers[0] if len(identifiers) == 1 else identifiers}
    name = licences[0] if len(licences) == 1 else "several, see each corpus"
    return {"license": "other", "license_name": _slug(name)}


def _identifier(licence: str) -> str:
    word = licence.split()[0].lower() if licence.split() else ""
    return word if word in _LICENSES else "other"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") or "unknown"


def _size(count: int) -> str:
    return next((name for limit, name in _SIZES if count < limit), _LARGEST)


def _pretty_name(manifest: Manifest) -> str:
    cards = list({entry.corpus: entry.card for entry in manifest.entries}.values())
    if len(cards) == 1:
        return cards[0].title
    families = list(dict.fromkeys(card.pde for card in cards))
    named = ", ".join(families) if len(families) <= _NAMED else f"{len(families)} families of PDEs"
    return f"{len(cards)} corpora of simulations: {named}"


def _summary(manifest: Manifest) -> str:
    count = sum(entry.count for entry in manifest.entries)
    size = sum(entry.bytes for entry in manifest.entries)
    shards = sum(len(entry.shards) for entry in manifest.entries)
    return (
        f"{count} trajectories in {shards} WebDataset shards, {size / (1 << 20):.1f} MiB. "
        "`manifest.json` beside this file holds\nchecksums, channel statistics and the whole card "
        "of every corpus.\n"
    )


def _contents(manifest: Manifest) -> str:
    rows = [
        (
            f"[`{entry.corpus}`](#{anchor(entry.corpus)})",
            entry.split,
            str(entry.count),
            str(entry.frames),
            grid_text(entry.grid),
            entry.storage,
            f"{entry.bytes / (1 << 20):.1f} MiB",
            _origin(entry),
        )
        for entry in manifest.entries
    ]
    header = ("corpus", "split", "trajectories", "frames", "grid", "type", "size", "origin")
    return table(header, rows)


def _origins(entries: Sequence[CorpusEntry]) -> list[str]:
    """Where the data of a corpus come from, and on which terms; a line each."""
    lines = []
    for entry in entries:
        published = entry.card.published
        source = entry.card.source
        if entry.provenance.seed < 0:
            source = _origin(entry)
            if published is not None and published.url:
                source += f", from <{published.url}>"
        lines += [f"Source: {source}", f"Licence: {licence_of(entry)}"]
    return list(dict.fromkeys(lines))


def _origin(entry: CorpusEntry) -> str:
    provenance = entry.provenance
    made = f"{provenance.producer} version {provenance.version}"
    if provenance.seed >= 0:
        return f"simulated by {made}, seed {provenance.seed}"
    files = files_text(provenance.sources) or "unnamed"
    return f"published files ({files}), read by {made}"


def files_text(sources: Sequence[SourceFile]) -> str:
    """Names of raw files, of many only how many there are and the first; empty for none."""
    names = [source.name for source in sources]
    if len(names) > _LISTED:
        return f"{len(names)} files: {names[0]}, ..., {names[-1]}"
    return ", ".join(names)


def _loading(entry: CorpusEntry) -> str:
    stem = f"{entry.corpus}-{entry.split}-"
    last = len(entry.shards) - 1
    shards = f"{stem}{{000000..{last:06d}}}.tar" if last else f"{stem}000000.tar"
    loading = _LOADING.replace("{corpus}", entry.corpus).replace("{split}", entry.split)
    length = min(entry.card.context_frames + 1, entry.frames)
    return loading.replace("{shards}", shards).replace("{length}", str(length))


def _corpora(manifest: Manifest) -> Iterable[str]:
    return dict.fromkeys(entry.corpus for entry in manifest.entries)
