"""Audits are audited: who asked the log what, as an event of the stream ``operator``."""

from collections.abc import Mapping

from stairways.core.events import AuditAsked
from stairways.core.values import Position, StreamName
from stairways.service.stairway.journal import encoded
from stairways.store.contract import Context, EventStore, Head

OPERATOR = StreamName("operator")
LONGEST = 2_000
"""Characters of an argument that are recorded."""


def record_asked(
    store: EventStore, head: Head, question: str, arguments: Mapping[str, object], context: Context
) -> Position:
    """Append that somebody asked ``question`` when the log stood at ``head``.

    Arguments that are None, empty or False are left out; long ones are cut.
    """
    event = AuditAsked(
        question=question,
        arguments={name: _text(value) for name, value in arguments.items() if _is_said(value)},
        size=head.size,
        root=head.root,
    )
    return store.append(OPERATOR, None, encoded([event]), context).last


def _is_said(value: object) -> bool:
    return value is not None and value is not False and value not in ((), "")


def _text(value: object) -> str:
    """Return an argument as text that any log can keep."""
    items = value if isinstance(value, tuple | list) else (value,)
    text = ", ".join(map(str, items)).encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
