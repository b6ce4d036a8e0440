"""Write a golden sample of every event version that has none yet: ``python -m ops.golden_samples``.

Samples that are there are never touched: an old one must read for ever.
"""

import dataclasses
import hashlib
import types
import typing
from datetime import UTC, datetime
from pathlib import Path

from stairways import codec

FOLDER = Path(__file__).parents[1] / "tests" / "golden"
DIGEST = hashlib.sha256(b"test").hexdigest()
REALS = (0.1, -1e-07, 1 / 3, 5e-324, 1e300, -0.0)


def sample_value(hint: typing.Any, name: str, number: int) -> object:  # noqa: ANN401 - a type hint
    """Return a value for a field of that annotation, different by ``number``."""
    if hasattr(hint, "__supertype__"):
        inner = hint.__supertype__
        return DIGEST if hint.__name__ == "Digest" else sample_value(inner, name, number)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        length = 2 if Ellipsis in arguments else len(arguments)
        return tuple(sample_value(arguments[0], name, number + extra) for extra in range(length))
    if origin in (types.UnionType, typing.Union):
        inner = next(kind for kind in arguments if kind is not types.NoneType)
        return sample_value(inner, name, number)
    if origin is not None:
        return {key: sample_value(arguments[1], name, number) for key in ("alpha", "beta")}
    plain: dict[type, object] = {
        int: 1000 + number if number % 2 else -(10**12) - number,
        float: REALS[number % len(REALS)],
        bool: bool(number % 2),
        str: f'{name} "ä☃"',
        datetime: datetime(2026, 1, 7, 14, 30, 0, number, tzinfo=UTC),
    }
    return plain[hint]


def sample(event: type) -> bytes:
    """Return the canonical bytes of a made-up event of that class."""
    hints = typing.get_type_hints(event)
    fields = enumerate(dataclasses.fields(event))
    values = {field.name: sample_value(hints[field.name], field.name, n) for n, field in fields}
    return codec.encode(event(**values))


def main() -> None:
    """Write what is missing, and the digests of all."""
    for event, (name, schema) in codec.SCHEMAS.items():
        file = FOLDER / f"{name}.{schema}.json"
        if not file.exists():
            file.write_bytes(sample(event))
            print(f"wrote {file.name}")
    files = sorted(FOLDER.glob("*.json"))
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (FOLDER / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main()
