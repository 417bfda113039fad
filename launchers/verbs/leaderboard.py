"""`foundation leaderboard`: a folder of records in, Markdown, CSV and one HTML page out."""

import argparse
from pathlib import Path

from launchers.verbs import SUMMARIES

_EXAMPLE = """example:
  foundation leaderboard records/ --output board/

Writes leaderboard.md, leaderboard.csv and index.html, one page that needs no network. Records of
foundation routing and foundation transfer in the same folder make chapters of it.
"""


def add_verb(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `leaderboard` to the console."""
    parser = subparsers.add_parser(
        "leaderboard",
        help=SUMMARIES["leaderboard"],
        description="Build a leaderboard from all results files below a folder.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("records", type=Path, metavar="RECORDS_DIR", help="folder of results files")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from evaluation.board.leaderboard import tables_markdown, write_leaderboard
    from evaluation.board.wording import notes

    board = write_leaderboard(options.records, options.output)
    print(tables_markdown(board))
    for note in notes(board):
        print(f"note: {note}")
    print(f"\npage: {options.output / 'index.html'}")
