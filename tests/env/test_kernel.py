"""How the step is compiled: strictly, once, and wherever it can be kept."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest

from stairways.core import controller, ledger
from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env import compiling, kernel
from stairways.env.lanes import Lanes
from stairways.env.tape import tape_of
from stairways.market.bars import Bars

FUSED = re.compile(r"\bv?fn?m(?:add|sub)\w*", re.IGNORECASE)
"""Fused multiply-adds of x86-64 and ARM: one rounding where Python makes two."""

STEP_ONCE = """
import numpy as np
from stairways.core.controller import ControllerRules
from stairways.core.ledger import TradingRules
from stairways.env import kernel
from stairways.env.lanes import Lanes
from stairways.env.tape import tape_of
from stairways.market.simulation import simulate
rules = TradingRules()
lanes = Lanes(tape_of(simulate(["A"], 100, 1).bars, rules), rules, ControllerRules(),
              window=(60, 100), count=1, capacity=1, seed=1)
lanes.step(np.array([1]))
print(sum(kernel.run.stats.cache_hits.values()))
"""


@pytest.fixture(scope="module", autouse=True)
def a_step(wander: Callable[..., Bars]) -> None:
    rules = TradingRules()
    tape = tape_of(wander(100, 2, 1), rules)
    lanes = Lanes(tape, rules, ControllerRules(), window=(60, 100), count=1, capacity=1, seed=1)
    lanes.step(np.array([4]))


def test_compiled_arithmetic_is_never_fused() -> None:
    fresh = numba.njit(kernel.advance)  # a kept kernel comes without its text
    fresh.compile(kernel.run.signatures[0])  # type: ignore[attr-defined]
    texts = list(fresh.inspect_asm().values())  # type: ignore[attr-defined]
    assert "sqrt" in "".join(texts)
    assert not [found for text in texts for found in FUSED.findall(text)]


def test_one_kernel_serves_every_number_of_symbols(wander: Callable[..., Bars]) -> None:
    rules = TradingRules()
    for symbols in (1, 3, 10):
        tape = tape_of(wander(100, symbols, 1), rules)
        lanes = Lanes(tape, rules, ControllerRules(), window=(60, 100), count=2, capacity=1, seed=1)
        lanes.step(np.array([0, 1]))
    assert len(kernel.run.signatures) == 1


def test_a_later_process_finds_the_kernel_compiled() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", STEP_ONCE],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(compiling.__file__).parents[2],
    )
    assert done.stdout.strip() == "1"


def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    free = tmp_path / "free"
    assert compiling._writable([blocked / "cache", free / "cache"]) == free / "cache"
    assert compiling._writable([blocked / "cache"]) is None


def test_the_kept_kernel_is_named_by_all_its_sources() -> None:
    both, one = compiling._digest([ledger, controller]), compiling._digest([ledger])
    assert both != one
    assert both == compiling._digest([ledger, controller])


def test_rules_and_features_start_without_the_compiler() -> None:
    rooms = "stairways.core.ledger, stairways.core.controller, stairways.features, stairways.env"
    program = f"import sys, {rooms}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
