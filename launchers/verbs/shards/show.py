"""`foundation shards show`: pictures of what a folder of shards holds."""

import argparse
from pathlib import Path
from typing import get_args

from data_shards.card import Split
from data_shards.errors import UserError
from data_shards.shards.corpus import ShardedCorpus
from data_shards.shards.manifest import read_manifest
from launchers.console.arguments import Subparsers, add_parser, not_negative
from launchers.console.progress import progress

SUMMARY = "draw trajectories: one contact sheet and one animation per corpus"
EXAMPLES = """examples:
  foundation shards show shards --output pictures
  foundation shards show shards --corpus cfdbench pdebench_swe --index 3 --output pictures
  foundation shards show shards --split train --no-animation --output pictures

Writes CORPUS-SPLIT-INDEX.png (channels by time, one colour scale per channel) and
CORPUS-SPLIT-INDEX.gif. One dimension is drawn as space over time, of three the middle slice;
a steady state does not move. Of three dimensions CORPUS-SPLIT-INDEX-volume.png shows the last
frame: slices across every axis, and surfaces if scikit-image is there (the extra "volume").
"""


def add_verb(subparsers: Subparsers) -> None:
    """Add `show` to `foundation shards`."""
    parser = add_parser(subparsers, "show", SUMMARY, EXAMPLES)
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="folder of shards")
    add("--corpus", nargs="+", action="extend", metavar="C", help="only these (default: all)")
    add(
        "--split",
        choices=get_args(Split),
        help="default: test, or what there is of a corpus that has none",
    )
    add("--index", type=not_negative, default=0, metavar="I", help="which trajectory (default: 0)")
    add("--no-animation", action="store_true", help="contact sheets only")
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the pictures")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from data_shards.pictures.animation import animate
    from data_shards.pictures.sheet import draw_sheet
    from data_shards.pictures.volume import draw_volume

    corpora = _corpora(options)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{options.output}: cannot write pictures there: {error}") from error
    for corpus in progress(corpora, total=len(corpora), label="show", unit="corpora"):
        trajectory = corpus.trajectory(options.index)
        stem = f"{corpus.card.name}-{corpus.split}-{options.index:06d}"
        draw_sheet(trajectory, corpus.card, options.output / f"{stem}.png")
        if not options.no_animation and corpus.frames > 1:
            animate(trajectory, corpus.card, options.output / f"{stem}.gif")
        if corpus.card.is_box:
            draw_volume(trajectory, corpus.card, options.output / f"{stem}-volume.png")
        print(options.output / f"{stem}.png")


def _corpora(options: argparse.Namespace) -> list[ShardedCorpus]:
    """What is to be drawn, opened.

    Raises:
        UserError: no such corpus or split, or no trajectory of this number.
    """
    manifest = read_manifest(options.folder)
    present = list(dict.fromkeys(entry.corpus for entry in manifest.entries))
    names = list(dict.fromkeys(options.corpus or present))
    corpora = []
    for name in names:
        splits = [entry.split for entry in manifest.entries if entry.corpus == name]
        split = options.split or next((s for s in ("test", *splits) if s in splits), "test")
        corpus = ShardedCorpus.open(options.folder, name, split)
        if options.index >= len(corpus):
            raise UserError(
                f"{options.folder}: {name} {split} has {len(corpus)} trajectories, 0 to "
                f"{len(corpus) - 1}; wanted number {options.index}"
            )
        corpora.append(corpus)
    if not corpora:
        raise UserError(f"{options.folder}: holds no corpora, so there is nothing to draw")
    return corpora
