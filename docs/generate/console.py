"""The console's reference: the parsers of all verbs in, one page per verb out."""

import argparse
import os
import re
from collections.abc import Iterator

from launchers import finetune, pretrain
from launchers.benchmarks import options as bench
from launchers.cli import build_parser
from launchers.verbs import SUMMARIES

SCRIPTS = {"pretrain": pretrain, "finetune": finetune, "bench": bench}


def pages() -> dict[str, str]:
    """Pages by path; those of the verbs, of the verbs' own verbs, and of the scripts."""
    os.environ["COLUMNS"] = "82"  # argparse folds usage lines at the terminal's width
    made = {"reference/console/index.md": _overview()}
    for verb in SUMMARIES:
        made |= _pages_of(verb, _choices(build_parser(verb))[verb])
    for name, module in SCRIPTS.items():
        parser = module.build_parser()
        parser.prog = f"launchers/{name}.py"
        made |= _pages_of(f"{name}-py", parser)
    return made


def _pages_of(name: str, parser: argparse.ArgumentParser) -> dict[str, str]:
    made = {f"reference/console/{name}.md": _page(name, parser)}
    for inner, inner_parser in _choices(parser).items():
        made[f"reference/console/{name}-{inner}.md"] = _page(f"{name}-{inner}", inner_parser)
    return made


def _overview() -> str:
    rows = "\n".join(f"| [`{verb}`]({verb}.md) | {text} |" for verb, text in SUMMARIES.items())
    scripts = "\n".join(
        f"| [`launchers/{name}.py`]({name}-py.md) | {_first_line(module.__doc__)} |"
        for name, module in SCRIPTS.items()
    )
    return (
        "# The console\n\n`foundation VERB --help` says what stands on these pages.\n\n"
        f"| verb | what it does |\n| --- | --- |\n{rows}\n\n"
        f"Scripts for `deepspeed`, `torchrun` or plain `python`:\n\n"
        f"| script | what it does |\n| --- | --- |\n{scripts}\n\n"
        "Exit codes: 0 success, 2 an error of yours (one line says what to do), 1 one of ours.\n"
    )


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _page(name: str, parser: argparse.ArgumentParser) -> str:
    parts = [f"# {parser.prog}", *_prose(parser.description)]
    usage = parser.format_usage()
    parts.append(_code(usage.replace("\n" + " " * 7, "\n").removeprefix("usage: ")))
    inner = _choices(parser).items()
    links = (f"- [`{each.prog}`]({name}-{verb}.md): {each.description}" for verb, each in inner)
    parts.append("\n".join(links))
    for group in parser._action_groups:  # no public way to them
        rows = [_row(parser, action) for action in group._group_actions if _shown(action)]
        if rows:
            kind = "argument" if group is parser._positionals else "option"
            parts.append("\n".join([f"| {kind} | meaning |", "| --- | --- |", *rows]))
    parts += _prose(parser.epilog)
    return "\n\n".join(filter(None, parts)) + "\n"


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _shown(action: argparse.Action) -> bool:
    return action.help is not argparse.SUPPRESS and not isinstance(
        action, (argparse._HelpAction, argparse._SubParsersAction)
    )


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    call = formatter._format_action_invocation(action)
    meaning = formatter._expand_help(action) if action.help else ""
    if action.required and action.option_strings:
        meaning += " (required)"
    # Bars within code do not end a cell.
    return f"| `{call}` | {_escaped(meaning).replace('|', '&#124;')} |"


def _prose(text: str | None) -> Iterator[str]:
    """Paragraphs as they are; indented blocks, such as examples, as code."""
    for block in re.split(r"\n\s*\n", (text or "").strip("\n")):
        head, *lines = block.split("\n")
        if head.startswith(" "):
            yield _code(block)
        elif lines and all(line.startswith(" ") for line in lines):
            yield head
            yield _code("\n".join(lines))
        elif block.strip():
            yield _escaped(block)


def _escaped(text: str) -> str:
    return re.sub(r"(?<!`)([<*_])", r"\\\1", text)


def _code(text: str) -> str:
    lines = text.rstrip().split("\n")
    least = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(["```text", *(line[least:] for line in lines), "```"])
