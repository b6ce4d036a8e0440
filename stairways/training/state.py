"""The complete state of training as one content-addressed blob, and back.

A blob is safetensors: every array under its name, and one metadata entry ``stairways`` with
canonical JSON for what is not an array. Nothing in it is ever unpickled. Equal states give
equal bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import safetensors.numpy
import torch
from safetensors import SafetensorError

from stairways.codec import Json, canonical
from stairways.core.values import Digest, digest_of
from stairways.env.lanes import Lanes
from stairways.errors import BlobMissingError
from stairways.training.learner import Float32, Learner

Arrays = dict[str, npt.NDArray[Any]]
META = "stairways"
PARAMETER, MOMENT, LANES = "parameter.", "adam.", "lanes."


@dataclass(frozen=True, slots=True)
class State:
    """Arrays by name, and the rest: generators and counters, all values JSON knows."""

    arrays: Arrays
    meta: Mapping[str, Json]


def capture(learner: Learner, lanes: Lanes) -> State:
    """Return everything the next rollout and update depend on."""
    arrays = {
        **_prefixed(PARAMETER, parameter_arrays(learner)),
        **_prefixed(MOMENT, _moments(learner)),
        **_prefixed(LANES, lanes.state()),
    }
    generators: dict[str, Json] = {
        "sampling": generator_state(learner.sampling),
        "shuffling": generator_state(learner.shuffling),
    }
    return State(arrays, {"format": 1, "generators": generators})


def restore(state: State, learner: Learner, lanes: Lanes | None = None) -> None:
    """Make ``learner`` and ``lanes`` what they were when ``state`` was captured."""
    load_parameters(learner, stripped(PARAMETER, state.arrays))
    _load_moments(learner, stripped(MOMENT, state.arrays))
    generators = state.meta["generators"]
    assert isinstance(generators, dict)  # noqa: S101 - format 1
    set_generator(learner.sampling, generators["sampling"])
    set_generator(learner.shuffling, generators["shuffling"])
    if lanes is not None:
        lanes.restore(stripped(LANES, state.arrays))


def pack(state: State) -> bytes:
    """Return the state as bytes; equal states give equal bytes."""
    contiguous = {
        name: np.ascontiguousarray(array).reshape(array.shape)
        for name, array in state.arrays.items()
    }
    return safetensors.numpy.save(contiguous, metadata={META: canonical(dict(state.meta)).decode()})


def unpack(content: bytes) -> State:
    """Return the state that ``content`` is; raises ``BlobMissingError`` if it is none."""
    try:
        arrays = safetensors.numpy.load(content)
        length = int.from_bytes(content[:8], "little")
        meta = orjson.loads(orjson.loads(content[8 : 8 + length])["__metadata__"][META])
    except (SafetensorError, KeyError, ValueError) as error:
        raise BlobMissingError(f"The blob is not a training state: {error}.") from error
    return State(arrays, meta)


def parameter_arrays(learner: Learner) -> Arrays:
    """Return the parameters of the network by name."""
    return {name: value.numpy().copy() for name, value in learner.policy.state_dict().items()}


def pack_parameters(learner: Learner) -> bytes:
    """Return the parameters alone as safetensors."""
    return safetensors.numpy.save(parameter_arrays(learner))


def unpack_parameters(content: bytes) -> Arrays:
    """Return the parameters in safetensors; raises ``BlobMissingError`` if it is none."""
    try:
        return dict(safetensors.numpy.load(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise BlobMissingError(f"The blob holds no parameters: {error}.") from error


def parameter_digest(learner: Learner) -> Digest:
    """Return the digest that names the parameters alone."""
    return digest_of(pack_parameters(learner))


def load_parameters(learner: Learner, arrays: Arrays) -> None:
    """Give the network these parameters; every name and shape must match."""
    learner.policy.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in arrays.items()})


def parameter_vector(state: State, learner: Learner) -> Float32:
    """Return the parameters in ``state`` as one vector, in the order of the network."""
    names = [PARAMETER + name for name, _ in learner.policy.named_parameters()]
    return np.concatenate([state.arrays[name].ravel() for name in names])


def generator_state(generator: np.random.Generator) -> dict[str, Json]:
    """Return a PCG64 generator's state; its 128-bit numbers are hexadecimal text."""
    state = generator.bit_generator.state
    inner = {key: f"{value:032x}" for key, value in state["state"].items()}
    return {
        "kind": state["bit_generator"],
        **inner,
        "has": state["has_uint32"],
        "left": state["uinteger"],
    }


def set_generator(generator: np.random.Generator, stored: Json) -> None:
    """Put a PCG64 generator into a stored state."""
    assert isinstance(stored, dict)  # noqa: S101 - format 1
    generator.bit_generator.state = {
        "bit_generator": stored["kind"],
        "state": {key: int(str(stored[key]), 16) for key in ("state", "inc")},
        "has_uint32": stored["has"],
        "uinteger": stored["left"],
    }


def _moments(learner: Learner) -> Arrays:
    """Return Adam's step and moments by parameter number; empty before the first update."""
    entries = learner.policy.optimizer.state_dict()["state"]
    return {f"{i}.{key}": v.numpy().copy() for i, e in entries.items() for key, v in e.items()}


def _load_moments(learner: Learner, arrays: Arrays) -> None:
    optimizer = learner.policy.optimizer
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        number, _, key = name.partition(".")
        entries.setdefault(int(number), {})[key] = torch.from_numpy(array.copy())
    optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})


def _prefixed(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return {prefix + name: array for name, array in arrays.items()}


def stripped(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return the arrays whose names begin with ``prefix``, named without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
