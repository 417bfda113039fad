"""A card of a corpus that exists only in a test's raw files."""

from data_shards.card import Channel, CorpusCard, PublishedFile, PublishedFiles, Range

PERIODIC = dict.fromkeys(("left", "right", "bottom", "top"), "periodic")


def bare_card(name, reader, channels, frames, grid, *, options=None, files=(), splits=None, **rest):
    """A card with what a reader asks of it, everything else as little as possible."""
    parameters = rest.pop("parameters", {})
    return CorpusCard(
        **{
            "name": name,
            "title": name,
            "version": 1,
            "pde": "none",
            "equation": "numbers",
            "channels": tuple(Channel(name=channel, unit="1") for channel in channels),
            "frames": frames,
            "native_grid": grid,
            "boundary": PERIODIC,
            "extent": (0.0, 4.0, 0.0, 3.0),
            "dt_s": 0.5,
            "parameters": {n: Range(low=low, high=high) for n, (low, high) in parameters.items()},
            "context_frames": 1,
            "rollout_frames": 0,
            "splits": {"train": 1},
            "published": PublishedFiles(
                reader=reader,
                options=options or {},
                files=tuple(PublishedFile(name=file) for file in files),
                splits=splits or {},
            ),
            "source": "tests",
            "license": "Apache-2.0",
            "citation": "none",
            **rest,
        }
    )
