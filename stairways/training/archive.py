"""Archives of stable-baselines3, read without unpickling anything.

An archive is a zip file: ``policy.pth`` is itself a zip file of torch, with a pickle that
describes the tensors and a member with the numbers of each; ``data`` is JSON, in which
cloudpickles stand as base64 text that nobody here decodes to objects.
"""

import base64
import binascii
import io
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import orjson
from gymnasium import spaces

from stairways.errors import ModelRefusedError
from stairways.training.pickles import (
    NotTensorsError,
    StoredTensor,
    read_tensors,
    suspicious_names,
)

Arrays = dict[str, npt.NDArray[Any]]

LARGEST_MEMBER = 64 * 2**20
LARGEST_TOTAL = 128 * 2**20
MOST_MEMBERS = 256
LARGEST_RATIO = 200
"""How far a member may be packed; weights hardly can be."""

POLICY, DATA = "policy.pth", "data"
LARGEST_SPACE = 10_000


def read_archive(content: bytes, name: str) -> tuple[Arrays, Mapping[str, Any]]:
    """Return the parameters in an archive by name, and what ``data`` says in plain text.

    Raises ``ModelRefusedError``, which names the archive ``name`` and the reason.
    """
    members = _members(content, name)
    if POLICY not in members:
        raise ModelRefusedError(f"{name}: it holds no {POLICY}; is it an archive of SB3?")
    inside = _members(members[POLICY], f"{name}: {POLICY}")
    return _arrays(inside, f"{name}: {POLICY}"), _plain_text(members.get(DATA), name)


def stated_spaces(
    data: Mapping[str, Any],
) -> tuple[spaces.Box | None, gymnasium.Space[Any] | None]:
    """Return the spaces that ``data`` says in plain text; None for what it does not say."""
    return _stated_box(data.get("observation_space")), _stated_choices(data.get("action_space"))


def _members(content: bytes, name: str) -> Mapping[str, bytes]:
    """Return all members of a zip file, once every limit is kept."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive.infolist(), name)
            return {info.filename: _read(archive, info) for info in archive.infolist()}
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        UnicodeError,
        ValueError,
        OSError,
    ) as error:
        raise ModelRefusedError(f"{name}: it is no readable zip file: {error}.") from error


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return one member; what is longer than it says it is, is damaged."""
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename!r} is not as long as it says")
    return content


def _check(infos: list[zipfile.ZipInfo], name: str) -> None:
    """Refuse what no archive of a model has, before anything is unpacked."""
    names = [info.filename for info in infos]
    if len(names) > MOST_MEMBERS:
        raise ModelRefusedError(f"{name}: it has {len(names):,} members; {MOST_MEMBERS} at most.")
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise ModelRefusedError(f"{name}: it has two members named {twice!r}.")
    if sum(info.file_size for info in infos) > LARGEST_TOTAL:
        raise ModelRefusedError(f"{name}: unpacked it would be over {LARGEST_TOTAL:,} bytes.")
    for info in infos:
        reason = _fault(info)
        if reason:
            raise ModelRefusedError(f"{name}: its member {info.filename!r} {reason}.")


def _fault(info: zipfile.ZipInfo) -> str:
    """Return what is wrong with a member, or nothing."""
    path, mode = PurePosixPath(info.filename), info.external_attr >> 16
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", info.filename):
        return "has a name that leads elsewhere"
    if mode and not (stat.S_ISREG(mode) or stat.S_IFMT(mode) == 0):
        return "is no plain file"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.file_size > LARGEST_MEMBER:
        return f"would be {info.file_size:,} bytes unpacked"
    if info.file_size > LARGEST_RATIO * max(info.compress_size, 64):
        return f"is packed more than {LARGEST_RATIO}-fold"
    return ""


def _arrays(members: Mapping[str, bytes], name: str) -> Arrays:
    """Return the tensors in the members of torch's zip file."""
    described = [one for one in members if one.endswith("/data.pkl")]
    if len(described) != 1:
        raise ModelRefusedError(f"{name}: it is no file of torch: it has no data.pkl.")
    folder = described[0].removesuffix("data.pkl")
    if members.get(f"{folder}byteorder", b"little") != b"little":
        raise ModelRefusedError(f"{name}: its numbers are not little-endian.")
    try:
        tensors = read_tensors(members[described[0]])
        return {tensor: _array(place, members, folder) for tensor, place in tensors.items()}
    except NotTensorsError as error:
        raise ModelRefusedError(f"{name}: its pickle is not one of tensors: {error}.") from error


def _array(place: StoredTensor, members: Mapping[str, bytes], folder: str) -> npt.NDArray[Any]:
    content = members.get(f"{folder}data/{place.key}")
    if content is None:
        raise NotTensorsError(f"the numbers {place.key} are missing")
    if len(content) != place.stored * np.dtype(place.dtype).itemsize:
        raise NotTensorsError(f"the numbers {place.key} are cut short or too many")
    numbers = np.frombuffer(content, dtype=place.dtype)[place.offset :]
    return numbers[: int(np.prod(place.shape, dtype=np.int64))].reshape(place.shape).copy()


def _plain_text(data: bytes | None, name: str) -> Mapping[str, Any]:
    """Return the JSON of ``data``, whose pickles stay text."""
    if data is None:
        return {}
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ModelRefusedError(f"{name}: its member 'data' is not JSON.") from error
    if not isinstance(said, dict):
        raise ModelRefusedError(f"{name}: its member 'data' is no JSON object.")
    for key, entry in said.items():
        _check_pickle(entry, f"{name}: {key!r} in its member 'data'")
    return said


def _check_pickle(entry: object, name: str) -> None:
    """Refuse an entry whose pickle would start something, were it ever loaded."""
    packed = entry.get(":serialized:") if isinstance(entry, dict) else None
    if packed is None:
        return
    try:
        names = list(suspicious_names(base64.b64decode(packed)))
    except (binascii.Error, TypeError, ValueError) as error:
        raise ModelRefusedError(f"{name} holds a damaged pickle.") from error
    if names:
        raise ModelRefusedError(f"{name} holds a pickle that calls {names[0]}.")


def _stated_box(said: object) -> spaces.Box | None:
    match said:
        case {":type:": str(kind), "_shape": [int(size)]} if kind.endswith(".Box'>"):
            return spaces.Box(-np.inf, np.inf, (size,)) if 0 < size < LARGEST_SPACE else None
        case _:
            return None


def _stated_choices(said: object) -> gymnasium.Space[Any] | None:
    """Return an action space that is written out, such as ``"n": "9"`` or ``"[3 3 3]"``."""
    match said:
        case {":type:": str(kind), "n": n} if kind.endswith(".Discrete'>"):
            numbers = _numbers(n)
            return spaces.Discrete(numbers[0]) if len(numbers) == 1 else None
        case {":type:": str(kind), "nvec": many} if kind.endswith(".MultiDiscrete'>"):
            numbers = _numbers(many)
            return spaces.MultiDiscrete(numbers) if numbers else None
        case _:
            return None


def _numbers(said: object) -> list[int]:
    """Return the positive whole numbers in a text, if there are no more than make sense."""
    numbers = [int(one) for one in re.findall(r"\d{1,9}", str(said)[:LARGEST_SPACE])]
    return numbers if all(numbers) and sum(numbers) < LARGEST_SPACE else []
