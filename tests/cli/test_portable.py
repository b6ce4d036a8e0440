"""The portable mode is entered by starting the program again, once, and never in a library."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stairways.cli import portable
from stairways.core import reward, series
from stairways.errors import SettingsError

ROOT = Path(__file__).parents[2]
PROBE = """
import os, sys
sys.path.insert(0, {root!r})
sys.argv[0] = "stairways"
from stairways.cli import portable
portable.enter(portable={wanted})
print(os.getpid(), *(os.environ.get(name, "-") for name in portable.SETTINGS), sys.argv[1:])
"""


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("now", [True, False])
def test_the_program_goes_on_in_the_mode_that_is_wanted(wanted: bool, now: bool) -> None:  # noqa: FBT001 - parameters of the test
    plain = {name: value for name, value in os.environ.items() if name not in portable.SETTINGS}
    process = subprocess.Popen(
        [sys.executable, "-c", PROBE.format(root=str(ROOT), wanted=wanted), "an argument"],
        env={**plain, **(portable.SETTINGS if now else {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = process.communicate()
    values = portable.SETTINGS.values() if wanted else ["-", "-"]
    assert said.split()[:3] == [str(process.pid), *values]
    assert "an argument" in said


def test_a_library_never_starts_the_program_again() -> None:
    portable.enter(portable=not portable.is_portable())
    assert "pytest" in sys.modules


def test_a_processor_without_avx2_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "cpuinfo"
    source.write_text("flags\t: sse4_2 avx fma\n")
    assert not portable._has_avx2(source)
    monkeypatch.setattr(portable, "_has_avx2", lambda: False)
    monkeypatch.setattr(portable, "_is_program", lambda: True)
    monkeypatch.setattr(portable, "is_portable", lambda: False)
    with pytest.raises(SettingsError, match="no AVX2"):
        portable.enter(portable=True)


@given(st.lists(st.floats(1e-300, 1e300), min_size=1))
def test_the_logarithm_of_an_array_is_that_of_its_numbers(values: list[float]) -> None:
    found = series.ln(np.array(values))
    wanted = np.array([reward.ln(value) for value in values])
    assert np.allclose(found, wanted, rtol=5e-16, atol=0)
    assert np.allclose(found, np.log(values), rtol=2e-15, atol=1e-300)
