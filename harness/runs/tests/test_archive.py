"""``msa publish`` and ``msa verify ARCHIVE``: whole ones hold anywhere, changed ones are named."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import stat
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness._util import canonical
from harness.errors import DataError, RunFailed, SpecError, StoreError
from harness.home import Home
from harness.runs import archive
from harness.runs.archive import files
from harness.runs.store import RunStore
from harness.runs.tests.test_verify import flip, reseal
from harness.submissions import SubmissionManifest, SubmissionRecord, SubmissionStore
from harness.tests.stores import Failed, NotRun, Off, Row, make_corpus, make_store

ROWS = [
    Row(label="TFN", cells={1111: Off(0.5), 1112: Off(0.6)}),
    Row(label="Ridge", cells={0: Off(0.9)}, deterministic=True),
    Row(label="LMF", cells={1111: Failed("diverged"), 1112: NotRun()}),
]
CORPUS = make_corpus("mosi@small", clips=(1284, 229, 686))
Members = dict[str, bytes]


@pytest.fixture
def store(home: Home) -> RunStore:
    store = make_store(home.store, ROWS, [CORPUS])
    test = CORPUS.split("test")
    table = pd.DataFrame({"id": test.ids, "seed": 0, "pred": test.labels * 0.5, "split": "test"})
    record = SubmissionRecord(
        dataset="mosi",
        split="test",
        stated=SubmissionManifest(name="theirs"),
        source="0" * 64,
        seeds=(),
        clips=686,
        expected=686,
        left_out=0,
        flags=(),
    )
    SubmissionStore(store.root).put(record, table)
    (home.suites / "small.toml").write_text('corpora = ["mosi@small"]\n')
    return store


@pytest.fixture
def packed(store: RunStore, tmp_path: Path, msa) -> Path:
    path = tmp_path / "small.msa"
    code, said, errors = msa("publish", "small", "--out", path)
    assert code == 0, errors
    assert "3 runs, 1 submissions, 2 cells without a run" in said
    assert hashlib.sha256(path.read_bytes()).hexdigest() in said
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A home on another machine, with the labels and no run."""
    home = Home(tmp_path / "elsewhere")
    RunStore(home.store).put_truth(CORPUS)
    return home.root


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewrite(path: Path, members: Members, *, listed: bool = True) -> None:
    """Pack members again, with a list of digests that fits them."""
    members = dict(members)
    if listed:
        members.pop("SHA256SUMS", None)
        members["SHA256SUMS"] = files.listing(members)
    files.write(path, members)


def runs_of(members: Members) -> list[str]:
    return sorted({name.split("/")[1] for name in members if name.startswith("runs/")})


# Whole ones


def test_one_store_gives_one_archive(packed: Path, tmp_path: Path, msa) -> None:
    assert msa("publish", "small", "--out", tmp_path / "again.msa")[0] == 0
    assert (tmp_path / "again.msa").read_bytes() == packed.read_bytes()
    names = list(members_of(packed))
    assert names == sorted(names)


def test_what_is_packed(packed: Path, store: RunStore) -> None:
    members = members_of(packed)
    assert {name.split("/")[0] for name in members} == {
        *("MANIFEST.json", "SHA256SUMS", "plan.json", "suite.toml"),
        *("board", "runs", "failures", "submissions"),
    }
    record = json.loads(members["MANIFEST.json"])
    assert record["environment"]["python"]
    assert set(record["predictions"]) == {run.key for run in store}
    assert len(record["missing"]) == 1
    whole = b"".join(members.values())
    labels = CORPUS.split("test").labels
    for kind in (np.float32, np.float64):
        assert labels[:4].astype(kind).tobytes() not in whole


def test_coreutils_agree(packed: Path, tmp_path: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path / "out")
    command = ["sha256sum", "--quiet", "-c", "SHA256SUMS"]
    subprocess.run(command, cwd=tmp_path / "out", check=True)


def test_it_holds_on_another_machine_that_has_the_labels(
    packed: Path, elsewhere: Path, msa
) -> None:
    code, said, _ = msa("--home", elsewhere, "verify", packed)
    assert code == 0, said
    assert "3 runs, 1 submissions; 0 damaged" in said
    assert "numbers checked" in said
    code, said, _ = msa("--home", elsewhere, "verify", packed, "--json")
    assert json.loads(said)["numbers_checked"] is True


def test_without_labels_it_says_that_numbers_were_not_checked(
    packed: Path, tmp_path: Path, msa
) -> None:
    code, said, _ = msa("--home", tmp_path / "nothing", "verify", packed)
    assert code == 0
    assert "labels not here (mosi@small): numbers not checked" in said


def test_what_language_models_answered_stays_at_home(
    store: RunStore, elsewhere: Path, tmp_path: Path, msa
) -> None:
    run, secret = next(iter(store)), "what somebody said in a video"
    table = pd.DataFrame({"id": ["a"], "split": ["test"], "text": [secret]})
    table.to_parquet(run.folder / "answers.parquet", compression=None)
    reseal(run)
    assert secret.encode() in (run.folder / "answers.parquet").read_bytes()
    path = tmp_path / "a.msa"
    assert msa("publish", "small", "--out", path)[0] == 0
    assert secret.encode() not in path.read_bytes()
    code, said, _ = msa("--home", elsewhere, "verify", path)
    assert code == 0, said


def test_other_labels_are_told_from_those_it_was_made_on(packed: Path, tmp_path: Path, msa) -> None:
    home, table = Home(tmp_path / "other"), CORPUS.clips.copy()
    table.loc[table.index[-1], "label"] += 1
    columns = ["id", "video", "split", "label"]
    RunStore(home.store).keep_truth(CORPUS.fingerprint, table[columns])
    code, said, _ = msa("--home", home.root, "verify", packed)
    assert code == 1
    assert "labels of mosi@small here are not those that it was made on" in said


def test_a_suite_that_names_a_place_stays_at_home(store: RunStore, home: Home, tmp_path, msa):
    (home.suites / "small.toml").write_text('[[systems]]\nparams = { media = "/home/me/clips" }\n')
    path = tmp_path / "a.msa"
    code, said, _ = msa("publish", "small", "--out", path)
    assert code == 0
    assert "without the suite's file" in said
    assert "suite.toml" not in members_of(path)


def test_a_damaged_run_is_not_published(store: RunStore, tmp_path: Path, msa) -> None:
    run = next(iter(store))
    flip(run.folder / "predictions.parquet")
    code, _, errors = msa("publish", "small", "--out", tmp_path / "a.msa")
    assert code == 1
    assert run.key in errors
    assert not (tmp_path / "a.msa").exists()


def test_a_suite_that_was_never_run_is_an_error(home: Home, tmp_path: Path, msa) -> None:
    code, _, errors = msa("publish", "small", "--out", tmp_path / "a.msa")
    assert code == 1
    assert "has not been run here" in errors


# Changed ones


def test_no_flipped_bit_goes_unnoticed(packed: Path, elsewhere: Path, tmp_path: Path) -> None:
    whole, home = packed.read_bytes(), Home(elsewhere)
    with zipfile.ZipFile(packed) as file:
        entries = file.infolist()
    for number, entry in enumerate(entries):
        place = entry.header_offset + 30 + len(entry.filename) + entry.file_size // 2
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << number % 8
        packed.write_bytes(spoilt)
        with pytest.raises(DataError, match=r"small\.msa"):
            archive.check(packed, home, tmp_path / f"out{number}")


def drop(members: Members) -> str:
    del members[f"runs/{runs_of(members)[0]}/history.json"]
    return "history.json is missing"


def drop_run(members: Members) -> str:
    key = runs_of(members)[0]
    for name in [name for name in members if key in name]:
        del members[name]
    return f"{key} is planned and missing"


def add_run(members: Members) -> str:
    first = runs_of(members)[0]
    for name in [name for name in members if first in name]:
        members[name.replace(first, "f" * 32)] = members[name]
    return "it describes run"


def other_predictions(members: Members) -> str:
    one, other = runs_of(members)[:2]
    members[f"runs/{one}/predictions.parquet"] = members[f"runs/{other}/predictions.parquet"]
    return "predictions.parquet is not what was written"


def exchange_runs(members: Members) -> str:
    one, other = runs_of(members)[:2]
    for name in [name for name in members if name.startswith(f"runs/{one}/")]:
        twin = name.replace(one, other)
        members[name], members[twin] = members[twin], members[name]
    return "it describes run"


def other_parameters(members: Members) -> str:
    key = runs_of(members)[0]
    name = f"runs/{key}/manifest.json"
    table = json.loads(members[name])
    table["spec"]["seed"] += 1
    members[name] = canonical.dumps(table).encode()
    relist(members, key)
    return "it describes run"


def relist(members: Members, key: str) -> None:
    """What a careful forger does: digests that fit."""
    own = {
        name.rpartition("/")[2]: content
        for name, content in members.items()
        if name.startswith(f"runs/{key}/") and not name.endswith("SHA256SUMS")
    }
    members[f"runs/{key}/SHA256SUMS"] = files.listing(own)


def better_predictions(members: Members) -> str:
    key = runs_of(members)[0]
    name = f"runs/{key}/predictions.parquet"
    table = pq.read_table(pa.BufferReader(members[name])).to_pandas()
    table["pred"] *= 0.9
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), sink)
    members[name] = sink.getvalue().to_pybytes()
    relist(members, key)
    record = json.loads(members["MANIFEST.json"])
    record["predictions"][key] = hashlib.sha256(members[name]).hexdigest()
    members["MANIFEST.json"] = canonical.dumps(record).encode()
    return "is not what its predictions give"


def board(members: Members) -> str:
    members["board/board.html"] = members["board/board.html"].replace(b"TFN", b"TFM")
    return "board/board.html is not what its predictions give"


def plan(members: Members) -> str:
    members["plan.json"] = members["plan.json"].replace(b"Small suite", b"Great suite")
    return "it is not what was written"


def exchange_cells(members: Members) -> str:
    table = json.loads(members["plan.json"])
    del table["digest"]
    first, *_, last = [cell for cell in table["cells"] if cell["label"] in ("TFN", "Ridge")]
    first["key"], last["key"] = last["key"], first["key"]
    members["plan.json"] = canonical.dumps({**table, "digest": canonical.digest(table)}).encode()
    return "is of another cell than"


def no_digest(members: Members) -> str:
    table = json.loads(members["plan.json"])
    for name in ("digest", "format", "stored_as"):
        del table[name]
    members["plan.json"] = canonical.dumps(table).encode()
    return "plan.json has no digest"


def reason(members: Members) -> str:
    (name,) = (name for name in members if name.startswith("failures/"))
    members[name] = members[name].replace(b"diverged", b"too slow")
    return "is not what was written"


def submission(members: Members) -> str:
    name = "submissions/mosi/theirs/predictions.parquet"
    members[name] = members[f"runs/{runs_of(members)[0]}/predictions.parquet"]
    return "submission 'theirs' is damaged"


FORGED = [
    *(drop, drop_run, add_run, other_predictions, exchange_runs, other_parameters),
    *(better_predictions, board, plan, exchange_cells, no_digest, reason, submission),
]


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_what_does_not_agree_is_named_though_the_list_of_digests_fits(
    packed: Path, elsewhere: Path, msa, forge: Callable[[Members], str]
) -> None:
    members = members_of(packed)
    expected = forge(members)
    rewrite(packed, members)
    code, said, errors = msa("--home", elsewhere, "verify", packed)
    assert code == 1, errors
    assert expected in said
    assert "Traceback" not in errors


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_what_was_changed_by_chance_is_named_by_the_list(
    packed: Path, elsewhere: Path, msa, forge: Callable[[Members], str]
) -> None:
    members = members_of(packed)
    forge(members)
    rewrite(packed, members, listed=False)
    assert msa("--home", elsewhere, "verify", packed)[0] == 1


# Hostile ones


def hostile(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes], how=zipfile.ZIP_STORED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", how) as file:
        warnings.simplefilter("ignore")  # of a name twice
        for entry, content in entries:
            file.writestr(entry, content)


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("plan.json")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([("../escaped", b"")], "no archive has"),
        ([("/escaped", b"")], "no archive has"),
        ([("runs/../../escaped", b"")], "no archive has"),
        ([("submissions/../x/manifest.json", b"")], "no archive has"),
        ([("submissions/mosi/.hidden/manifest.json", b"")], "no archive has"),
        ([("runs/" + "0" * 32 + "/answers.parquet", b"")], "no archive has"),
        ([("board/", b"")], "no archive has"),
        ([("plan.json\x1b]0;title\x07", b"")], "no archive has"),
        ([(link(), b"/etc/passwd")], "is no plain file"),
        ([("plan.json", b"a"), ("plan.json", b"b")], "two members"),
        ([("plan.json", bytes(40 * 2**20))], "larger than 32 MiB"),
    ],
)
def test_a_hostile_archive_is_refused_and_nothing_leaves_the_folder(
    tmp_path: Path, home: Home, msa, entries, why: str
) -> None:
    path = tmp_path / "evil.msa"
    hostile(path, *entries)
    code, _, errors = msa("verify", path)
    assert code == 2
    assert why in errors
    assert "\x1b" not in errors
    assert not list(tmp_path.rglob("escaped*"))


def test_compressed_members_are_not_unpacked(tmp_path: Path, home: Home, msa) -> None:
    path = tmp_path / "bomb.msa"
    hostile(path, ("plan.json", bytes(30 * 2**20)), how=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**16
    code, _, errors = msa("verify", path)
    assert code == 2
    assert "larger than itself" in errors


def test_members_that_overlap_are_refused(packed: Path, tmp_path: Path) -> None:
    """Many entries of the directory that name the same bytes of the file."""
    count = 40
    hostile(packed, (f"runs/{'0' * 32}/predictions.parquet", bytes(2**16)))
    whole = packed.read_bytes()
    start = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    entry = whole[start:end]
    entries = b"".join(entry.replace(b"0" * 32, b"%032x" % i) for i in range(count))
    tail = bytearray(whole[end:])
    tail[8:12] = count.to_bytes(2, "little") * 2
    tail[12:16] = len(entries).to_bytes(4, "little")
    packed.write_bytes(whole[:start] + entries + tail)
    with pytest.raises(DataError, match="larger than itself"):
        files.unpack(packed, tmp_path / "out")


def test_any_bytes_are_an_archive_or_one_error(tmp_path: Path) -> None:
    members = {"MANIFEST.json": b"{}" * 20, "plan.json": b"{}" * 50, "board/board.md": b"x" * 99}
    path = tmp_path / "a.msa"
    files.write(path, members)
    whole, refused = path.read_bytes(), 0
    for seed in range(1000):
        chance, spoilt = random.Random(seed), bytearray(whole)
        for _ in range(chance.choice([1, 2, 8])):
            place = chance.randrange(len(spoilt))
            if chance.random() < 0.7:
                spoilt[place] = chance.randrange(256)
            else:
                spoilt[place : place + chance.randrange(9)] = chance.choice([b"", b"\xff" * 4])
        path.write_bytes(spoilt)
        try:
            names = files.unpack(path, tmp_path / f"out{seed}")
        except DataError:
            refused += 1
        else:
            assert set(names) <= set(members)
    assert refused > 500


def test_an_archive_without_a_record_is_none(packed: Path, home: Home, msa) -> None:
    members = members_of(packed)
    del members["MANIFEST.json"]
    rewrite(packed, members)
    code, _, errors = msa("verify", packed)
    assert code == 2
    assert "MANIFEST.json is missing" in errors


def deep(members: Members) -> str:
    key = runs_of(members)[0]
    members[f"runs/{key}/manifest.json"] = b"[" * 200_000
    relist(members, key)
    return "damaged record manifest.json"


def loud(members: Members) -> str:
    table = json.loads(members["plan.json"])
    del table["digest"]
    for corpus in table["corpora"]:
        corpus["name"] = "a\x1b]0;title\x07"
    members["plan.json"] = canonical.dumps({**table, "digest": canonical.digest(table)}).encode()
    return "title"


@pytest.mark.parametrize("forge", [deep, loud], ids=lambda forge: forge.__name__)
def test_hostile_content_ends_in_plain_lines(packed, tmp_path: Path, msa, forge) -> None:
    members = members_of(packed)
    expected = forge(members)
    rewrite(packed, members)
    code, said, errors = msa("--home", tmp_path / "nothing", "verify", packed)
    assert code == 1
    assert expected in said
    assert "\x1b" not in said + errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all", bytes(10_000)])
def test_what_is_no_archive_is_an_error(tmp_path: Path, home: Home, msa, content: bytes) -> None:
    path = tmp_path / "a.msa"
    path.write_bytes(content)
    code, _, errors = msa("verify", path)
    assert code == 2
    assert "is no archive of msa publish" in errors
    for other in (tmp_path, tmp_path / "absent", Path("/dev/zero")):
        assert msa("verify", other)[0] == 2


def test_a_small_table_of_many_rows_is_not_read(packed: Path, elsewhere: Path, msa) -> None:
    members = members_of(packed)
    key = runs_of(members)[0]
    rows = pa.DictionaryArray.from_arrays(pa.array([0] * 30_000_000, pa.int8()), pa.array(["a"]))
    table = pa.table({name: rows for name in ("id", "split", "condition", "variant")})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    members[f"runs/{key}/predictions.parquet"] = sink.getvalue().to_pybytes()
    relist(members, key)
    rewrite(packed, members)
    code, said, _ = msa("--home", elsewhere, "verify", packed)
    assert code == 1
    assert "of memory or more with 30,000,000 rows" in said


def test_a_long_text_that_stands_in_every_row_is_not_read(packed, elsewhere: Path, msa) -> None:
    members = members_of(packed)
    key = runs_of(members)[0]
    rows = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int8()), pa.array(["a" * 10**7]))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": rows}), sink, compression="zstd")
    members[f"runs/{key}/predictions.parquet"] = sink.getvalue().to_pybytes()
    relist(members, key)
    rewrite(packed, members)
    code, said, _ = msa("--home", elsewhere, "verify", packed)
    assert code == 1
    assert "the texts of id, written out" in said


# Signed ones


@pytest.fixture
def key(tmp_path: Path) -> Path:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen here")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key


def signers(key: Path, name: str = "me@example.org") -> Path:
    path = key.with_name("allowed_signers")
    kind, public, *_ = key.with_suffix(".pub").read_text().split()
    path.write_text(f"{name} {kind} {public}\n")
    return path


def test_a_signature_holds_until_a_byte_changes(store, tmp_path, home, msa, key: Path) -> None:
    path = tmp_path / "a.msa"
    code, said, errors = msa("publish", "small", "--out", path, "--sign", key)
    assert code == 0, errors
    assert "signature:" in said
    assert archive.signature_of(path).is_file()
    code, said, _ = msa("verify", path)
    assert code == 0
    assert "signature was not checked" in said
    code, said, errors = msa("verify", path, "--signers", signers(key))
    assert code == 0, errors
    assert "signed by me@example.org" in said
    path.write_bytes(path.read_bytes() + b"\0")
    code, _, errors = msa("verify", path, "--signers", signers(key))
    assert code == 1
    assert "changed since" in errors


def test_a_signature_of_somebody_else_does_not_hold(packed: Path, tmp_path, msa, key: Path) -> None:
    archive.sign(packed, key)
    other = tmp_path / "other" / "key"
    other.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    code, _, errors = msa("verify", packed, "--signers", signers(other))
    assert code == 1
    assert "nobody on the list" in errors
    archive.signature_of(packed).unlink()
    code, _, errors = msa("verify", packed, "--signers", signers(key))
    assert code == 1
    assert "is not signed" in errors


def test_a_key_that_is_none_is_said(packed: Path, tmp_path: Path, key: Path) -> None:
    with pytest.raises(SpecError, match="there is no key"):
        archive.sign(packed, tmp_path / "absent")
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(RunFailed, match="is not signed"):
        archive.sign(packed, tmp_path / "text")
    with pytest.raises(SpecError, match="no list of signers"):
        archive.signer_of(packed, tmp_path / "absent")


def test_without_openssh_one_line_says_so(packed: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "key").write_text("")
    archive.signature_of(packed).write_text("")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpecError, match="ssh-keygen, which is not installed"):
        archive.sign(packed, tmp_path / "key")
    with pytest.raises(SpecError, match="ssh-keygen, which is not installed"):
        archive.signer_of(packed, tmp_path / "key")


def test_options_go_with_what_they_are_about(packed: Path, msa) -> None:
    assert msa("verify", packed, "--corpora")[0] == 2
    assert msa("verify", "--signers", packed)[0] == 2


def test_a_full_disk_leaves_nothing(store: RunStore, tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_add", refuse)
    with pytest.raises(StoreError, match="No space left"):
        archive.pack(store, "small", tmp_path / "out" / "a.msa", board=(b"", b""))
    assert not list((tmp_path / "out").iterdir())
