"""The verbs of the console command, one module each, in the order of `foundation --help`."""

import argparse
from collections.abc import Callable

from launchers.verbs import evaluate, leaderboard, plan, shards

ALL: tuple[Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None], ...] = (
    shards.add_verb,
    plan.add_verb,
    evaluate.add_verb,
    leaderboard.add_verb,
)
