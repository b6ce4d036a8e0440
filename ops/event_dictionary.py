"""Write docs/events.md, the dictionary of every event, from the source of the events.

Run it after changing an event: ``python -m ops.event_dictionary > docs/events.md``. A field's
meaning is the comment behind it in ``core``; fields that mean the same everywhere
are explained once, here.
"""

import ast
import inspect
import tokenize
import typing
from collections.abc import Iterator
from io import StringIO
from typing import NamedTuple

from stairways.codec import SCHEMAS

HEADER = """# Events

Everything Stairways does is an event in the log; this is what each of them says. The text is
made from `stairways/core/events/` by `ops/event_dictionary.py`, and a test fails when it is not
up to date.

How values are written (canonical JSON, RFC 8785):

| type | in the payload |
|---|---|
| whole | a JSON number without a fraction, at most 2**53 - 1 |
| micros | whole millionths of a US dollar |
| shares | whole shares; negative when sold or short |
| real | text: the shortest decimal that reads back the same 64 bits |
| time | text: UTC to the microsecond, `2026-01-07T14:30:00.000000Z` |
| digest | text: SHA-256 as 64 hexadecimal digits; names a blob or a content |
| position | whole: the place of an event in the log |
| … of each | an array; tuples by symbol follow the order of `DataRegistered.symbols` |

Who wrote an event, when, in which stream and why stand in the record around it:
`stairways audit show POSITION` prints both.
"""

COLUMNS = "| field | type | meaning |\n|---|---|---|\n"

TYPES = {
    "int": "whole",
    "float": "real",
    "str": "text",
    "bool": "truth value",
    "datetime": "time",
    "Digest": "digest",
    "Micros": "micros",
    "Position": "position",
    "Shares": "shares",
    "StreamName": "text",
}

MEANINGS = {
    "action": "base-3 digits, first symbol highest: 0 sell, 1 hold, 2 buy",
    "adjustment": "`raw`, `splits` or `splits+dividends`",
    "approximate_kl": "mean of (ratio - 1) - log ratio over the update",
    "attempt": "attempt at the cycle, from 1",
    "authority": "how many spreads of margins the controller's output 1 moves the margin",
    "bar": "row of the registered bars",
    "bar_time": "start of the bar",
    "base_margin": "m0: the margin that gives the target on the calibration window",
    "blocking": "whether failing it rejects the cycle",
    "borrow": "paid for shorts in this step",
    "calendar": "exchange calendar of the sessions",
    "cash": "cash afterwards",
    "checked": "comparisons made",
    "clip_fraction": "share of samples whose probability ratio was clipped",
    "clipped": "per symbol, whether the order met a limit and was cut",
    "code_digest": "SHA-256 over the names and contents of the program's source files",
    "code_version": "version of Stairways",
    "costs": "per symbol, commission, ticket and impact",
    "cycle": "number of the cycle, from 1",
    "cycles": "cycles that have a verdict",
    "data": "digest of the bars",
    "decisions": "decisions taken on validation bars",
    "detail": "one sentence",
    "divergence": "distance of the parameters from the reference, relative to its length",
    "drawdown": "deepest loss from a peak, as a share of the peak",
    "drawdown_penalty": "basis points",
    "effectiveness": "1 - |hold rate - target| / 0.35",
    "entropy": "mean entropy of the policy over actions",
    "equity": "cash plus positions at the close",
    "error": "clip(2 (target - hold rate), -1, 1): positive means too little holding",
    "evidence": "positions of the events it rests on",
    "explained_variance": "of the returns by the value estimates",
    "failed": "names of the gates that were not passed",
    "fast": "fast lane of the controller",
    "final_equity": "equity at the end of validation",
    "features": "digest of the blob that holds features and regime scores",
    "findings": "how many findings there were",
    "first": "start of the first bar",
    "first_bar": "first row of the bars",
    "first_field": "field of the first finding; empty if there is none",
    "first_position": "position of the first finding",
    "frequency": "`1m`, `5m`, `1h` or `1d`",
    "gate": "name of the gate",
    "gradient_norm": "mean length of the gradient before clipping",
    "hold_bonus": "basis points paid for holding",
    "hold_rate": "share of decisions that left every position alone",
    "holds": "decisions that left every position alone",
    "interest": "earned on cash in this step",
    "kind": "kind of the finding",
    "lane": "number of the environment lane, from 0",
    "last": "start of the last bar",
    "last_bar": "last row of the bars",
    "learning_rate": "of the optimiser",
    "level": "`ledger`, `policy` or `training`",
    "libraries": "name to version",
    "limit": "largest divergence allowed",
    "log_probability": "of the action under the policy that chose it",
    "log_return": "of equity over the step, basis points",
    "lots": "per symbol, whole lots held afterwards",
    "margin": "added to the logit of hold when this decision was made",
    "margin_spread": "s: standard deviation of the policy's margins on the calibration window",
    "model": "name of the model",
    "name": "name for people",
    "parameters": "digest of the policy's parameters",
    "parent": "digest of the parameters the attempt began from",
    "passed": "whether the value is within the threshold",
    "performance": "0.6 effectiveness + 0.4 (1 - |hold rate - target|)",
    "policy_loss": "mean over the minibatches of the update",
    "position": "of the event that named the state",
    "positions": "per symbol, shares held afterwards",
    "prices": "per symbol, at which an order was, or would have been, filled",
    "profit": "of the ledger, as a share of starting capital",
    "promoted": "whether the candidate became the served model",
    "reason": "one sentence",
    "recorded_profit": "profit the log states",
    "reference": "digest of the parameters divergence is measured from",
    "regime": "regime score of the bar, -3 to 3",
    "replayed_profit": "profit that replay computed",
    "reward": "what the learner saw, basis points",
    "risk_free": "what cash would have earned, basis points",
    "root": "RFC 6962 root over the records",
    "row": "row of the bars",
    "rows": "bars of each symbol",
    "run": "name of the run",
    "seed": "from which every generator is derived",
    "settings": "dotted name to value; read back with `--set`",
    "settings_digest": "digest of the canonical JSON of `settings`",
    "shares": "per symbol, bought; negative when sold",
    "sharpe": "annualised, of validation",
    "simulated": "whether the bars are simulated",
    "size": "events of the log that were covered",
    "slow": "slow lane of the controller",
    "start_equity": "equity at the start of validation",
    "state": "digest of the blob a run can continue from",
    "step": "number of the environment step, this one included",
    "steps": "environment steps",
    "symbol": "the symbol it concerns",
    "symbols": "in the order of every tuple by symbol",
    "target": "hold rate aimed at",
    "terminated": "whether the episode ended by the hard stop or ruin",
    "threshold": "limit of the gate",
    "time": "start of the bar",
    "timezone": "of the exchange",
    "trades": "fills on validation bars",
    "trades_per_day": "fills a session",
    "truncated": "whether the episode ended because bars or its length ran out",
    "update": "number of the update within the attempt, from 1",
    "value": "what was measured",
    "StepTaken.value": "what the policy expected of the state",
    "value_loss": "mean over the minibatches of the update",
    "verdict": "position of the verdict",
    "warm_start": "digest of the imported parameters, if any",
    "who": "name of the person",
    "why": "the person's reason",
    "win_rate": "share of round trips, flat to flat, that earned money",
}
"""What a field means wherever it occurs without a comment of its own."""


class Field(NamedTuple):
    """One field of an event, for the dictionary."""

    name: str
    type: str
    meaning: str


def dictionary() -> str:
    """Return the whole of docs/events.md."""
    return HEADER + "".join(_section(kind) for kind in SCHEMAS)


def fields_of(kind: type) -> Iterator[Field]:
    """Yield the fields of an event with what is said about each."""
    comments = comments_by_field(kind)
    for name, annotation in _annotations(kind).items():
        yield Field(name, _type(annotation), _meaning(kind, name, comments[name]))


def comments_by_field(kind: type) -> dict[str, str]:
    """Return for each field of a dataclass the comment behind it, or nothing."""
    comments = _comments(inspect.getsource(kind))
    return {name: comments.get(node.lineno, "") for name, node in _annotations(kind).items()}


def _annotations(kind: type) -> dict[str, ast.expr]:
    """Return the annotation of each field of a dataclass, from its source."""
    (made,) = ast.parse(inspect.getsource(kind)).body
    return {
        node.target.id: node.annotation
        for node in typing.cast("ast.ClassDef", made).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _section(kind: type) -> str:
    name, schema = SCHEMAS[kind]
    said = inspect.cleandoc(kind.__doc__ or "").replace("``", "`")
    head = f"\n## {name}\n\n{said}\n\nSchema version {schema}.\n\n{COLUMNS}"
    return head + "".join(
        f"| `{one.name}` | {one.type} | {one.meaning} |\n" for one in fields_of(kind)
    )


def _meaning(kind: type, name: str, comment: str) -> str:
    """Return what a field means, fit for a cell of a table."""
    meaning = comment or MEANINGS.get(f"{kind.__name__}.{name}") or MEANINGS.get(name, "")
    return meaning.replace("|", "\\|")


def _comments(source: str) -> dict[int, str]:
    """Return the comment on each line of ``source`` that has one."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _type(annotation: ast.expr) -> str:
    match annotation:
        case ast.Name(id=name):
            return TYPES[name]
        case ast.BinOp(left=some):
            return f"{_type(some)} or null"
        case ast.Subscript(value=ast.Name(id="Mapping"), slice=ast.Tuple(elts=[_, item])):
            return f"object, text to {_type(item)}"
        case ast.Subscript(slice=ast.Tuple(elts=[item, ast.Constant()])):
            return f"{_type(item)} of each"
        case ast.Subscript(slice=ast.Tuple(elts=items)):
            return f"array of {len(items)}: {_type(items[0])}"
        case _:
            raise TypeError(f"no words for {ast.unparse(annotation)}")


if __name__ == "__main__":
    print(dictionary(), end="")
