"""Types of arguments: what they give, and that nothing else comes through."""

import argparse

import pytest

from launchers.console.arguments import add_parser, key_value, not_negative, positive


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("007", 7), ("1_000", 1000), (" 3 ", 3)])
def test_whole_numbers_are_read(text, value):
    assert positive(text) == not_negative(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "many", "", "nan", "inf", "\x00"])
def test_what_is_not_positive_is_refused_with_what_came(text):
    with pytest.raises(argparse.ArgumentTypeError, match="not a positive whole number"):
        positive(text)


def test_zero_is_not_negative():
    assert not_negative("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="at least 0"):
        not_negative("-1")


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("a=1", ("a", 1)),
        ("a=x=y", ("a", "x=y")),
        ("axes=[x, y]", ("axes", ["x", "y"])),
        ("a=", ("a", None)),
        ("a = 1e-3", ("a", "1e-3")),  # YAML wants 1.0e-3 for a number
        ("a=true", ("a", True)),
    ],
)
def test_values_are_read_as_yaml(text, pair):
    assert key_value(text) == pair


@pytest.mark.parametrize("text", ["", "a", "=1", " =1", "a=[1", "a={", "a: 1"])
def test_what_is_no_pair_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        key_value(text)


def test_objects_do_not_come_out_of_yaml():
    with pytest.raises(argparse.ArgumentTypeError):
        key_value("a=!!python/object/apply:os.system ['true']")


def test_examples_are_printed_as_they_are_written(capsys):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(), "verb", "do it", "examples:\n  100 % of it\n")
    with pytest.raises(SystemExit):
        parser.parse_args(["verb", "--help"])
    text = capsys.readouterr().out
    assert "Do it." in text
    assert "examples:\n  100 % of it\n" in text
