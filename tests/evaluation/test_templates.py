"""Laws of templates: what is put in stays text, unless it is a drawing; nothing is left out."""

import re
from pathlib import Path

import matplotlib
import pytest
from jinja2 import UndefinedError
from markup import HOSTILE, Elements
from markupsafe import Markup
from matplotlib.figure import Figure

import evaluation
from evaluation.plots import STYLE, inline_svg
from evaluation.templates import templates

SHIPPED = sorted(Path(evaluation.__path__[0]).rglob("*.html"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text('<p title="{{ name }}">{{ name }}{{ drawing }}</p>')
    return tmp_path


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_a_name_in_text_and_attributes(folder: Path, name: str) -> None:
    page = Elements(templates(folder).get_template("page.html").render(name=name, drawing=""))
    assert page.tags == [("p", "title"), ("/p",)]
    assert page.values == [name]
    assert page.text == name


@pytest.mark.parametrize("name", HOSTILE)
def test_a_drawing_is_markup_in_which_names_are_text(folder: Path, name: str) -> None:
    def drawn(label: str) -> Markup:
        with matplotlib.rc_context(STYLE):
            figure = Figure()
            axes = figure.add_subplot()
            axes.plot([0, 1], label=label)
            axes.set_title(label)
            axes.set_xticks([0], [label])
            axes.legend()
            return inline_svg(figure, label)

    page = templates(folder).get_template("page.html")
    found = Elements(page.render(name="", drawing=drawn(name)))
    assert found.tags == Elements(page.render(name="", drawing=drawn("plain"))).tags
    assert found.text.count(name) == 3
    assert name in found.values  # its description
    lost = Elements(page.render(name="", drawing=str(drawn(name))))
    assert lost.tags == [("p", "title"), ("/p",)], "what is no drawing by its type is text"


def test_a_value_that_nobody_gave_is_an_error(folder: Path) -> None:
    with pytest.raises(UndefinedError, match="drawing"):
        templates(folder).get_template("page.html").render(name="a")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.parent.name}/{path.name}")
def test_no_template_turns_escaping_off(path: Path) -> None:
    assert not re.search(r"\|\s*safe\b|autoescape|xmlattr|Markup", path.read_text())
