"""The reader of feature pickles gives back what was stored, and never runs anything."""

from __future__ import annotations

import codecs
import io
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import unpickle
from harness.errors import DataError

PROTOCOLS = (2, 3, 4, 5)

CONTENT = {
    "float32": np.arange(12, dtype=np.float32).reshape(2, 3, 2),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(24).reshape(2, 3, 4)[:, ::2],
    "moved axes": np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(1, 0, 2),
    "big endian": np.arange(4, dtype=">i4"),
    "booleans": np.array([True, False]),
    "text array": np.array(["a", "βγ", "嫁入豪门"]),
    "bytes array": np.array([b"a", b"bc"]),
    "objects": np.array([["one", b"two"], [3, 4.5]], dtype=object),
    "no rows": np.empty((0, 3), dtype=np.float32),
    "scalar": np.float64(2.5),
    "text scalar": np.str_("clip"),
    "nested": {
        "list": [1, -7, 2**40, -(2**62), 0.5, None, True],
        "tuple": ((), (1,), (1, 2, 3, 4)),
    },
    "text": "naïve 😀",
    "bytes": b"x" * 300,
    "no bytes": b"",
}


def write(folder: Path, content: bytes) -> Path:
    path = folder / "features.pkl"
    path.write_bytes(content)
    return path


def assert_same(found: object, expected: object) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_round_trip(tmp_path, protocol):
    found = unpickle.load(write(tmp_path, pickle.dumps(CONTENT, protocol)))
    assert isinstance(found, dict)
    assert found.keys() == CONTENT.keys()
    for key, expected in CONTENT.items():
        assert_same(found[key], expected)


def as_numpy_1(data: bytes) -> bytes:
    """The same pickle with the module names of numpy 1."""
    for module in (b"multiarray", b"numeric"):
        new, old = b"numpy._core." + module, b"numpy.core." + module
        data = data.replace(bytes([len(new)]) + new, bytes([len(old)]) + old).replace(new, old)
    if data[2:3] == pickle.FRAME:
        data = data[:3] + struct.pack("<Q", len(data) - 11) + data[11:]
    return data


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_1_layout(tmp_path, protocol):
    arrays = {k: v for k, v in CONTENT.items() if isinstance(v, np.ndarray | np.generic)}
    data = as_numpy_1(pickle.dumps(arrays, protocol))
    assert b"numpy.core" in data
    assert b"numpy._core" not in data
    found = unpickle.load(write(tmp_path, data))
    assert isinstance(found, dict)
    for key, expected in arrays.items():
        assert_same(found[key], expected)


def test_an_array_shared_by_two_keys_is_one_array(tmp_path):
    array = np.arange(3.0)
    found = unpickle.load(write(tmp_path, pickle.dumps([array, array], 4)))
    assert isinstance(found, list)
    assert found[0] is found[1]


@pytest.mark.parametrize("protocol", [4, 5])
def test_arrays_stay_in_the_file(tmp_path, protocol):
    path = write(tmp_path, pickle.dumps({"a": np.ones(2_000_000)}, protocol))
    tracemalloc.start()
    found = unpickle.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert isinstance(found, dict)
    assert found["a"].sum() == 2_000_000
    assert not found["a"].flags.writeable


# Hostile files


class Call:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Plain:
    pass


def hostile(sentinel: Path) -> dict[str, tuple[bytes, str]]:
    """Attack -> (pickle, what the refusal names)."""
    touch = f"touch {sentinel}"
    code = f"open({str(sentinel)!r}, 'w').close()"
    system = f"{os.system.__module__}.system"
    inner = pickle.dumps(Call(os.system, touch))
    objects = {
        "system": (Call(os.system, touch), system),
        "eval": (Call(eval, code), "builtins.eval"),
        "exec": (Call(exec, code), "builtins.exec"),
        "in a list": ([1, [Call(os.system, touch)]], system),
        "as a value": ({"train": {"id": Call(os.system, touch)}}, system),
        "as an argument": (Call(np.dtype, Call(os.system, touch)), system),
        "getattr": (Call(getattr, Call(getattr, "", "join"), "__self__"), "builtins.getattr"),
        "nested pickle": (Call(pickle.loads, inner), "_pickle.loads"),
        "numpy load": (Call(np.load, str(sentinel), None, True), "numpy.load"),
        "numpy object scalar": (
            Call(np.float64(0).__reduce__()[0], np.dtype(object), inner),
            "object array",
        ),
        "numpy file": (Call(np.fromfile, str(sentinel)), "numpy.fromfile"),
        "other codec": (Call(codecs.encode, "touch", "rot13"), "_codecs.encode"),
        "codec of an object": (Call(codecs.encode, (1, 2), "latin1"), "_codecs.encode"),
        "structured dtype": (np.zeros(2, dtype=[("a", "f4")]), "V4"),
        "object in array": (np.array([Plain(), Plain()], dtype=object), "Plain"),
        "list in array": (np.array([[1], [1, 2], None], dtype=object)[:2], "list"),
        "instance": (Plain(), "Plain"),
        "set": ({1, 2}, "EMPTY_SET"),
        "huge integer": (1 << 100_000, "LONG4"),
        "bare function": (np.ndarray, "numpy.ndarray"),
    }
    files = {name: (pickle.dumps(value, 4), title) for name, (value, title) in objects.items()}
    cos = f"c{os.system.__module__}\nsystem\n".encode()
    text = b"X" + struct.pack("<I", len(touch)) + touch.encode()
    files |= {
        "protocol 2 system": (b"\x80\x02" + cos + text + b"\x85R.", system),
        "inst": (b"\x80\x02(" + text + b"i" + cos[1:] + b".", "INST"),
        "obj": (b"\x80\x02(" + cos + text + b"o.", system),
        "newobj": (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        "persistent id": (b"\x80\x02Pabc\n.", "PERSID"),
        "extension": (b"\x80\x02\x82\x01.", "EXT1"),
        "out of band": (b"\x80\x05\x97.", "NEXT_BUFFER"),
        "call of a value": (b"\x80\x02]q\x00)R.", "a call of a list"),
        "call of ndarray": (b"\x80\x02cnumpy\nndarray\n)R.", "numpy.ndarray"),
        "state of a name": (b"\x80\x02c_codecs\nencode\n}b.", "_codecs.encode"),
        "name with dots": (b"\x80\x04\x8c\x05numpy\x8c\x11_core.os.system()\x93.", "numpy._core"),
        "names from a list": (b"\x80\x04]]\x93.", "the name"),
        "unhashable key": (b"\x80\x02}]K\x01s.", "a list as a dictionary key"),
        "append to a tuple": (b"\x80\x02)K\x01a.", "a tuple"),
        "unbuilt array": (
            b"\x80\x02]cnumpy.core.multiarray\n_reconstruct\n)Ra.",
            "Pending",
        ),
        "dtype left over": (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R.", "Dtype"),
    }
    return files


@pytest.mark.parametrize("attack", hostile(Path("sentinel")))
def test_hostile_file_is_refused_and_nothing_runs(tmp_path, attack):
    sentinel = tmp_path / "executed"
    content, named = hostile(sentinel)[attack]
    with pytest.raises(DataError) as caught:
        unpickle.load(write(tmp_path, content))
    message = str(caught.value)
    assert message.startswith("features.pkl at byte ")
    assert named in message
    assert "nothing was executed" in message
    assert caught.value.hint
    assert not sentinel.exists()


def test_the_attacks_would_work_elsewhere(tmp_path):
    sentinel = tmp_path / "executed"
    attacks = hostile(sentinel)
    for attack in ("system", "eval", "protocol 2 system", "nested pickle"):
        pickle.loads(attacks[attack][0])
        assert sentinel.exists(), attack
        sentinel.unlink()


# Bombs


def array_pickle(code: str, shape: tuple[int, ...], data: bytes) -> bytes:
    """An array in protocol 4 that declares what it likes."""
    buffer = io.BytesIO()
    writer = pickle._Pickler(buffer, 4)
    buffer.write(b"\x80\x04cnumpy._core.multiarray\n_reconstruct\n)R(K\x01")
    writer.framer.current_frame = None
    writer.save(shape)
    buffer.write(b"cnumpy\ndtype\n")
    writer.save((code,))
    buffer.write(b"R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
    writer.save(data)
    buffer.write(b"tb.")
    return buffer.getvalue()


def test_the_bomb_builder_builds_arrays(tmp_path):
    found = unpickle.load(write(tmp_path, array_pickle("f4", (2,), b"\0\0\x80?\0\0\0@")))
    assert_same(found, np.array([1, 2], dtype=np.float32))


BOMBS = {
    "bytes announced": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.",
    "text announced": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"abc.",
    "bytearray announced": b"\x80\x05\x96" + struct.pack("<Q", 2**64 - 1) + b".",
    "frame announced": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    "wide text dtype": array_pickle("U1000000000", (1,), b"abcd"),
    "wide text": array_pickle("U10000000", (1,), b"abcd"),
    "huge shape": array_pickle("f4", (10**6, 10**6, 10**6), b"abcd"),
    "overflowing shape": array_pickle("f4", (2**62, 4), b""),
    "huge empty shape": array_pickle("f4", (0, 2**40), b""),
    "negative shape": array_pickle("f4", (-1,), b"abcd"),
    "no such characters": array_pickle("U1", (1,), b"\xff\xff\xff\x7f"),
    "no such memo": b"\x80\x02j\xff\xff\xff\x7f.",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_without_allocating(tmp_path, bomb):
    path = write(tmp_path, BOMBS[bomb])
    tracemalloc.start()
    with pytest.raises(DataError, match=r"features\.pkl at byte"):
        unpickle.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_far_memo_slot_takes_no_memory(tmp_path):
    assert unpickle.load(write(tmp_path, b"\x80\x02Nr\xff\xff\xff\xff.")) is None


@pytest.mark.parametrize("unit", [b"]", b"}", b"(", b"K\x01\x94", b"\x8c\x02ab"])
def test_many_small_objects_stop_at_the_bound(tmp_path, unit):
    path = write(tmp_path, b"\x80\x04" + unit * 200_000 + b".")
    tracemalloc.start()
    with pytest.raises(DataError, match="more than the 1 MiB"):
        unpickle.load(path, max_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_wide_characters_count_for_the_memory_they_take(tmp_path):
    text = "a" * 1_000_000 + "😀"  # Python stores four bytes per character
    path = write(tmp_path, pickle.dumps(text, 4))
    with pytest.raises(DataError, match="MiB of memory"):
        unpickle.load(path, max_bytes=3_000_000)
    assert unpickle.load(path, max_bytes=5_000_000) == text


def test_the_default_bound_admits_many_small_objects(tmp_path):
    lengths = {"audio_lengths": list(range(200_000)), "id": [f"v$_${i}" for i in range(50_000)]}
    assert unpickle.load(write(tmp_path, pickle.dumps(lengths, 4))) == lengths


def test_shared_lists_do_not_multiply(tmp_path):
    value: list[object] = ["x"]
    for _ in range(60):
        value = [value, value]
    found = unpickle.load(write(tmp_path, pickle.dumps(value, 4)))
    assert isinstance(found, list)
    assert found[0] is found[1]


# Damage


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_truncation_anywhere_is_a_data_error(tmp_path, protocol):
    content = pickle.dumps(CONTENT, protocol)
    for size in range(0, len(content), 7):
        with pytest.raises(DataError, match=r"features\.pkl"):
            unpickle.load(write(tmp_path, content[:size]))


@settings(max_examples=400, deadline=None)
@given(data=st.data(), protocol=st.sampled_from(PROTOCOLS))
def test_mutation_is_a_data_error_or_a_value(tmp_path_factory, data, protocol):
    content = bytearray(pickle.dumps(CONTENT, protocol))
    positions = st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(positions)] = data.draw(st.integers(0, 255))
    path = write(tmp_path_factory.mktemp("mutated"), bytes(content))
    try:
        found = unpickle.load(path)
    except DataError as error:
        assert "features.pkl" in str(error)
    else:
        assert isinstance(
            found, (dict, list, tuple, str, bytes, int, float, type(None), np.ndarray)
        )


@settings(max_examples=300, deadline=None)
@given(tail=st.binary(max_size=200))
def test_noise_is_a_data_error_or_a_value(tmp_path_factory, tail):
    path = write(tmp_path_factory.mktemp("noise"), b"\x80\x04" + tail)
    try:
        unpickle.load(path)
    except DataError as error:
        assert error.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest of an archive", "not a pickle of numpy arrays but a zip archive"),
        (b"<!DOCTYPE html>", "not a pickle"),
        (b"\x80", "not a pickle"),
        (b"\x80\x09N.", "not a pickle"),
        (b"\x80\x04.", "damaged"),
        (b"\x80\x04NN.", "damaged"),
        (b"\x80\x04\xff.", "0xff is not a pickle instruction"),
    ],
)
def test_not_a_pickle(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        unpickle.load(write(tmp_path, content))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="found nothing"):
        unpickle.load(tmp_path / "absent.pkl")
    with pytest.raises(DataError, match="found a folder"):
        unpickle.load(tmp_path)
