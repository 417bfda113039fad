"""Laws of record files: every file is parsed once, and each is told for what it says it is."""

import json
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from board_records import TASKS, board_record, few_shot_runs, save_board_records
from routing_records import routing_record
from study_points import TASKS as STUDIED
from study_points import two_models

from data_shards.config import Config
from data_shards.errors import UserError
from evaluation.board.leaderboard import write_leaderboard
from evaluation.board.model_card import read_evidence
from evaluation.records.kinds import Kind, RecordFolder
from evaluation.records.results import RESULTS
from evaluation.routing.fingerprints import FINGERPRINT_FILES, save_fingerprints
from evaluation.routing.record import RoutingFile
from evaluation.routing.results import ROUTING
from evaluation.study.results import STUDIES
from evaluation.study.summary import summarise as summarise_study
from evaluation.transfer.record import summarise, write_json
from evaluation.transfer.results import RUNS, SWEEPS

TASK = TASKS["zero_shot_cfdbench"]


class Ladder(Config):
    """A kind that no program knows yet."""

    format: Literal["foundation-ladder"] = "foundation-ladder"
    rungs: tuple[int, ...]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of every kind that the board takes, and of two that it does not."""
    records = tmp_path / "records"
    (records / "below").mkdir(parents=True)
    save_board_records(records / "board.json", [board_record("a", 0.1, TASK)])
    runs = few_shot_runs(TASK)
    write_json(records / "transfer.json", summarise(runs))
    for name, run in runs.items():
        write_json(records / "below" / f"{name}.json", run)
    routing = routing_record(9)
    file = RoutingFile(routes_file="r.npz", records=(routing,))
    (records / "routing.json").write_text(file.model_dump_json())
    study = summarise_study("a study", STUDIED, two_models())
    (records / "study.json").write_text(study.model_dump_json())
    save_fingerprints(routing.fingerprints, records)
    (records / "ladder.json").write_text(Ladder(rungs=(1, 2)).model_dump_json())
    (records / "list.json").write_text("[]")
    return records


@pytest.fixture
def parsed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the text of every file has been parsed, from here on."""
    names = {path.read_text(): path.name for path in folder.rglob("*.json")}
    counts: Counter[str] = Counter()
    loads = json.loads

    def counted(text: str, **options: object) -> object:
        if text in names:
            counts[names[text]] += 1
        return loads(text, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(json, "loads", counted)
    return counts


def test_a_board_parses_every_file_once(folder: Path, parsed: Counter[str]) -> None:
    write_leaderboard(folder, folder.parent / "board")
    page = (folder.parent / "board" / "index.html").read_text()
    for chapter in ("zero_shot", "studies", "few-shot-curves", "routing"):
        assert f'<section id="{chapter}">' in page
    assert parsed == Counter(path.name for path in folder.rglob("*.json"))


def test_a_card_parses_every_file_once(folder: Path, parsed: Counter[str]) -> None:
    evidence = read_evidence(folder)
    assert [record.model.name for record in evidence.records] == ["a"]
    assert set(parsed.values()) == {1}


def test_kinds_are_told_apart(folder: Path) -> None:
    found = RecordFolder(folder)
    kinds = (RESULTS, ROUTING, SWEEPS, RUNS, STUDIES, FINGERPRINT_FILES)
    counts = [len(found.of(kind)) for kind in kinds]
    assert counts == [1, 1, 1, len(few_shot_runs(TASK)), 1, 1]
    assert [run.transfer.identity for run in found.of(RUNS)] == sorted(few_shot_runs(TASK))
    assert RESULTS.read(folder / "routing.json") is None
    assert ROUTING.read(folder / "list.json") is None


def test_a_kind_is_added_by_one_line(folder: Path) -> None:
    ladders = Kind(Ladder)
    assert RecordFolder(folder).files_of(ladders) == [
        (folder / "ladder.json", Ladder(rungs=(1, 2)))
    ]


def test_a_file_that_is_of_its_kind_by_its_place_need_not_say_so(folder: Path) -> None:
    path = folder / "fingerprints.json"
    found = FINGERPRINT_FILES.require(path)
    path.write_text(json.dumps(found.model_dump(mode="json", exclude={"format"})))
    assert FINGERPRINT_FILES.require(path) == found
    with pytest.raises(UserError, match=r"routing\.json: .*foundation-fingerprints"):
        FINGERPRINT_FILES.require(folder / "routing.json")


def test_what_no_run_writes_is_refused_by_its_kind_alone(folder: Path) -> None:
    def even(ladder: Ladder, where: str) -> None:
        if len(ladder.rungs) % 2 == 0:
            raise UserError(f"{where}: an even number of rungs")

    found = RecordFolder(folder)
    with pytest.raises(UserError, match=r"ladder\.json: an even number of rungs"):
        found.of(Kind(Ladder, even))
    assert len(found.of(RESULTS)) == 1


def test_a_damaged_file_is_named_with_its_remedy(folder: Path) -> None:
    path = folder / "below" / "cut.json"
    path.write_text('{"format": "foundation-evaluation", ')
    with pytest.raises(UserError, match=r"cut\.json: not readable as JSON: .*; fix or remove it"):
        RecordFolder(folder)
    with pytest.raises(UserError, match=r"cut\.json: not readable as JSON: .*; evaluate again"):
        RESULTS.read(path)
    with pytest.raises(UserError, match="no such folder of records"):
        RecordFolder(folder / "nowhere")
