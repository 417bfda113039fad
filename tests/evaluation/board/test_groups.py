"""Laws of the groups of a board: every column in one of them, ladders by their parameter."""

from board_records import TASKS, board_record, large_board

from data_shards.catalogue import load_ladder
from evaluation.board.board import build_board
from evaluation.board.groups import families_of, groups_of, mean_rank_in, rows_in
from evaluation.records.record import Record

LADDER = "ns_viscosity"
RUNGS = load_ladder(LADDER).rung_names()


def _records(*names: str, floor: bool = True) -> list[Record]:
    records = []
    for name in names:
        records.append(board_record("model", 0.1, TASKS[name]))
        if floor:
            records.append(board_record("persistence", 0.2, TASKS[name], floor=True))
    return records


def test_every_column_of_all_known_tasks_stands_in_one_group() -> None:
    board = build_board(large_board(list(TASKS.values())))
    groups = groups_of(board)
    placed = [column.task.name for group in groups for column in group.columns]
    assert sorted(placed) == [column.task.name for column in board.columns]
    anchors = [group.anchor for group in groups]
    assert len(set(anchors)) == len(anchors)
    families = list(families_of(groups))
    told = ["zero_shot", "downstream", "ood", "bands", "bands_shift", "rollout", "few_shot"]
    apart = ["boxes", "constrained", "grid", "ground_state", "ground_state_shift", "latents"]
    last = ["pdearena_conditioned", "reconstruction", "stability", "steady", "steady_shift"]
    assert families == [*told, *apart, *last, "the_well"]
    for group in groups:
        titles = [column.title for column in group.columns]
        assert len(set(titles)) == len(titles)


def test_rungs_of_a_ladder_follow_its_parameter_in_a_group_of_their_own() -> None:
    names = [f"shift_{corpus}" for corpus in RUNGS if f"shift_{corpus}" in TASKS]
    board = build_board(_records("zero_shot_cfdbench", *reversed(names)))
    zero_shot, ladder = groups_of(board)
    assert zero_shot.ladder is None
    assert (ladder.family, ladder.ladder) == ("ood", LADDER)
    assert [f"shift_{column.title}" for column in ladder.columns] == names


def test_a_task_of_several_groups_stands_in_the_first_and_one_of_none_last() -> None:
    task = TASKS["zero_shot_cfdbench"]
    several = task.model_copy(update={"groups": ("paper_table1", "zero_shot")})
    alone = TASKS["zero_shot_pdebench_dr"].model_copy(update={"groups": ()})
    own = TASKS["zero_shot_pdebench_swe"].model_copy(update={"groups": ("my_own",)})
    board = build_board([board_record("model", 0.1, task) for task in (alone, several, own)])
    groups = groups_of(board)
    assert [group.family for group in groups] == ["zero_shot", "my_own", ""]
    assert [group.title for group in groups] == ["Zero-shot", "My own", "Other tasks"]


def test_rows_of_a_group_are_those_judged_in_it_the_best_first_and_floors_last() -> None:
    first, second = TASKS["zero_shot_cfdbench"], TASKS["zero_shot_pdebench_dr"]
    board = build_board(
        [
            board_record("a", 0.1, first),
            board_record("b", 0.2, first),
            board_record("a", 0.4, second),
            board_record("b", 0.3, second),
            board_record("persistence", 0.5, second, floor=True),
            board_record("c", 0.9, first),
        ]
    )
    (group,) = groups_of(board)
    by_corpus = {column.title: column for column in group.columns}
    chosen = [by_corpus["pdebench_dr"]]
    rows = rows_in(board, chosen)
    assert [row.label for row in rows] == ["b", "a", "persistence"]
    assert [mean_rank_in(row, chosen) for row in rows] == [1.0, 2.0, None]
    assert [row.label for row in rows_in(board, group.columns)] == ["a", "b", "c", "persistence"]
