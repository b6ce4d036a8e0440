"""Walk-forward: windows in time order, a test that nothing has seen, and folds that go on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, groupby, pairwise

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from stairways import cli, settings
from stairways.cli.folds import saturation_sentence
from stairways.core import events as e
from stairways.core.stairway import Programme, fold_windows
from stairways.core.values import Position, StreamName
from stairways.errors import BarsRefusedError, NoSuchRunError, SettingsError
from stairways.market.bars import Bars
from stairways.market.canonical import encode_bars
from stairways.service.replay.run import replay_run
from stairways.service.stairway.evidence import invented_after
from stairways.service.stairway.journal import decoded
from stairways.service.stairway.plan import check_job
from stairways.service.stairway.run import run_stairway
from stairways.service.stairway.walk_forward import (
    Fold,
    fold_run,
    fold_to_come,
    place_of,
    walk_of,
)
from stairways.settings import Given
from stairways.store.contract import Context, Encoded, EventStore, Record
from stairways.store.memory import MemoryStore
from tests.log_content import content
from tests.small_run import NewJob, small_plan

FOLDS = {
    "stairway__folds": "2",
    "stairway__embargo": "5",
    "stairway__train_share": "0.5",
    "stairway__calibrate_share": "0.2",
    "stairway__targets": "0.7",
    "stairway__learning_rates": "3e-3",
    "statistics__random_policies": "5",
}


_NUMBERS = count()
_WALKED: list[MemoryStore] = []


def new_memory() -> MemoryStore:
    return MemoryStore(lambda: datetime(2026, 1, 5, tzinfo=UTC))


def train_fold(new_job: NewJob, store: EventStore, fold: int, **changes: str) -> None:
    own = {"stairway__fold": str(fold), "run__model": f"default-fold-{fold}"}
    run_stairway(new_job(store, fold_run("w", fold), **{**FOLDS, **own, **changes}))


def events_of(store: EventStore, run: str) -> Iterator[tuple[Position, e.Event]]:
    for record in store.read(stream=StreamName(f"run-{run}")):
        yield record.position, decoded(record)


@pytest.fixture
def walked(new_job: NewJob) -> MemoryStore:
    """Two folds, trained once and read by many tests."""
    if not _WALKED:
        store = new_memory()
        for fold in (1, 2):
            train_fold(new_job, store, fold)
        _WALKED.append(store)
    return _WALKED[0]


@given(
    first=st.integers(0, 500),
    usable=st.integers(400, 5_000),
    folds=st.integers(1, 12),
    embargo=st.integers(0, 40),
    share=st.floats(0.1, 0.6),
)
def test_every_window_lies_behind_those_before_it_with_the_embargo_between(
    first: int, usable: int, folds: int, embargo: int, share: float
) -> None:
    rows, tests = first + usable, []
    for fold in range(1, folds + 1):
        programme = Programme(
            folds=folds, fold=fold, embargo=embargo, train_share=share, calibrate_share=0.2
        )
        windows = list(fold_windows(first, rows, programme).by_name().values())
        for (_, end), (start, stop) in pairwise(windows):
            assert first <= end <= start <= stop <= rows
            assert start - end == embargo or start == stop
        assert len(windows) == 4
        tests.append(windows[-1])
    assert tests[-1][1] == rows
    for (_, end), (start, _) in pairwise(tests):
        assert end <= start
    assert len({end - start for start, end in tests}) == 1


def test_nothing_before_the_test_depends_on_its_bars(bars: Bars, new_job: NewJob) -> None:
    """The same run on bars that never happened from the test window on trains the same model."""
    one, other = new_memory(), new_memory()
    train_fold(new_job, one, 1)
    [start] = [x for _, x in events_of(one, "w-fold-1") if isinstance(x, e.RunStarted)]
    first = start.windows["test"][0]
    false = invented_after(bars, first - 1)
    false = replace(false, digest=other.put_blob(encode_bars(false)))
    job = new_job(
        other, "w-fold-1", **{**FOLDS, "stairway__fold": "1", "run__model": "default-fold-1"}
    )
    run_stairway(replace(job, bars=false))

    kinds = (e.StepTaken, e.PolicyUpdated, e.CycleFinished, e.EvaluationFinished)
    seen = [[x for _, x in events_of(s, "w-fold-1") if isinstance(x, kinds)] for s in (one, other)]
    tested = [
        [x.profit for _, x in events_of(s, "w-fold-1") if isinstance(x, e.FoldTestFinished)]
        for s in (one, other)
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) > 240
    assert tested[0] != tested[1]


def test_the_served_model_is_tested_once_and_learns_nothing_from_it(walked: MemoryStore) -> None:
    for fold in (1, 2):
        story = list(events_of(walked, f"w-fold-{fold}"))
        [at] = [place for place, event in story if isinstance(event, e.FoldTestStarted)]
        started = next(event for place, event in story if place == at)
        assert isinstance(started, e.FoldTestStarted)
        promoted = [
            decoded(record)
            for record in walked.read(stream=StreamName(f"model-default-fold-{fold}"))
            if record.type == "ModelPromoted"
        ][-1]
        assert isinstance(promoted, e.ModelPromoted)
        assert started.parameters == promoted.parameters
        assert (started.base_margin, started.margin_spread) == (
            promoted.base_margin,
            promoted.margin_spread,
        )
        steered = [event for _, event in story if isinstance(event, e.EvaluationStarted)]
        assert started.setpoint == steered[-1].setpoint
        assert started.margin_reach in [one.margin_reach for one in steered]
        [result] = [event for _, event in story if isinstance(event, e.FoldTestFinished)]
        assert result.saturated is not None
        after = {type(event).__name__ for place, event in story if place > at}
        assert after == {
            "EvaluationStepTaken",
            "FoldTestFinished",
            "BaselinesMeasured",
            "SkillMeasured",
            "RunFinished",
        }


def test_folds_replay_clean_and_a_changed_test_result_is_named(walked: MemoryStore) -> None:
    report = replay_run(walked, "w-fold-2")
    assert report.clean
    assert report.levels[0].profits[-1].part.startswith("test of cycle")

    [at] = [r for r in walked.read() if r.type == "FoldTestFinished" and "2" in r.stream[-1]]
    said = orjson.loads(at.payload)
    said["profit"] = "0.5"
    forged = new_memory()
    _written(
        forged,
        walked,
        [
            r._replace(payload=orjson.dumps(said, option=orjson.OPT_SORT_KEYS)) if r == at else r
            for r in walked.read()
        ],
    )
    found = [(f.position, f.field) for f in replay_run(forged, "w-fold-2").levels[0].findings]
    assert found == [(at.position, "profit")]


def _written(to: MemoryStore, source: MemoryStore, records: Sequence[Record]) -> None:
    """Write records and all blobs of another log into an empty one."""
    for (stream, run), some in groupby(records, key=lambda r: (r.stream, r.correlation)):
        said = [Encoded(record.type, record.schema, record.payload) for record in some]
        context = Context(actor="test", correlation=run, append_id=f"copy-{next(_NUMBERS)}")
        to.append(stream, None, said, context)
    for digest in source._blobs:
        to.put_blob(source.get_blob(digest))


SINGLE = (
    "PolicyUpdated",
    "EvaluationFinished",
    "FoldTestStarted",
    "FoldTestFinished",
    "BaselinesMeasured",
    "SkillMeasured",
)
"""Events that are appended alone, so that a process may die right behind them."""


def test_a_fold_cut_off_anywhere_ends_like_one_never_cut(
    new_job: NewJob, walked: MemoryStore
) -> None:
    whole = new_memory()
    _written(whole, walked, [r for r in walked.read() if "fold-1" in r.stream])
    records = list(whole.read())
    cuts = [r.position for r in records if r.type in SINGLE]
    for cut in (cuts[3], *cuts[-7:]):
        store = new_memory()
        _written(store, walked, records[:cut])
        train_fold(new_job, store, 1)
        assert content(store) == content(whole)


def test_what_comes_next_is_read_from_the_runs(new_job: NewJob, walked: MemoryStore) -> None:
    store = new_memory()
    train_fold(new_job, store, 1)
    place = fold_to_come(store, "w-fold-1")
    assert place is not None
    assert (place.fold, place.folds, place.next_run) == (1, 2, "w-fold-2")
    assert fold_to_come(walked, "w-fold-1") is None
    assert fold_to_come(walked, "w-fold-2") is None
    assert place_of(walked, "w-fold-2") is not None


def test_the_summary_has_a_row_for_each_fold_and_one_conclusion(walked: MemoryStore) -> None:
    found = walk_of(walked, "w-fold-1")
    assert [fold.fold for fold in found.folds] == [1, 2]
    assert [fold.tried for fold in found.folds] == [2, 1]  # the second validates on the first's
    profits = [1 + (fold.profit or 0.0) for fold in found.folds]
    assert found.profit == pytest.approx(profits[0] * profits[1] - 1)
    ends = [(fold.first, fold.last) for fold in found.folds]
    assert ends[0][1] is not None
    assert ends[1][0] is not None
    assert ends[0][1] < ends[1][0]
    assert found.reason.startswith("no evidence of skill")


def test_a_test_in_which_an_actuator_saturated_for_long_is_named() -> None:
    folds = [
        Fold(fold=number, run=f"w-fold-{number}", status="finished", saturated=share)
        for number, share in ((1, None), (2, 0.31), (3, 0.09), (4, 0.1))
    ]
    assert list(saturation_sentence(folds)) == [
        (
            "An actuator was at its limit for long in the test of fold 2 (31% of decisions), "
            "4 (10% of decisions)."
        )
    ]
    assert list(saturation_sentence(folds[:1])) == []


def test_a_fold_without_a_promoted_model_is_not_tested(new_job: NewJob) -> None:
    store = new_memory()
    train_fold(new_job, store, 1, gates__hold_rate_error="0.0")
    found = walk_of(store, "w-fold-1")
    assert [fold.reason for fold in found.folds] == ["no model was promoted"]
    assert not found.skill
    assert replay_run(store, "w-fold-1").clean


def test_a_run_that_is_no_fold_has_no_walk(new_job: NewJob) -> None:
    store = new_memory()
    run_stairway(new_job(store, stairway__targets="0.7", stairway__learning_rates="1e-3"))
    with pytest.raises(NoSuchRunError, match="no fold of a walk-forward"):
        walk_of(store, "r1")


@pytest.mark.parametrize("folds", [9, 40, 1_000])
def test_more_folds_than_the_bars_have_room_for_are_refused(bars: Bars, folds: int) -> None:
    plan = small_plan(**{**FOLDS, "stairway__folds": str(folds)})
    with pytest.raises(BarsRefusedError, match=r"fold 1 of .* fewer folds"):
        check_job(bars, plan)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--bars", "a.csv", "--walk-forward", "0"), "0 is not in the range x>=1"),
        (("--bars", "a.csv", "--walk-forward", "many"), "'many' is not a valid integer"),
        (("--walk-forward", "3"), "--walk-forward begins runs: give --bars or --data as well."),
    ],
)
def test_a_walk_that_cannot_be_is_refused_in_one_sentence(
    arguments: tuple[str, ...], said: str
) -> None:
    result = CliRunner().invoke(cli.main, ["train", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("Error: ") == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stairway__folds": "2", "stairway__fold": "3"}, "fold 3 of 2 folds"),
        ({"stairway__fold": "1"}, "fold 1 of 0 folds"),
        (
            {
                "stairway__folds": "2",
                "stairway__train_until": "2010-01-01",
                "stairway__calibrate_until": "2011-01-01",
            },
            "walk-forward cuts by shares",
        ),
    ],
)
def test_settings_of_folds_that_contradict_each_other_are_refused(
    changes: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        small_plan(**changes)


def test_every_fold_has_a_model_of_its_own_and_the_same_settings_else() -> None:
    whole = settings.build([Given("stairway.folds", "3", "a test")])
    second = settings.for_fold(whole, 2)
    third = settings.for_fold(second, 3)
    assert (second.run.model, third.run.model) == ("default-fold-2", "default-fold-3")
    changed = {
        name
        for name, text in settings.flatten(third).items()
        if text != settings.flatten(whole)[name]
    }
    assert changed == {"run.model", "stairway.fold"}
    with pytest.raises(SettingsError, match=r"Fold 1 .* cannot be run"):
        settings.for_fold(settings.build([Given("run.model", "m" * 62, "a test")]), 1)
