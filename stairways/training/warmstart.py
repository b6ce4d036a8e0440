"""Parameters to start from: a file somebody brings, checked before anything is done with it.

Only the parameters of the network are taken, never an optimiser, a generator or code.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import safetensors.numpy
from gymnasium import spaces
from safetensors import SafetensorError

from stairways.env.spaces import FEATURES, PAIR, action_space, check_spaces, observation_space
from stairways.errors import ModelRefusedError, SpaceMismatchError
from stairways.training.archive import read_archive, stated_spaces

Arrays = dict[str, npt.NDArray[Any]]

LARGEST_FILE = 64 * 2**20
SUFFIXES = (".safetensors", ".zip")
FIRST, LAST = "mlp_extractor.policy_net.0.weight", "action_net.weight"
CHOICES = 3


def read_model(file: Path, symbols: int, hidden: tuple[int, ...]) -> bytes:
    """Return the parameters in ``file`` as safetensors, fit for a network of this shape.

    ``file`` is safetensors or an archive of stable-baselines3, which is read without
    unpickling. Raises ``ModelRefusedError`` or ``SpaceMismatchError`` in one sentence that
    names file and reason.
    """
    name, content = file.name, _content(file)
    said: Mapping[str, Any] = {}
    if file.suffix == ".zip":
        arrays, said = read_archive(content, name)
    else:
        arrays = _safetensors(content, name)
    return fit(arrays, name, symbols, hidden, stated_spaces(said))


def fit(
    arrays: Arrays,
    name: str,
    symbols: int,
    hidden: tuple[int, ...],
    stated: tuple[spaces.Box | None, gymnasium.Space[Any] | None] = (None, None),
) -> bytes:
    """Return parameters as safetensors once names, shapes, numbers and spaces are right."""
    _check_spaces(arrays, name, symbols, stated)
    wanted = shapes(symbols, hidden)
    if set(arrays) != set(wanted):
        odd = sorted(set(arrays) ^ set(wanted))
        raise ModelRefusedError(f"{name}: the network has other parts than {hidden}: {odd[0]}.")
    for part, shape in wanted.items():
        if arrays[part].shape != shape:
            raise ModelRefusedError(
                f"{name}: {part} has the shape {arrays[part].shape}, this network {shape}; "
                "ppo.hidden says its layers."
            )
        if arrays[part].dtype != np.float32:
            raise ModelRefusedError(f"{name}: {part} is {arrays[part].dtype}, not float32.")
        if not np.isfinite(arrays[part]).all():
            raise ModelRefusedError(f"{name}: {part} holds a number that is not finite.")
    return safetensors.numpy.save(arrays)


def shapes(symbols: int, hidden: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of every parameter of SB3's MlpPolicy for ``symbols`` symbols."""
    sizes = ((FEATURES + 1) * symbols, *hidden)
    choices = CHOICES**PAIR if symbols == PAIR else CHOICES * symbols
    found: dict[str, tuple[int, ...]] = {}
    for net in ("policy", "value"):
        for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
            part = f"mlp_extractor.{net}_net.{2 * layer}"
            found |= {f"{part}.weight": (outputs, inputs), f"{part}.bias": (outputs,)}
    for part, outputs in (("action_net", choices), ("value_net", 1)):
        found |= {f"{part}.weight": (outputs, sizes[-1]), f"{part}.bias": (outputs,)}
    return found


def _content(file: Path) -> bytes:
    if file.suffix not in SUFFIXES:
        raise ModelRefusedError(f"{file.name}: a model is {' or '.join(SUFFIXES)}.")
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ModelRefusedError(f"{file.name} cannot be read: {error.strerror}.") from error
    if len(content) > LARGEST_FILE:
        raise ModelRefusedError(f"{file.name}: it has more than {LARGEST_FILE:,} bytes.")
    return content


def _safetensors(content: bytes, name: str) -> Arrays:
    try:
        return dict(safetensors.numpy.load(content))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelRefusedError(f"{name}: it is no safetensors file: {error}.") from error


def _check_spaces(
    arrays: Arrays,
    name: str,
    symbols: int,
    stated: tuple[spaces.Box | None, gymnasium.Space[Any] | None],
) -> None:
    """Refuse a model with other spaces, by what it says and by the shapes of its weights."""
    first, last = arrays.get(FIRST), arrays.get(LAST)
    if first is None or last is None or first.ndim != PAIR or last.ndim != PAIR:
        raise ModelRefusedError(f"{name}: it has no {FIRST} and {LAST}; is it an MlpPolicy?")
    seen, done = _spaces_of(first.shape[1], last.shape[0])
    try:
        check_spaces(symbols, stated[0] or seen, done if stated[1] is None else stated[1])
        check_spaces(symbols, seen, done)
    except SpaceMismatchError as error:
        raise SpaceMismatchError(f"{name}: {error}") from error


def _spaces_of(inputs: int, outputs: int) -> tuple[spaces.Box, gymnasium.Space[Any]]:
    """Return the spaces that the shapes of the first and the last weight tell of."""
    symbols = inputs // (FEATURES + 1)
    box = spaces.Box(-np.inf, np.inf, (inputs,), np.float32)
    if inputs and observation_space(max(symbols, 1)) == box:
        ours = action_space(symbols)
        if outputs == (CHOICES**PAIR if symbols == PAIR else CHOICES * symbols):
            return box, ours
    return box, spaces.Discrete(max(outputs, 1))
