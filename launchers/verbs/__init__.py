"""The verbs of the console command, one module each, in the order of `foundation --help`."""

import argparse
from collections.abc import Callable

from launchers.verbs.evaluate import add_verb as add_evaluate
from launchers.verbs.leaderboard import add_verb as add_leaderboard
from launchers.verbs.plan import add_verb as add_plan
from launchers.verbs.shards import add_verb as add_shards

ALL: tuple[Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None], ...] = (
    add_shards,
    add_plan,
    add_evaluate,
    add_leaderboard,
)
