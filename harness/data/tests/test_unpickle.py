"""The reader of feature pickles gives back what was stored, and never runs anything."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness._util.budget import Budget, memory_allowed
from harness.data.readers import unpickle
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


def bound(size: int) -> Budget:
    with memory_allowed(size):
        return Budget("features.pkl", 1)


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
    with pytest.raises(DataError, match=r"features\.pkl .*byte"):
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
    with pytest.raises(DataError, match=r"allowed are 1 MiB"):
        unpickle.load(path, bound(1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_wide_characters_count_for_the_memory_they_take(tmp_path):
    text = "a" * 1_000_000 + "😀"  # Python stores four bytes per character
    path = write(tmp_path, pickle.dumps(text, 4))
    with pytest.raises(DataError, match="MiB of memory or more"):
        unpickle.load(path, bound(3_000_000))
    assert unpickle.load(path, bound(5_000_000)) == text


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
    with pytest.raises(DataError, match="no such file"):
        unpickle.load(tmp_path / "absent.pkl")
    with pytest.raises(DataError, match="found a folder"):
        unpickle.load(tmp_path)


# What is not allowed, and what to do about it


def global_pickle(module: str, name: str) -> bytes:
    """A list that holds the result of a call, whatever the name is."""
    return f"\x80\x02]c{module}\n{name}\n)Ra.".encode("latin1")


HARMLESS = {
    ("torch._utils", "_rebuild_tensor_v2"): ("torch tensors", "tensor.numpy()"),
    ("torch", "FloatStorage"): ("torch tensors", "tensor.numpy()"),
    ("pandas.core.series", "Series"): ("pandas objects", "series.to_numpy()"),
    ("pandas.core.frame", "DataFrame"): ("pandas objects", "series.to_numpy()"),
    ("pandas._libs.internals", "_unpickle_block"): ("pandas objects", "series.to_numpy()"),
    ("pandas.core.indexes.base", "_new_Index"): ("pandas objects", "series.to_numpy()"),
    ("scipy.sparse._csr", "csr_matrix"): ("sparse matrices", "matrix.toarray()"),
    ("sklearn.preprocessing._data", "StandardScaler"): ("scikit-learn", "arrays"),
    ("datetime", "datetime"): ("dates or times", "text or numbers"),
    ("builtins", "set"): ("sets", "convert to lists"),
    ("__builtin__", "frozenset"): ("sets", "convert to lists"),
    ("builtins", "complex"): ("complex numbers", "real numbers"),
    ("collections", "defaultdict"): ("containers of collections", "plain dict"),
    ("numpy.ma.core", "_mareconstruct"): ("masked arrays", "array.filled(0)"),
    ("numpy.random._pickle", "__generator_ctor"): ("numpy.random", "plain numpy arrays"),
    ("decimal", "Decimal"): ("decimal numbers", "float"),
    ("pathlib", "PosixPath"): ("pathlib.PosixPath", "plain numpy arrays"),
    ("mine.data", "Clip"): ("mine.data.Clip", "plain numpy arrays"),
    ("osmium", "Reader"): ("osmium.Reader", "plain numpy arrays"),
    ("systems", "path"): ("systems.path", "plain numpy arrays"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_merely_of_no_use_is_not_called_unsafe(tmp_path, name):
    what, advice = HARMLESS[name]
    with pytest.raises(DataError) as caught:
        unpickle.load(write(tmp_path, global_pickle(*name)))
    assert what in str(caught.value)
    assert ".".join(name) in str(caught.value)
    assert "nothing was executed" in str(caught.value)
    assert advice in caught.value.hint
    assert "unsafe" not in caught.value.hint
    assert "unpickle" not in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        ("os", "system"),
        ("posix", "popen"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("importlib", "import_module"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("runpy", "run_path"),
        ("_pickle", "loads"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("numpy", "load"),
        ("pandas.io.pickle", "read_pickle"),
        ("numpy.testing._private.utils", "runstring"),
        ("shutil", "rmtree"),
        ("types", "FunctionType"),
        ("socket", "create_connection"),
    ],
)
def test_names_that_could_run_code_are_called_unsafe(tmp_path, name):
    with pytest.raises(DataError, match="nothing was executed") as caught:
        unpickle.load(write(tmp_path, global_pickle(*name)))
    assert ".".join(name) in str(caught.value)
    assert "unsafe, do not unpickle it" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ({1, 2}, "convert sets to lists"),
        (frozenset({1}), "convert sets to lists"),
        ({1: "a"}, "keys of dictionaries are text"),
        ({"\ud800": 1}, "keys of dictionaries are text"),
        ([1 << 100_000], "at most 64 bits"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "plain numpy arrays"),
        (np.zeros(2, dtype=[("a", "f4")]), "plain numpy arrays"),
        (Plain(), "no objects of classes"),
    ],
)
def test_values_of_other_types_come_with_advice(tmp_path, value, advice):
    with pytest.raises(DataError, match="nothing was executed") as caught:
        unpickle.load(write(tmp_path, pickle.dumps(value, 4)))
    assert advice in caught.value.hint
    assert "unsafe" not in caught.value.hint


def test_dictionaries_that_keep_their_order_are_dictionaries(tmp_path):
    value = {"train": OrderedDict(id=["a"], audio=[1.0])}
    for protocol in (0, 1, *PROTOCOLS):
        found = unpickle.load(write(tmp_path, pickle.dumps(value, protocol)))
        assert found == {"train": {"id": ["a"], "audio": [1.0]}}


def test_arrays_of_their_own_length_are_read(tmp_path):
    clips = np.empty(2, dtype=object)
    clips[:] = [np.ones((2, 3)), np.ones((1, 3))]
    same = np.empty(2, dtype=object)
    same[0], same[1] = np.zeros((2, 3)), np.ones((2, 3))
    for protocol in PROTOCOLS:
        found = unpickle.load(write(tmp_path, pickle.dumps([clips, same, [None]], protocol)))
        assert isinstance(found, list)
        assert [part.shape for part in found[0]] == [(2, 3), (1, 3)]
        np.testing.assert_array_equal(found[1][1], same[1])
        assert found[1].shape == (2,)


def test_arrays_of_objects_do_not_nest(tmp_path):
    inner = np.empty(1, dtype=object)
    inner[0] = "a"
    outer = np.empty(1, dtype=object)
    outer[0] = inner
    with pytest.raises(DataError, match="a ndarray in an object array"):
        unpickle.load(write(tmp_path, pickle.dumps(outer, 4)))


# Old pickles


def as_python_2(value: object, protocol: int = 2) -> bytes:
    """A pickle in which every text is a string of Python 2, as Python 2 writes ``str``."""

    class Writer(pickle._Pickler):
        def save_text(self, text: str) -> None:
            raw = text.encode("latin1" if max(map(ord, text), default=0) < 256 else "utf-8")
            if self.proto == 0:
                shown = repr(raw)[1:].encode()
                self.write(b"S" + shown + b"\n")
            elif len(raw) < 256:
                self.write(b"U" + bytes([len(raw)]) + raw)
            else:
                self.write(b"T" + struct.pack("<i", len(raw)) + raw)
            self.memoize(text)

        dispatch: ClassVar = {**pickle._Pickler.dispatch, str: save_text}

    buffer = io.BytesIO()
    Writer(buffer, protocol).dump(value)
    return buffer.getvalue()


PYTHON_2 = {
    "numbers": np.linspace(-3, 3, 60, dtype=np.float32).reshape(3, 5, 4),
    "zeros": np.zeros((2, 3), dtype=np.float64),
    "letters": np.frombuffer(b"abcdefgh", dtype=np.float32),
    "looks like UTF-8": np.frombuffer("éèäö".encode(), dtype=np.int16),
    "large": np.arange(40_000, dtype=np.float64),
    "big endian": np.arange(4, dtype=">i4"),
    "booleans": [True, False, None],
    "integers": [0, -7, 2**31, 2**40, -(2**62)],
    "reals": [0.5, -1e300],
    "ids": ["v$_$1", "w$_$2"],
    "quoted": ["it's", 'a "b"', "back\\slash", "line\nend"],
    "nested": {"tuple": ((), (1,), (1, 2, 3, 4))},
}


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python_2_pickles_are_read(tmp_path, protocol):
    data = as_python_2(PYTHON_2, protocol)
    assert not isinstance(pickle.loads(data, encoding="latin1"), bytes)
    found = unpickle.load(write(tmp_path, data))
    assert isinstance(found, dict)
    for key, expected in PYTHON_2.items():
        if isinstance(expected, np.ndarray):
            assert_same(found[key], expected)
        else:
            assert found[key] == expected


@pytest.mark.parametrize("protocol", [0, 1])
def test_the_first_protocols_are_read(tmp_path, protocol):
    found = unpickle.load(write(tmp_path, pickle.dumps(CONTENT, protocol)))
    assert isinstance(found, dict)
    for key, expected in CONTENT.items():
        assert_same(found[key], expected)


def test_strings_of_python_2_that_are_not_utf_8_are_bytes(tmp_path):
    found = unpickle.load(write(tmp_path, b"\x80\x02]U\x04caf\xe9a."))
    assert found == [b"caf\xe9"]
    found = unpickle.load(write(tmp_path, b"\x80\x02]U\x05caf\xc3\xa9a."))
    assert found == ["café"]
    with pytest.raises(DataError, match="a key written by Python 2") as caught:
        unpickle.load(write(tmp_path, b"\x80\x02}U\x01\xe9K\x01s."))
    assert "Python 3" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"}q\x00S'a\n.", "a string without quotes"),
        (b"}q\x00S'a\\q'\n.", "a string without quotes"),
        (b"}q\x00S__import__('os')\n.", "a string without quotes"),
        (b"}q\x00I1_0\n.", "a whole number that is none"),
        (b"}q\x00I" + b"9" * 100 + b"\n.", "an integer of 100 digits"),
        (b"}q\x00L" + b"9" * 5000 + b"L\n.", "an integer of 5000 digits"),
        (b"}q\x00L" + b"9" * 70_000 + b"L\n.", "a line without an end"),
        (b"c" + b"a" * 300 + b"\nb\n.", "is not a pickle"),
        (b"]q\x00c" + b"a" * 300 + b"\nb\n.", "a line without an end"),
        (b"}q\x00Fword\n.", "could not convert"),
        (b"}q\x00Vtext without an end.", "a line without an end"),
        (b"}q\x00V\\u12\n.", "damaged"),
        (b"}q\x00T\xff\xff\xff\xff.", "damaged"),
        (b"(dp0\ng7\n.", "nothing was remembered as 7"),
        (b"(dp0\n(I1\nd.", "damaged"),
    ],
)
def test_damaged_old_pickles(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        unpickle.load(write(tmp_path, content))


@pytest.mark.parametrize("protocol", [0, 1])
def test_truncation_of_the_first_protocols_is_a_data_error(tmp_path, protocol):
    content = pickle.dumps({"a": np.arange(9.0), "b": ["x", 1, 2.5, True]}, protocol)
    for size in range(0, len(content), 3):
        with pytest.raises(DataError, match=r"features\.pkl"):
            unpickle.load(write(tmp_path, content[:size]))


@pytest.mark.parametrize("unit", [b"S'aaaaaaaaaaaaaaaa'\n", b"Vaaaaaaaaaaaaaaaaaa\n", b"I1\n"])
def test_many_lines_stop_at_the_bound(tmp_path, unit):
    path = write(tmp_path, b"]q\x00(" + unit * 100_000 + b"e.")
    tracemalloc.start()
    with pytest.raises(DataError, match=r"allowed are 1 MiB"):
        unpickle.load(path, bound(1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@settings(max_examples=300, deadline=None)
@given(data=st.data(), protocol=st.sampled_from((0, 1, 2)))
def test_mutated_old_pickles_are_a_data_error_or_a_value(tmp_path_factory, data, protocol):
    content = bytearray(as_python_2(PYTHON_2 | {"large": None}, protocol))
    positions = st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(positions)] = data.draw(st.integers(0, 255))
    path = write(tmp_path_factory.mktemp("mutated"), bytes(content))
    try:
        unpickle.load(path)
    except DataError as error:
        assert error.hint


# Files of other kinds


def saved_by_torch(path: Path, *, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=not legacy)


def test_files_of_torch_save_are_named(tmp_path):
    for legacy in (False, True):
        saved_by_torch(tmp_path / "features.pkl", legacy=legacy)
        with pytest.raises(
            DataError, match=r"not a pickle of numpy arrays but a file of torch.save"
        ) as caught:
            unpickle.load(tmp_path / "features.pkl")
        assert "tensor.numpy()" in caught.value.hint


def test_pickled_tensors_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    for protocol in (0, 1, *PROTOCOLS):
        data = pickle.dumps({"train": {"audio": torch.ones(2, 3)}}, protocol)
        with pytest.raises(DataError, match="holds torch tensors") as caught:
            unpickle.load(write(tmp_path, data))
        assert caught.value.hint == "save numpy arrays: tensor.numpy()"


def numpy_archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "what", "advice"),
    [
        (numpy_archive(), "numpy arrays (.npz)", "dictionary of train, valid and test"),
        (b"PK\x03\x04 damaged", "a zip archive", "unpack it"),
        (gzip.compress(pickle.dumps({}), mtime=0), "compressed by gzip", "unpack it"),
        (b"BZh91AY", "compressed by bzip2", "unpack it"),
        (b"\xfd7zXZ\x00", "compressed by xz", "unpack it"),
        (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
        (b"\x93NUMPY\x01\x00", "a single numpy array", "dictionary"),
        (b"\x89HDF\r\n", "an HDF5 file", "dictionary"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull"),
        (b"<!DOCTYPE html><html>quota exceeded", "a web page", "download the file again"),
        (b"3.0\n.", "", "pass the .pkl file itself"),
        (b"{}", "", "pass the .pkl file itself"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path, content, what, advice):
    with pytest.raises(DataError, match="is not a pickle of numpy arrays") as caught:
        unpickle.load(write(tmp_path, content))
    assert what in str(caught.value)
    assert advice in caught.value.hint


@pytest.mark.parametrize("rest", [b"xx", pickle.dumps({}, 4)])
def test_what_follows_a_pickle_is_not_dropped(tmp_path: Path, rest: bytes) -> None:
    path = write(tmp_path, pickle.dumps({"a": 1}, 4) + rest)
    with pytest.raises(DataError, match=f"holds {len(rest)} bytes after its end") as refused:
        unpickle.load(path)
    assert refused.value.hint is not None
    assert "one pickle" in refused.value.hint


def test_filling_behind_a_pickle_is_nothing(tmp_path: Path) -> None:
    assert unpickle.load(write(tmp_path, pickle.dumps({"a": 1}, 4) + b"\r\n\0\0")) == {"a": 1}
