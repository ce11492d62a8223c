"""Small files that stand for gigabytes, or for minutes; and how much reading one takes.

``python -m harness.data.tests.bombs FOLDER NAME...`` reads each in a process of its own and prints
what came of it: one JSON object a line.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.datasets import datasets
from harness.data.readers import label_csv, mmsa_pickle
from harness.data.readers.predictions import read_predictions
from harness.errors import HarnessError
from harness.spec import Suite
from harness.submissions.manifest import SubmissionManifest
from harness.submissions.tables.means import read_published
from harness.submissions.tables.seeds import read_seed_table

MOSI = datasets["mosi"]
Split = dict[str, object]


@dataclass(frozen=True)
class Called:
    """Is written as a call of a name with arguments, whatever these are."""

    function: Callable[..., object]
    arguments: tuple[object, ...]

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.function, self.arguments


def split(ids: object, **entries: object) -> Split:
    n = len(ids)  # type: ignore[arg-type]
    plain = {"raw_text": ["a"] * n, "regression_labels": np.zeros(n)}
    return {"id": ids, **plain, "audio": np.ones((n, 2, 3), np.float32), **entries}


def features(**train: object) -> dict[str, Split]:
    few = {name: split([f"{name}$_$1", f"{name}$_$2"]) for name in ("valid", "test")}
    return {"train": split(**{"ids": ["a$_$1", "a$_$2"], **train}), **few}


def pickled(content: object) -> bytes:
    return pickle.dumps(content, 4)


def scalars() -> bytes:
    """4,000 numpy texts of the same megabyte."""
    scalar, data = np.float64(0).__reduce__()[0], b"x" * (1 << 20)
    one = np.dtype(f"S{len(data)}")
    return pickled(features(ids=[Called(scalar, (one, data)) for _ in range(4000)]))


def one_id() -> bytes:
    return pickled(features(ids=["v" * 200_000 + "$_$1"] * 6000))


def one_text() -> bytes:
    ids = [f"v$_${i}" for i in range(6000)]
    return pickled(features(ids=ids, raw_text=["many words " * 20_000] * 6000))


def texts_in_bytes() -> bytes:
    ids = [f"v$_${i}" for i in range(6000)]
    return pickled(features(ids=ids, raw_text=["café " * 40_000] * 6000))


def tall() -> bytes:
    file = features(ids=[f"v$_${i}" for i in range(1000)], audio=np.ones((1000, 1, 1000), np.int8))
    file["valid"] = split(["valid$_$1"], audio=np.ones((1, 600, 1000), np.int8))
    file["test"]["audio"] = np.ones((2, 1, 1000), np.int8)
    return pickled(file)


def one_array() -> bytes:
    """5,000 clips that are the same array."""
    ids = [f"v$_${i}" for i in range(5000)]
    long = np.ones((2000, 100), np.int8)
    file = features(ids=ids, audio=[long] * 5000)
    for name in ("valid", "test"):
        file[name]["audio"] = [long] * 2
    return pickled(file)


def wide_labels() -> bytes:
    return pickled(features(regression_labels=np.zeros((2, 4_000_000), np.float16)))


def one_list_of_words() -> bytes:
    words, rows = ["w"] * 20_000, np.ones((20_000, 1), np.int8)
    clips = [((words, rows, rows), np.ones(1), f"v[{i}]") for i in range(3000)]
    return pickled({"train": clips, "dev": clips[:2], "test": clips[:2]})


def one_key() -> bytes:
    """A key of half a megabyte, set 100,000 times."""
    key = "é".encode() * 250_000
    return b"\x80\x04X" + struct.pack("<I", len(key)) + key + b"\x94}" + b"h\x00Ns" * 100_000 + b"."


def one_text_array() -> bytes:
    """Two megabytes of text, looked at 20,000 times."""
    build, data = np.ones(1, "U1").__reduce__()[0], b"a\0\0\0" * (1 << 19)
    kind = np.dtype("U1")
    state = (1, (1 << 19,), kind, False, data)

    class Again:
        def __reduce__(self) -> tuple[object, ...]:
            return build, (np.ndarray, (0,), b"b"), state

    return pickled(features(ids=[Again() for _ in range(20_000)]))


def many_keys() -> bytes:
    return pickled(features(**{f"k{i}": None for i in range(10_000)}))


def parquet(path: Path, frame: Mapping[str, object], times: int = 1, **options: object) -> None:
    table = pa.table(dict(frame))
    with pq.ParquetWriter(path, table.schema, compression="zstd", **options) as writer:
        for _ in range(times):
            writer.write_table(table)


def equal_rows(path: Path) -> None:
    parquet(path, {"id": ["v_1"] * 10**6, "pred": np.zeros(10**6)}, 60)


def long_id(path: Path) -> None:
    parquet(path, {"id": ["v" * 10_000_000 + "_1"] * 60, "pred": np.zeros(60)})


def long_ids_in_lists(path: Path) -> None:
    parquet(path, {"id": [f"v_{i}" for i in range(99)], "x": [["v" * 10**7]] * 99})


def differences(path: Path) -> None:
    ids = ["v" * 1_000_000 + f"_{i}" for i in range(40)]
    encoding = {"id": "DELTA_BYTE_ARRAY", "pred": "PLAIN"}
    parquet(
        path,
        {"id": ids, "pred": np.zeros(40)},
        use_dictionary=False,
        column_encoding=encoding,
    )


def fixed_length(path: Path) -> None:
    wide = pa.array([b"x" * 4_000_000] * 2, pa.binary(4_000_000)).take(pa.array([0] * 300))
    parquet(path, {"id": [f"v_{i}" for i in range(300)], "x": wide})


def wide_table(path: Path) -> None:
    parquet(path, {f"c{i}": [1.0] for i in range(5000)})


def row_groups(path: Path) -> None:
    parquet(path, {f"c{i}": [1.0] for i in range(250)}, 300)


def new_keys() -> bytes:
    return b"".join(b'{"id":"v_%d","pred":0,"k%d":1}\n' % (i, i) for i in range(20_000))


def repeated_key() -> bytes:
    """The last of 60,000 keys of one table is the one before it."""
    return b'{"id":"v_1",%s"k59999":1}' % b"".join(b'"k%d":1,' % i for i in range(60_000))


def empty_lists() -> bytes:
    return b'{"id":"v_1","pred":0,"x":[%s[]]}' % (b"[]," * 5_000_000)


def columns() -> bytes:
    names = ",".join(f"c{i}" for i in range(10**6))
    return f"id,pred,{names}\nv_1,0,{'0,' * 10**6}\n".encode()[:-2] + b"\n"


def short_cells() -> bytes:
    return b"video_id,clip_id,text,label,mode\n" + b"aa,bb,cc,0,train\n" * 2_000_000


def dotted(header: str) -> bytes:
    return header.encode() + ".".join(["a"] * 20_000).encode() + b" = 1\n"


PREFIX = b'name = "x"\ncorpora = ["mosi@label-csv"]\n'


def labels(path: Path) -> object:
    return label_csv.read(path, MOSI)


def pickle_of(path: Path) -> object:
    return mmsa_pickle.read(path, MOSI, "new", pad=True)


def mag_bert(path: Path) -> object:
    return mmsa_pickle.read(path, MOSI, "new", layout="mag-bert")


def manifest(path: Path) -> object:
    return SubmissionManifest.load(path, default="x")


@dataclass(frozen=True)
class Bomb:
    """A file, how it is read, and what its refusal says.

    Args:
        make: Its bytes, or what writes it.
        read: Reads it.
        says: Part of the message.
        file: Its name.
    """

    make: Callable[[], bytes] | Callable[[Path], None]
    read: Callable[[Path], object]
    says: str
    file: str = "bomb.pkl"

    def write(self, folder: Path) -> Path:
        path = folder / self.file
        if self.file.endswith(".parquet"):
            self.make(path)  # type: ignore[call-arg]
        else:
            path.write_bytes(self.make())  # type: ignore[call-arg,arg-type]
        return path


NEEDS = "of memory or more"
BOMBS = {
    "one text in 4,000 scalars": Bomb(scalars, pickle_of, NEEDS),
    "one long id named 6,000 times": Bomb(one_id, pickle_of, "an id of 200004 characters"),
    "one long text named 6,000 times": Bomb(one_text, pickle_of, NEEDS),
    "one long text in bytes, named 6,000 times": Bomb(texts_in_bytes, pickle_of, NEEDS),
    "one long clip beside 1,000 short ones": Bomb(tall, pickle_of, "padded to 600 frames"),
    "one array as 5,000 clips": Bomb(one_array, pickle_of, "padded to 2000 frames"),
    "labels of another shape": Bomb(wide_labels, pickle_of, "found the shape (2, 4000000)"),
    "one list of words in 3,000 clips": Bomb(one_list_of_words, mag_bert, NEEDS),
    "one key set 100,000 times": Bomb(one_key, pickle_of, NEEDS),
    "one array of texts built 20,000 times": Bomb(one_text_array, pickle_of, NEEDS),
    "10,000 keys": Bomb(many_keys, pickle_of, "10,004 keys in train"),
    "instructions without end": Bomb(
        lambda: b"\x80\x04(" + b"N" * 8_000_000 + b"l.", pickle_of, NEEDS
    ),
    "60 million equal rows": Bomb(equal_rows, read_predictions, NEEDS, "bomb.parquet"),
    "one long id in 60 rows": Bomb(long_id, read_predictions, NEEDS, "bomb.parquet"),
    "one long text in lists": Bomb(long_ids_in_lists, read_predictions, NEEDS, "bomb.parquet"),
    "texts as differences": Bomb(differences, read_predictions, "differences", "bomb.parquet"),
    "wide values of fixed length": Bomb(fixed_length, read_predictions, NEEDS, "bomb.parquet"),
    "5,000 columns": Bomb(wide_table, read_predictions, "5,000 columns", "bomb.parquet"),
    "75,000 parts": Bomb(row_groups, read_predictions, NEEDS, "bomb.parquet"),
    "a new key in each line": Bomb(new_keys, read_predictions, "4,097 keys", "bomb.jsonl"),
    "a repeated key": Bomb(repeated_key, read_predictions, "stands twice", "bomb.jsonl"),
    "empty lists": Bomb(empty_lists, read_predictions, NEEDS, "bomb.jsonl"),
    "a million columns of predictions": Bomb(columns, read_predictions, "columns", "bomb.csv"),
    "a million columns of labels": Bomb(columns, labels, "columns", "bomb.csv"),
    "a million columns of results": Bomb(columns, read_seed_table, "columns", "bomb.csv"),
    "a million columns of means": Bomb(columns, read_published, "columns", "bomb.csv"),
    "two million rows of short cells": Bomb(short_cells, labels, NEEDS, "bomb.csv"),
    "a number of 10,000 digits": Bomb(
        lambda: b"scale = 0x" + b"f" * 10_000 + b"\n", manifest, "digits", "bomb.toml"
    ),
    "a number of 400 digits": Bomb(
        lambda: b'mapping = "m"\nscale = 1' + b"0" * 400 + b"\n", manifest, "scale", "bomb.toml"
    ),
    "400 digits in JSON": Bomb(
        lambda: b'{"mapping": "m", "values": {"a": 1' + b"0" * 400 + b"}}",
        manifest,
        "values",
        "bomb.json",
    ),
    "a name of 20,000 parts": Bomb(lambda: dotted(""), manifest, "64 parts", "bomb.toml"),
    "a name of 20,000 parts in a table": Bomb(
        lambda: b"x = {" + dotted("").strip() + b"}\n", manifest, "64 parts", "bomb.toml"
    ),
    "a suite with a name of 20,000 parts": Bomb(
        lambda: PREFIX + dotted("protocol."), Suite.load, "64 parts", "bomb.toml"
    ),
    "a text of escaped quotes": Bomb(
        lambda: b'x = "' + b'\\"' * 400_000 + b"a. " * 70 + b"\n",
        manifest,
        "cannot read",
        "bomb.toml",
    ),
    "a suite of megabytes": Bomb(
        lambda: PREFIX + b"# nothing\n" * 300_000, Suite.load, "longer than", "bomb.toml"
    ),
    "a repeated key of a manifest": Bomb(repeated_key, manifest, "occurs twice", "bomb.json"),
}


def _read(bomb: Bomb, path: Path) -> tuple[str, str]:
    """What it is read as, or the error."""
    try:
        return type(bomb.read(path)).__name__, ""
    except (HarnessError, ValueError, TypeError, ArithmeticError, LookupError, OSError) as error:
        return type(error).__name__, str(error)
    except (MemoryError, RecursionError) as error:
        return type(error).__name__, ""


def measure(bomb: Bomb, folder: Path) -> dict[str, object]:
    """What came of reading it, the memory that it took beside that of the process, and the time."""
    path = bomb.write(folder)
    report, answer = os.pipe()
    child = os.fork()
    if child == 0:
        here = psutil.Process().memory_info()
        resource.setrlimit(resource.RLIMIT_AS, (here.vms + (6 << 30),) * 2)
        try:
            begin = time.process_time()
            kind, text = _read(bomb, path)
            facts = {"kind": kind, "text": text, "seconds": time.process_time() - begin}
            peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - here.rss
            os.write(answer, json.dumps({**facts, "memory": peak}).encode())
        finally:
            os._exit(0)
    os.close(answer)
    with os.fdopen(report, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    size = path.stat().st_size
    path.unlink()
    lost = {"kind": "killed", "text": "", "memory": 0, "seconds": 0.0}
    return {"size": size, **(json.loads(content) if content else lost)}


if __name__ == "__main__":
    for name in sys.argv[2:] or BOMBS:
        found = {"name": name, **measure(BOMBS[name], Path(sys.argv[1]))}
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
