"""The verbs of the console command, one module each, in the order of `foundation --help`.

A verb's module holds its options, and is imported only when it is the one asked for. What needs
torch, which takes seconds, is imported when the verb runs: long ones have a module in `work`.
"""

import argparse
from importlib import import_module

SUMMARIES = {
    "shards": "list corpora; generate, convert, verify, describe and show shards",
    "supervise": "start a training again after its deaths, from its newest checkpoint",
    "drill": "kill, end and stop processes of trainings at random; compare with an undisturbed one",
    "plan": "parameters, FLOPs and memory per rank of a preset; seconds per step on a cluster",
    "evaluate": "score checkpoints and floors on test trajectories",
    "tasks": "list tasks, groups of tasks and metrics",
    "rescore": "aggregate records again, with further metrics, without the model",
    "leaderboard": "build a leaderboard from records",
    "breakeven": "after how many forecasts a training has repaid its cost, beside a coarser solver",
    "study": "train, judge and compare models on mixtures, from several seeds",
    "transfer": "learn a corpus from few trajectories, from a checkpoint and from scratch",
    "routing": "tell corpora, strangers and expert usage from the routers of checkpoints",
    "models": "list checkpoints: the package's own, those here, published ones to import",
    "predict": "continue a simulation of your own, in the format of its file",
    "fingerprint": "tell whether a checkpoint is to be trusted on a simulation of your own",
    "serve": "open a page on this machine: truth, forecast, error and experts, frame by frame",
    "import-reference": "make a checkpoint from one of MoE-POT's or DPOT's authors (.pth)",
    "export-reference": "write a checkpoint as MoE-POT's and DPOT's authors do (.pth)",
    "export": "make a checkpoint folder from a training folder",
    "card": "write a checkpoint's model card from its records",
    "push": "put a checkpoint folder on the Hugging Face Hub",
    "pull": "fetch a checkpoint folder from the Hugging Face Hub",
    "push-shards": "put a folder of shards on the Hugging Face Hub as a data set",
    "bench": "measure speed as ratios: against the published form, float32, one large product",
}


def add_verbs(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", wanted: str | None
) -> None:
    """Add every verb's summary, and all options of the wanted one.

    Args:
        subparsers: of the console's parser.
        wanted: first word of the command line, if any.
    """
    for name, summary in SUMMARIES.items():
        if name == wanted:
            import_module(f"launchers.verbs.{name.replace('-', '_')}").add_verb(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
