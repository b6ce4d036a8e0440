"""The random generator of the environment, as plain numbers that can be stored."""

import numpy as np
import numpy.typing as npt

from stairways.errors import SettingsError

_WORD = 2**64


def generator_from(seed: int | np.random.Generator) -> np.random.Generator:
    """Return a PCG-64 generator; one that is given is used as it is, and moves on."""
    if not isinstance(seed, np.random.Generator):
        return np.random.Generator(np.random.PCG64(seed))
    if not isinstance(seed.bit_generator, np.random.PCG64):
        raise SettingsError("the environment draws from a PCG64 generator; give one or a seed")
    return seed


def generator_state(generator: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Return the whole state of a PCG-64 generator as six words."""
    state = generator.bit_generator.state
    inner = state["state"]
    words = [*divmod(inner["state"], _WORD), *divmod(inner["inc"], _WORD)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def restore_generator(generator: np.random.Generator, words: npt.NDArray[np.uint64]) -> None:
    """Make the next draws those that followed ``generator_state``."""
    high, low, high_step, low_step, has_half, half = (int(word) for word in words)
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high * _WORD + low, "inc": high_step * _WORD + low_step},
        "has_uint32": has_half,
        "uinteger": half,
    }
