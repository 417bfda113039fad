"""What `foundation export` does: write a checkpoint folder, then its card."""

import argparse
import json
import shutil

from data_shards.errors import UserError
from evaluation.board.model_card import read_evidence, write_card
from foundation.checkpoint.bundled import bundled
from foundation.checkpoint.folder import fingerprint_of
from foundation.train.export import export_run
from launchers.console.progress import say


def run(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    evidence = read_evidence(options.records, options.shards, options.fingerprints)
    source = export_run(
        bundled().get(str(options.run_folder), options.run_folder),
        options.out,
        checkpoint=options.checkpoint,
        max_shard_size=options.max_shard_size,
        bf16=options.bf16,
    )
    try:
        notes = write_card(options.out, evidence, options.dataset, options.license)
    except UserError:
        shutil.rmtree(options.out)  # made a moment ago: whole, with its card, or not at all
        raise
    for line in notes:
        say(f"note: {line}")
    if options.json:
        values = {
            "checkpoint": str(options.out),
            "source": str(source.path),
            "steps": source.steps,
            "fingerprint": fingerprint_of(options.out),
        }
        print(json.dumps(values, indent=2))
        return
    seen = "" if source.steps is None else f", step {source.steps}"
    print(f"from: {source.path}{seen}\ncheckpoint: {options.out}")
