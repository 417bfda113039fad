"""Every long option of every command line, by hyphens and by underscores."""

import argparse

import pytest
from parsers import walk

from launchers import finetune, pretrain
from launchers.benchmarks import options as bench
from launchers.cli import build_parser
from launchers.console.arguments import Parser
from launchers.verbs import SUMMARIES

ROOTS = {verb: lambda verb=verb: build_parser(verb) for verb in SUMMARIES}
ROOTS |= {f"{m.__name__}": m.build_parser for m in (pretrain, finetune, bench)}
# Of options with a type of their own; the first that is not the default is taken.
VALUES = ("7", "a=1", "0.25", "cpu")


def relaxed(root: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The same parser, asking for nothing but verbs."""
    for _, parser in walk(root):
        for action in parser._actions:
            if not isinstance(action, argparse._SubParsersAction):
                action.required = False
                action.nargs = "*" if not action.option_strings else action.nargs
    return root


def words_for(action: argparse.Action) -> list[str]:
    """A value that an option takes and that is not its default; none of a flag."""
    if action.nargs == 0:
        return []
    for value in map(str, action.choices or VALUES):
        try:
            taken = action.type(value) if callable(action.type) else value
        except (ValueError, argparse.ArgumentTypeError):
            continue
        if taken != action.default:
            return [value]
    raise AssertionError(f"{action.option_strings}: add a value that it takes to VALUES")


OPTIONS = [
    (root, path, name, action)
    for root, build in ROOTS.items()
    for path, parser in walk(build())
    for action in parser._actions
    for name in action.option_strings
    if "-" in name.removeprefix("--") and name.startswith("--")
]


def parsed(root: str, words: list[str]) -> dict:
    options, rest = relaxed(ROOTS[root]()).parse_known_args(words)
    assert rest == []
    return vars(options)


def test_options_are_declared_by_hyphens_by_parsers_that_take_both():
    assert len(OPTIONS) > 25
    for build in ROOTS.values():
        for path, parser in walk(build()):
            assert isinstance(parser, Parser), path
            assert not [n for a in parser._actions for n in a.option_strings if "_" in n], path


@pytest.mark.parametrize(
    ("root", "path", "name", "action"), OPTIONS, ids=[f"{o[0]} {o[2]}" for o in OPTIONS]
)
def test_both_spellings_mean_the_same(root, path, name, action):
    values, other = words_for(action), name[:2] + name[2:].replace("-", "_")
    said = parsed(root, [*path, name, *values])
    assert parsed(root, [*path, other, *values]) == said
    if values:
        assert parsed(root, [*path, f"{other}={values[0]}"]) == said
    assert said[action.dest] != parsed(root, [*path]).get(action.dest)


START = ["--preset", "nano", "--shards", "s", "--output", "o"]


def test_abbreviations_are_taken_in_both_spellings_too():
    said = pretrain.build_parser().parse_intermixed_args([*START, "--skip-checksums"])
    for short in ("--skip-ch", "--skip_ch", "--skip"):
        assert pretrain.build_parser().parse_intermixed_args([*START, short]) == said


def test_values_overrides_files_numbers_and_all_behind_two_dashes_stay_as_they_are():
    words = ["optimiser.weight_decay=0", "data.weights={a_b: 1}", "--local_rank=3"]
    options = pretrain.build_parser().parse_intermixed_args(
        ["--preset=my_preset", "--shards", "a_b-c", "--output=--o_o", *words]
    )
    assert options.overrides == words[:2]
    assert (options.preset, options.shards, str(options.output)) == ("my_preset", "a_b-c", "--o_o")
    assert options.local_rank == 3
    parser = Parser()
    parser.add_argument("--of-it", type=float)
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args(["--of_it", "-1.5", "-_x y", "--", "--of_it", "--of_it=2"])
    assert (options.of_it, options.rest) == (-1.5, ["-_x y", "--of_it", "--of_it=2"])


@pytest.mark.parametrize("name", ["--ep", "--ep_size", "--ep-size"])
def test_the_size_of_expert_parallelism_has_one_name_and_keeps_its_old_ones(name):
    plan = build_parser("plan").parse_args(["plan", "nano", name, "2"])
    assert plan.ep_size == (2,)
    run = pretrain.build_parser().parse_intermixed_args([*START, name, "2"])
    assert run.ep_size == 2


def test_an_unknown_option_is_still_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        pretrain.build_parser().parse_intermixed_args([*START, "--skip_sums"])
    assert "unrecognized arguments: --skip-sums" in capsys.readouterr().err


def test_an_unknown_verb_is_told_with_the_nearest(capsys):
    with pytest.raises(SystemExit):
        build_parser("predicct")
    assert "unknown verb 'predicct'; did you mean 'predict'?" in capsys.readouterr().err
