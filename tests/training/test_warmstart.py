"""Archives are read without unpickling; hostile ones are refused in one sentence, untouched."""

import base64
import io
import os
import pickle
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import gymnasium
import numpy as np
import numpy.typing as npt
import orjson
import pytest
import safetensors.numpy
import torch
from stable_baselines3 import PPO

from stairways.env.spaces import action_space, observation_space
from stairways.errors import ModelRefusedError, SpaceMismatchError
from stairways.training import archive as archives
from stairways.training.export import archive_of
from stairways.training.policy import build_ppo
from stairways.training.rules import PpoRules
from stairways.training.warmstart import read_model, shapes

RULES = PpoRules()
Arrays = dict[str, npt.NDArray[np.float32]]
Members = dict[str, bytes]


class Bomb:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


class Noise(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """Somebody else's environment with the spaces of a pair."""

    observation_space = observation_space(2)  # type: ignore[assignment] # a Box is one
    action_space = action_space(2)

    def reset(self, **_: object) -> tuple[npt.NDArray[np.float32], dict[str, object]]:
        return np.zeros(26, np.float32), {}

    def step(
        self, action: np.int64
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, object]]:
        return np.full(26, float(action), np.float32), 1.0, False, False, {}


def arrays_of(symbols: int = 2) -> Arrays:
    model = build_ppo(observation_space(symbols), action_space(symbols), RULES, seed=4)
    return {name: value.numpy() for name, value in model.policy.state_dict().items()}


def members_of(content: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


@pytest.fixture(scope="module")
def good() -> Members:
    return members_of(archive_of(arrays_of(), 0.0, RULES, 2))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.zip"


def refused(
    file: Path, content: bytes, said: str, error: type[Exception] = ModelRefusedError
) -> None:
    """Hold that a file is refused in one sentence that names it, and that nothing is written."""
    file.write_bytes(content)
    with pytest.raises(error, match=said) as caught:
        read_model(file, 2, RULES.hidden)
    assert str(caught.value).startswith(f"{file.name}:")
    assert "\n" not in str(caught.value)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("symbols", [1, 2, 3])
def test_an_archive_of_sb3_gives_its_parameters(file: Path, symbols: int) -> None:
    wanted = arrays_of(symbols)
    file.write_bytes(archive_of(wanted, 0.0, RULES, symbols))
    assert read_model(file, symbols, RULES.hidden) == safetensors.numpy.save(wanted)


def test_an_archive_that_sb3_trained_itself_is_read(file: Path) -> None:
    model = PPO("MlpPolicy", Noise(), n_steps=64, batch_size=64, device="cpu")
    model.learn(64)
    model.save(file)
    loaded = safetensors.numpy.load(read_model(file, 2, (64, 64)))
    for name, value in model.policy.state_dict().items():
        assert np.array_equal(loaded[name], value.numpy())


def test_a_safetensors_file_gives_its_parameters(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(safetensors.numpy.save(arrays_of()))
    assert read_model(file, 2, RULES.hidden) == file.read_bytes()


def test_a_pickle_payload_in_data_is_refused_and_never_runs(file: Path, good: Members) -> None:
    data = orjson.loads(good["data"])
    payload = pickle.dumps(Bomb(file.with_name("ran")))
    data["lr_schedule"][":serialized:"] = base64.b64encode(payload).decode()
    refused(file, zipped({**good, "data": orjson.dumps(data)}), r"calls posix\.system")


def test_data_that_is_itself_a_pickle_is_refused(file: Path, good: Members) -> None:
    payload = pickle.dumps(Bomb(file.with_name("ran")))
    refused(file, zipped({**good, "data": payload}), "'data' is not JSON")


def test_data_nested_without_end_is_refused(file: Path, good: Members) -> None:
    refused(file, zipped({**good, "data": b"[" * 1_000_000}), "'data' is not JSON")


@pytest.mark.parametrize("protocol", range(6))
def test_a_hostile_pth_is_refused_and_never_runs(file: Path, good: Members, protocol: int) -> None:
    inside = members_of(good["policy.pth"])
    name = next(one for one in inside if one.endswith("data.pkl"))
    inside[name] = pickle.dumps(Bomb(file.with_name("ran")), protocol=protocol)
    refused(file, zipped({**good, "policy.pth": zipped(inside)}), "its pickle is not one of")


def test_a_pth_that_hides_a_call_among_tensors_is_refused(file: Path, good: Members) -> None:
    inside = members_of(good["policy.pth"])
    name = next(one for one in inside if one.endswith("data.pkl"))
    hidden = b"cposix\nsystem\n(X\x08\x00\x00\x00touch rantR0"
    inside[name] = inside[name][:2] + hidden + inside[name][2:]
    refused(file, zipped({**good, "policy.pth": zipped(inside)}), r"calls posix\.system")


def test_a_pth_of_the_old_format_is_refused(file: Path, good: Members) -> None:
    content = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, content, _use_new_zipfile_serialization=False)
    refused(file, zipped({**good, "policy.pth": content.getvalue()}), "no readable zip")


def test_a_bomb_is_refused_before_it_is_unpacked(file: Path, good: Members) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("policy.pth", good["policy.pth"])
        archive.writestr("zeros", bytes(20 * 2**20))
    refused(file, content.getvalue(), "is packed more than 200-fold")


def test_a_bomb_inside_the_pth_is_refused(file: Path, good: Members) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members_of(good["policy.pth"]).items():
            archive.writestr(name, member)
        archive.writestr("zeros", bytes(20 * 2**20))
    refused(
        file, zipped({**good, "policy.pth": content.getvalue()}), "is packed more than 200-fold"
    )


def test_a_bomb_that_lies_about_its_size_is_refused(file: Path, good: Members) -> None:
    content = bytearray(zipped({**good, "long": bytes(1000)}))
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"long"))
    struct.pack_into("<I", content, at + 24, 10)  # the uncompressed size in the directory
    refused(file, bytes(content), "no readable zip file")


def test_too_much_in_all_or_too_many_members_are_refused(
    file: Path, good: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(file, zipped({str(i): b"" for i in range(300)}), "has 300 members")
    monkeypatch.setattr(archives, "LARGEST_TOTAL", 1000)
    refused(file, zipped(good), "unpacked it would be over 1,000 bytes")
    monkeypatch.setattr(archives, "LARGEST_TOTAL", 10**9)
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 1000)
    refused(file, zipped(good), "bytes unpacked")


@pytest.mark.parametrize("name", ["../policy.pth", "/etc/x", "a/../../x", "C:x", "a\\..\\b"])
def test_a_name_that_leads_elsewhere_is_refused(file: Path, good: Members, name: str) -> None:
    refused(file, zipped({**good, name: b"x"}), "has a name that leads elsewhere")


def test_a_symlink_is_refused(file: Path, good: Members) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in good.items():
            archive.writestr(name, member)
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    refused(file, content.getvalue(), "'link' is no plain file")


def test_two_members_of_one_name_are_refused(file: Path, good: Members) -> None:
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of what we write on purpose
        for member in (good["policy.pth"], b"other"):
            archive.writestr("policy.pth", member)
    refused(file, content.getvalue(), "two members named 'policy.pth'")


def test_an_encrypted_member_is_refused(file: Path, good: Members) -> None:
    content = bytearray(zipped(good))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    refused(file, bytes(content), "is encrypted")


def with_policy(good: Members, arrays: Mapping[str, torch.Tensor]) -> bytes:
    content = io.BytesIO()
    torch.save(dict(arrays), content)
    return zipped({**good, "policy.pth": content.getvalue()})


def tensors() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in arrays_of().items()}


Change = Callable[[dict[str, torch.Tensor]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.update({"value_net.bias": torch.zeros(2)}), "value_net.bias has the shape"),
        (lambda t: t["value_net.bias"].fill_(float("nan")), "a number that is not finite"),
        (lambda t: t["action_net.bias"].fill_(float("inf")), "a number that is not finite"),
        (lambda t: t.pop("value_net.bias"), "other parts than"),
        (lambda t: t.update({"log_std": torch.zeros(1)}), "other parts than"),
        (lambda t: t.update({"value_net.bias": torch.zeros(1).double()}), "float64, not float32"),
        (lambda t: t.update({"value_net.bias": torch.zeros(1).int()}), r"calls torch\.IntStorage"),
        (lambda t: t.update({"x": torch.zeros(3, 4).T}), "row by row"),
        (lambda t: t.update({"x": torch.zeros(1, 1, 1)}), "has the shape"),
        (lambda t: t.update({"x": [1]}), "instruction EMPTY_LIST"),
        (lambda t: t.clear(), "is it an MlpPolicy"),
    ],
)  # fmt: skip
def test_weights_of_a_wrong_kind_are_refused(
    file: Path, good: Members, change: Change, said: str
) -> None:
    changed = tensors()
    change(changed)
    refused(file, with_policy(good, changed), said)


def test_a_model_with_other_spaces_is_refused_with_both_named(file: Path) -> None:
    other = archive_of(arrays_of(3), 0.0, RULES, 3)
    refused(file, other, r"\(39,\).*MultiDiscrete.*\(26,\).*Discrete\(9\)", SpaceMismatchError)


def test_spaces_told_in_data_count_as_much_as_the_weights(file: Path, good: Members) -> None:
    data = orjson.loads(good["data"])
    data["action_space"]["n"] = "7"
    content = zipped({**good, "data": orjson.dumps(data)})
    refused(file, content, r"Discrete\(7\).*Discrete\(9\)", SpaceMismatchError)


def test_a_truncated_archive_is_refused_wherever_it_is_cut(file: Path, good: Members) -> None:
    whole = zipped(good)
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        refused(file, whole[:size], "no readable zip file|holds no policy.pth")


def test_a_truncated_tensor_is_refused(file: Path, good: Members) -> None:
    inside = members_of(good["policy.pth"])
    name = next(one for one in inside if one.endswith("/data/0"))
    inside[name] = inside[name][:-4]
    refused(file, zipped({**good, "policy.pth": zipped(inside)}), "cut short")


def test_a_damaged_byte_is_refused_or_gives_finite_weights(file: Path, good: Members) -> None:
    whole, generator = zipped(good), np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[int(generator.integers(len(whole)))] ^= int(generator.integers(1, 256))
        file.write_bytes(bytes(damaged))
        try:
            read = safetensors.numpy.load(read_model(file, 2, RULES.hidden))
        except (ModelRefusedError, SpaceMismatchError):
            continue
        assert all(np.isfinite(array).all() for array in read.values())


def test_damaged_instructions_of_the_pickle_never_get_further(file: Path, good: Members) -> None:
    inside, generator = members_of(good["policy.pth"]), np.random.default_rng(1)
    name = next(one for one in inside if one.endswith("data.pkl"))
    for _ in range(500):
        damaged = bytearray(inside[name])
        damaged[int(generator.integers(len(damaged)))] = int(generator.integers(256))
        file.write_bytes(zipped({**good, "policy.pth": zipped({**inside, name: bytes(damaged)})}))
        try:
            read = safetensors.numpy.load(read_model(file, 2, RULES.hidden))
        except (ModelRefusedError, SpaceMismatchError):
            continue
        assert {part: array.shape for part, array in read.items()} == shapes(2, RULES.hidden)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.safetensors", b"\xff" * 40, "no safetensors file"),
        ("model.safetensors", b"", "no safetensors file"),
        ("model.pt", b"", "a model is .safetensors or .zip"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    refused(tmp_path / name, content, said)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match=r"gone\.zip cannot be read: No such file"):
        read_model(tmp_path / "gone.zip", 2, RULES.hidden)


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "long.zip"
    with file.open("wb") as opened:
        opened.truncate(65 * 2**20)
    with pytest.raises(ModelRefusedError, match=r"long\.zip: it has more than"):
        read_model(file, 2, RULES.hidden)
