"""Laws of the page as a whole: what is on it follows from the records, and it fits its reader."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from string import Template
from typing import Any

import pytest
from board_records import (
    TASKS,
    board_picture,
    board_record,
    few_shot_runs,
    large_board,
    save_board_records,
)
from markup import HOSTILE, Elements
from routing_records import routing_record
from study_points import TASKS as STUDIED
from study_points import two_models

from data_shards.errors import UserError
from evaluation.board.board import build_board
from evaluation.board.groups import groups_of
from evaluation.board.leaderboard import write_leaderboard
from evaluation.board.page.elements import Name, models_of, row_styles
from evaluation.board.page.fields import Films, PicturedModel, films_of
from evaluation.board.page.routing import MOST_MODELS, routing_chapter
from evaluation.plots import FLOOR_COLOUR, MOST_LINES, PALETTE, Curve, draw_curves, readable
from evaluation.routing.record import RoutingFile
from evaluation.study.summary import summarise as summarise_study
from evaluation.tasks.task import Task
from evaluation.transfer.record import summarise, write_json

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
STUDY = Path(__file__).parents[3] / "evaluation" / "studies" / "quickstart"


def _tasks() -> list[Task]:
    """Some of every family, with a whole ladder."""
    starts = {"zero_shot_p": 2, "downstream_": 2, "shift_ns_viscosity": 12, "long_": 1}
    return [
        task
        for start, most in starts.items()
        for task in [task for name, task in TASKS.items() if name.startswith(start)][:most]
    ]


def _sweep(folder: Path, task: Task) -> None:
    """A sweep as its verb leaves it: summary, records, and every run's results file."""
    runs = few_shot_runs(task)
    write_json(folder / "transfer.json", summarise(runs))
    for name, run in runs.items():
        write_json(folder / "records" / f"{name}.json", run)
        (folder / "runs" / name).mkdir(parents=True)
        save_board_records(folder / "runs" / name / "results.json", [run.record])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every chapter there is."""
    records = tmp_path_factory.mktemp("everything")
    save_board_records(records / "board.json", large_board(_tasks()), board_picture(side=32))
    _sweep(records / "sweep", TASKS["zero_shot_cfdbench"])
    routing = RoutingFile(routes_file="r.npz", records=(routing_record(0), routing_record(9)))
    (records / "routing.json").write_text(routing.model_dump_json())
    output = tmp_path_factory.mktemp("page")
    write_leaderboard(records, output)
    return output / "index.html"


def _sections(page: Path) -> dict[str, str]:
    found = re.finditer(r'<section id="([^"]*)">(.*?)</section>', page.read_text(), re.DOTALL)
    return {match[1]: match[2] for match in found}


def test_a_colour_is_of_a_model_and_a_dash_of_a_seed() -> None:
    task = TASKS["zero_shot_cfdbench"]
    names = ["fno-seed0", "moe, seed 1", "moe, seed 0", "fno-seed1", "unet", "seedling"]
    records = [board_record(name, 0.1 + n / 100, task) for n, name in enumerate(names)]
    records.append(board_record("persistence", 0.9, task, floor=True))
    styles = row_styles(build_board(records))
    colours = {name: colour for name, (colour, _) in styles.items()}
    assert colours["fno-seed0"] == colours["fno-seed1"] != colours["moe, seed 0"]
    assert len(set(colours.values())) == 5
    assert styles["moe, seed 0"][1] != styles["moe, seed 1"][1]
    assert len(set(PALETTE)) == len(PALETTE)
    named = models_of([Name(label, style) for label, style in styles.items()])
    assert {name.label for name in named} == {"fno", "moe", "unet", "seedling", "persistence"}


def test_of_many_lines_seeds_of_a_model_become_their_mean_and_its_ends() -> None:
    few = [Curve(PALETTE[n % 6], "-", (0.1, 0.2)) for n in range(MOST_LINES)]
    assert readable(few) == few
    more = [Curve(PALETTE[n % 6], ("-", "--", ":")[n % 3], (1.0 + n, 2.0 + n)) for n in range(18)]
    drawn = readable([*more, *(Curve(FLOOR_COLOUR, dashes, (8.0, 9.0)) for dashes in ("--", ":"))])
    assert len(drawn) == 6 + 2
    own = [curve for curve in more if curve.colour == PALETTE[1]]
    (mean,) = (curve for curve in drawn if curve.colour == PALETTE[1])
    assert mean.errors[0] == pytest.approx(sum(curve.errors[0] for curve in own) / len(own))
    assert mean.ends == ((2, 3), (14, 15))
    assert drawn[-1] == Curve(FLOOR_COLOUR, ":", (8, 9))
    draw_curves(drawn, "many")


def test_the_page_has_a_section_per_group_and_a_chapter_per_kind_of_record(page: Path) -> None:
    sections = _sections(page)
    chapters = ["scaling", "shift", "few-shot-curves", "routing", "provenance"]
    assert list(sections)[-len(chapters) :] == chapters
    groups = list(sections)[: -len(chapters)]
    assert groups == ["zero_shot", "downstream", "ood-ns_viscosity", "rollout"]
    for group in groups:
        assert 'aria-label="L2RE against predicted frame' in sections[group]
        assert 'class="film"' in sections[group]
    links = re.findall(r'<a href="#([^"]*)"', page.read_text())
    assert set(links) <= set(sections)
    assert "exponent −0.2" in sections["scaling"]
    assert "from scratch" in sections["few-shot-curves"]
    assert sections["routing"].count('aria-label="Expert usage') == 2
    assert sections["routing"].count('aria-label="Emergence') == 1


def test_the_overview_has_size_and_cost_of_every_model(page: Path) -> None:
    text = page.read_text()
    overview = text[text.index("<nav") : text.index("<section")]
    row = overview[overview.index("</svg>large") :]
    cells = re.findall(r'<td data-label="([^"]*)"[^>]*>([^<]*)</td>', row[: row.index("</tr>")])
    values = dict(cells)
    assert values["Rank"] == "1"
    assert values["Parameters"] == "489.0 M"
    assert values["Activated"] == "244.5 M"
    assert values["FLOPs per frame"] == "19.6 G"
    assert "Time per frame" not in values
    assert {"Zero-shot", "Downstream corpora", "Out of distribution"} <= set(values)


def test_runs_of_a_sweep_make_a_chapter_and_no_ranks(page: Path, tmp_path: Path) -> None:
    assert not re.search(r"<th scope=\"row\">[^/]*</svg>scratch-4", page.read_text())
    _sweep(tmp_path / "sweep", TASKS["zero_shot_cfdbench"])
    with pytest.raises(UserError, match="all records are of foundation transfer"):
        write_leaderboard(tmp_path / "sweep", tmp_path / "board")


def test_one_model_alone_has_no_curve_of_sizes_nor_of_shifts(tmp_path: Path) -> None:
    save_board_records(tmp_path / "r.json", [board_record("a", 0.1, TASKS["zero_shot_cfdbench"])])
    write_leaderboard(tmp_path, tmp_path / "board")
    sections = _sections(tmp_path / "board" / "index.html")
    assert list(sections) == ["zero_shot", "notes", "provenance"]


def _bytes(films: Films) -> int:
    """Of their pictures in a page."""
    return sum(len(figure.film.strip.address) for figure in films.figures if figure.film)


def test_films_that_do_not_fit_are_drawn_coarser_and_then_left_out() -> None:
    tasks = [TASKS[f"zero_shot_{name}"] for name in ("cfdbench", "pdebench_dr", "pdebench_swe")]
    board = build_board([board_record("a", 0.1, task) for task in tasks])
    groups = groups_of(board)
    pictures = {task.name: PicturedModel("a", board_picture(side=128)) for task in tasks}
    fine = films_of(groups, pictures)["zero_shot"]
    assert (len(fine.figures), fine.left_out) == (3, 0)
    needed = _bytes(fine)
    coarse = films_of(groups, pictures, needed - 1)["zero_shot"]
    assert (len(coarse.figures), coarse.left_out) == (3, 0)
    taken = _bytes(coarse)
    assert taken < needed
    short = films_of(groups, pictures, taken - 1)["zero_shot"]
    assert (len(short.figures), short.left_out) == (2, 1)


def test_of_many_routers_those_trained_longest_are_drawn_and_all_are_named() -> None:
    records = [routing_record(step) for step in range(0, 10 * (MOST_MODELS + 2), 10)]
    chapter = routing_chapter(records)
    assert chapter is not None
    part = chapter.part
    assert len(part.figures) == 1 + MOST_MODELS
    assert part.figures[0].title == "Emergence"
    assert part.table is not None
    assert len(part.table.rows) == len(records)
    assert f"{MOST_MODELS} longest trained" in part.lead
    assert routing_chapter([]) is None


def test_the_recorded_study_still_makes_a_board(tmp_path: Path) -> None:
    """The very table that lies beside the records."""
    board = write_leaderboard(STUDY, tmp_path)
    assert [row.rank for row in board.rows] == [1, None, None]
    made = (tmp_path / "leaderboard.md").read_text()
    assert made == (STUDY / "leaderboard.md").read_text()


def _named(folder: Path, names: tuple[str, ...]) -> str:
    """The page of a board, a sweep, routes and a study that are all of these names."""
    first, second, corpus, title = names
    base = TASKS["zero_shot_cfdbench"]
    tasks = [base, base.model_copy(update={"name": "zero_shot_foreign", "corpus": corpus})]
    models = ((first, 0.1, 3000), (second, 0.2, 2000))
    records = [board_record(n, v, task, size=s) for n, v, s in models for task in tasks]
    records += [board_record("persistence", 0.4, task, floor=True) for task in tasks]
    save_board_records(folder / "board.json", records, board_picture(side=16))
    runs = {
        name: run.model_copy(
            update={"transfer": run.transfer.model_copy(update={"checkpoint": title})}
        )
        for name, run in few_shot_runs(base).items()
    }
    write_json(folder / "sweep.json", summarise(runs))
    model = routing_record(9).model.model_copy(update={"name": first})
    routed = routing_record(9).model_copy(update={"model": model})
    file = RoutingFile(routes_file="r.npz", records=(routed,))
    (folder / "routing.json").write_text(file.model_dump_json())
    points = [
        point.model_copy(update={"model": {"sparse": first, "dense": second}[point.model]})
        for point in two_models()
    ]
    study = summarise_study(title, STUDIED, points)
    (folder / "study.json").write_text(study.model_dump_json())
    write_leaderboard(folder, folder / "out")
    return (folder / "out" / "index.html").read_text()


def test_no_name_makes_markup(tmp_path: Path) -> None:
    """The elements of the page are the same, whatever things are called."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "hostile").mkdir()
    plain = Elements(_named(tmp_path / "plain", ("first", "second", "third", "fourth")))
    hostile = Elements(_named(tmp_path / "hostile", HOSTILE))
    assert hostile.tags == plain.tags
    for name in HOSTILE:
        assert name in hostile.text or any(name in value for value in hostile.values), name
    assert hostile.tags.count(("script",)) == 1


_PROBE = """<script>addEventListener("load", () => {
for (const fold of document.querySelectorAll("details")) fold.open = true;
const film = document.querySelector(".film"), slider = film.querySelector("input");
const drawn = () => film.querySelector("img").getBoundingClientRect().top;
const last = drawn();
slider.value = 0;
slider.dispatchEvent(new Event("input"));
const root = document.scrollingElement;
parent.report({
  inner: innerWidth, scroll: root.scrollWidth, client: root.clientWidth,
  moved: drawn() - last, height: film.querySelector(".window").clientHeight,
  clock: film.querySelector("output").value, hidden: slider.hidden,
  fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
});
});</script></body>"""
# In a frame of its own: windows of this browser are at least 500 pixels wide.
_READER = """<!doctype html><pre id="seen"></pre><script>
function report(seen) { document.getElementById("seen").textContent = JSON.stringify(seen); }
</script><iframe width="$width" height="900" style="border:0" srcdoc="$page"></iframe>"""


def _browse(page: Path, width: int, folder: Path) -> dict[str, Any]:
    """What a reader of a given width sees of the page, with everything folded out."""
    assert CHROMIUM is not None
    reader = folder / "reader.html"
    probed = html.escape(page.read_text().replace("</body>", _PROBE))
    reader.write_text(Template(_READER).substitute(width=width, page=probed))
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --dump-dom"
    found = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={folder / 'profile'}", reader.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    seen = re.search(r'<pre id="seen">(.+?)</pre>', found.stdout, re.DOTALL)
    assert seen is not None, found.stderr[-2000:]
    values: dict[str, Any] = json.loads(html.unescape(seen[1]))
    return values


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_scrolls_the_page_in_one_direction_only(
    page: Path, width: int, tmp_path: Path
) -> None:
    seen = _browse(page, width, tmp_path)
    assert seen["inner"] == width
    assert seen["scroll"] <= seen["client"]
    assert seen["fetched"] == []
    assert not seen["hidden"]
    assert seen["clock"] == "frame 2"
    # From the last of four frames to the first; browsers place things to 1/64 of a pixel.
    assert seen["moved"] == pytest.approx(3 * seen["height"], abs=1.5)
