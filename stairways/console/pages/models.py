"""Models: what is served under each name, and what was promoted and taken back, when and why."""

from starlette.responses import Response

from stairways.console.desk import Call, Page
from stairways.console.questions import AFTER, BEFORE, FORMAT
from stairways.core import events as e
from stairways.core.projections import ModelState
from stairways.errors import NoSuchEventError, UnknownEventError
from stairways.readmodels.batch import MODEL_STREAM, decoded
from stairways.readmodels.rows import model_row
from stairways.service.audit import browsing
from stairways.service.audit.searching import Wanted
from stairways.service.tabular import Cell, Row
from stairways.store.contract import Record

TURNS = ("ModelPromoted", "ModelRolledBack", "CycleVerdict", "GateOverridden")
KEYS = (
    "model", "served", "served_run", "served_cycle", "profit", "promotions", "rejections",
    "rollbacks", "overrides", "updates", "base_margin", "margin_spread", "served_state",
)  # fmt: skip
SAID = ("run", "cycle", "parameters", "reason", "by", "promoted")
TURN_KEYS = ("position", "recorded_at", "type", "run", "cycle", "parameters", "reason", "by")


def list_models(call: Call) -> Response:
    """List models with what each serves, and the newest turns of all of them."""
    models = call.desk.overview.models()
    if call.asked["format"]:
        return call.rows("models", [model_row(name, state) for name, state in models], KEYS)
    found = browsing.page(call.desk.store, Wanted(types=TURNS), rows=20)
    return call.page("models.html", models=models, turns=list(map(turn, found.records)))


def show_model(call: Call) -> Response:
    """Show what was promoted, rejected and taken back under one name, newest first."""
    name = call.path("model")
    state = _state(call, name)
    found = browsing.page(
        call.desk.store,
        Wanted(stream=f"{MODEL_STREAM}{name}", types=TURNS),
        before=call.asked["before"],
        after=call.asked["after"],
    )
    turns = list(map(turn, found.records))
    if call.asked["format"]:
        return call.rows(f"model-{name}", turns, TURN_KEYS)
    return call.page("model.html", name=name, state=state, found=found, turns=turns)


def turn(record: Record) -> Row:
    """Return what a turn in a model's life says, in the same words for every kind."""
    row: dict[str, Cell] = {**dict.fromkeys(SAID), **record._asdict()}
    try:
        event = decoded(record)
    except UnknownEventError as error:
        return {**row, "reason": str(error)}
    said: dict[str, Cell] = {name: getattr(event, name, None) for name in ("run", "cycle")}
    match event:
        case e.ModelPromoted():
            said |= {"parameters": event.parameters, "reason": f"return {event.profit:+.2%}"}
        case e.ModelRolledBack():
            said |= {"parameters": event.parameters, "reason": event.reason, "by": event.by}
        case e.CycleVerdict():
            said |= {"reason": event.reason, "promoted": event.promoted}
        case e.GateOverridden():
            said |= {"reason": event.why, "by": event.who, "promoted": event.promoted}
    return {**row, **said}


def _state(call: Call, name: str) -> ModelState:
    for known, state in call.desk.overview.models():
        if known == name:
            return state
    raise NoSuchEventError(f"There is no model {name[:80]} in this log.")


PAGES = (
    Page("/models", list_models, "Models and what they serve", (FORMAT,)),
    Page("/models/{model}", show_model, "A model's promotions", (BEFORE, AFTER, FORMAT)),
)
