"""``msa data`` as a user meets it: what was read how, and what it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import harness
from harness.tests.limits import KEEPS_NO_BYTECODE, files_up_to
from harness.tests.official_labels import clips_of

HEADER = "video_id,clip_id,text,label,mode\n"


def add(msa, path: Path, content: bytes, *options: str, dataset: str = "mosi"):
    path.write_bytes(content)
    return msa("data", "add", path, "--dataset", dataset, *options)


def rows(text: str) -> str:
    return f"{HEADER}v,1,{text},1,train\nw,1,b,-1,valid\nx,1,c,0,test\n"


@pytest.mark.parametrize(
    ("text", "encoding", "dataset"),
    [
        ("it’s good", "cp1252", "mosi"),
        ("a café", "cp1252", "mosei"),
        ("it’s a café", "mac_roman", "mosi"),
        ("我不想去了，你们去吧！", "gb18030", "sims"),
        ("這部電影真的很好看，我覺得演員都很棒，明天還想再看一次。", "big5", "simsv2"),
    ],
)
def test_another_encoding_is_said_and_recorded(msa, tmp_path, text, encoding, dataset) -> None:
    code, said, _ = add(msa, tmp_path / "l.csv", rows(text).encode(encoding), dataset=dataset)
    assert code == 0
    assert f"encoding: {encoding} (not UTF-8; " in said
    _, info, _ = msa("data", "info", f"{dataset}@label-csv-own", "--json")
    assert json.loads(info)["manifest"]["source"]["encoding"] == encoding


def test_utf8_is_not_worth_a_word(msa, tmp_path) -> None:
    code, said, _ = add(msa, tmp_path / "l.csv", rows("it’s").encode("utf-8-sig"))
    assert (code, "encoding" in said) == (0, False)


def test_an_encoding_that_cannot_be_told_is_stated(msa, tmp_path) -> None:
    content = rows("El Niño").encode("mac_roman")
    code, _, errors = add(msa, tmp_path / "l.csv", content)
    assert code == 2
    assert "could be" in errors and "next: state which: --encoding NAME" in errors
    code, said, _ = add(msa, tmp_path / "l.csv", content, "--encoding", "mac_roman")
    assert (code, "encoding: mac_roman (as stated)" in said) == (0, True)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("l.csv", rows("a").encode("utf-16"), (), "l.csv is in UTF-16"),
        ("l.csv", rows("a").encode(), ("--encoding", "utf-9"), "no encoding 'utf-9'"),
        ("l.csv", rows("caf\xe9").encode("latin-1"), ("--encoding", "utf-8"), "is not utf-8 text"),
        ("l.pkl", b"x", ("--encoding", "utf-8"), "--encoding is for a label.csv"),
        ("l.csv", rows("a").replace(",", ";").replace("-1", "-0,5").encode(), (), "have a point"),
        ("l.csv", rows('"a,1,train\nv,2,b"').encode(), (), "line 2: a quote is opened"),
        (
            "l.csv",
            rows("a").replace("-1", '"0,5"').encode(),
            (),
            "line 3: label should be a number",
        ),
        ("l.csv", rows("a").replace("x,1", "v,1 ").encode(), (), "before, in line 2"),
        ("l.csv", rows("a\x00").encode(), (), "line 2: text holds a control character"),
    ],
)
def test_a_wrong_file_is_one_clear_error(msa, tmp_path, name, content, options, message) -> None:
    code, _, errors = add(msa, tmp_path / name, content, *options)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


def test_the_letter_case_of_a_suffix_does_not_matter(msa, tmp_path) -> None:
    code, said, _ = add(msa, tmp_path / "L.CSV", rows("a").encode())
    assert (code, said.startswith("mosi@label-csv-own: 3 clips")) == (0, True)


def test_a_split_of_ones_own_is_said_at_once(msa, tmp_path) -> None:
    _, said, _ = add(msa, tmp_path / "l.csv", rows("a").encode())
    own = "1 of 1,284 train, 1 of 229 valid and 1 of 686 test clips"
    assert f"note: not the official split ({own})" in said
    _, info, _ = msa("data", "info", "mosi@label-csv-own", "--json")
    assert json.loads(info)["official"] == f"no: {own}"
    _, checked, _ = msa("data", "check")
    assert f"not the official split: {own}" in checked


def test_the_official_split_is_not_worth_a_word(msa, tmp_path) -> None:
    content = clips_of("mosi").to_csv(index=False).encode()
    _, said, _ = add(msa, tmp_path / "l.csv", content)
    assert "note" not in said
    _, info, _ = msa("data", "info", "mosi@label-csv", "--json")
    assert json.loads(info)["official"] == "yes"


def test_another_dataset_under_this_name_is_refused(msa, tmp_path) -> None:
    content = clips_of("sims").to_csv(index=False).encode()
    code, said, told = add(msa, tmp_path / "l.csv", content)
    assert (code, said) == (2, "")
    assert "not of CMU-MOSI: 1,368 / 456 / 457 clips are those of CH-SIMS" in told
    assert "next: --dataset sims" in told
    assert add(msa, tmp_path / "l.csv", content, dataset="sims")[0] == 0


def test_a_part_of_another_dataset_is_known_by_its_ids_where_that_is_here(msa, tmp_path) -> None:
    clips = clips_of("sims")
    add(msa, tmp_path / "l.csv", clips.to_csv(index=False).encode(), dataset="sims")
    part = pd.concat([clips.iloc[:5], clips.iloc[1400:1405], clips.iloc[-5:]])
    content = part.to_csv(index=False).encode()
    code, _, told = add(msa, tmp_path / "l.csv", content)
    assert code == 2
    assert "not of CMU-MOSI: 15 of 15 ids are those of CH-SIMS" in told
    code, said, _ = add(msa, tmp_path / "l.csv", content, dataset="sims")
    assert (code, said.startswith("sims@label-csv-own: 15 clips")) == (0, True)


def test_an_official_name_is_for_the_official_split(msa, tmp_path) -> None:
    content = rows("a").encode()
    code, _, told = add(msa, tmp_path / "l.csv", content, "--feature-set", "label-csv")
    assert code == 2
    assert "mosi@label-csv is CMU-MOSI as published; this file is not: 1 / 1 / 1 clips" in told
    assert "next: give it a name of its own: --feature-set label-csv-own" in told
    assert add(msa, tmp_path / "l.csv", content, "--feature-set", "mine")[0] == 0


def test_as_many_clips_of_other_ids_are_not_the_official_split(msa, tmp_path) -> None:
    clips = clips_of("mosi")
    add(msa, tmp_path / "l.csv", clips.to_csv(index=False).encode())
    renamed = clips.assign(video_id="made-up-" + clips["video_id"].astype(str))
    _, said, _ = add(msa, tmp_path / "l.csv", renamed.to_csv(index=False).encode())
    assert said.startswith("mosi@label-csv-own: 2199 clips")


def test_explanations_in_another_encoding(msa, tmp_path) -> None:
    add(msa, tmp_path / "l.csv", rows("a").encode())
    told = tmp_path / "told.csv"
    told.write_bytes("id,summary\nv$_$1,it’s loud\n".encode("cp1252"))
    explain = ("data", "explain", "mosi@label-csv-own", told, "--kind", "both")
    code, said, _ = msa(*explain)
    assert code == 0
    assert "encoding: cp1252: not UTF-8" in said
    assert "summary: 1 of 3 clips" in said
    told.write_bytes("id,summary\nv_1,El Niño\n".encode("mac_roman"))
    assert msa(*explain, "--feature-set", "two")[0] == 2
    assert msa(*explain, "--feature-set", "two", "--encoding", "mac_roman")[0] == 0


SMALL_DISK = {
    "a corpus": ("data", "add", "l.csv", "--dataset", "mosi"),
    "a twin": ("data", "info", "mosi-twin@compact-x5"),
}


@pytest.mark.parametrize("what", SMALL_DISK)
def test_a_full_disk_is_one_line_and_nothing_is_left(tmp_path, what) -> None:
    """Files may have 8 KiB here: what a full disk does, to every way of writing."""
    text = "".join(f"v{i},{i},words {i * 7919},1,train\n" for i in range(3000))
    (tmp_path / "l.csv").write_text(HEADER + text + "w,1,b,-1,valid\nx,1,c,0,test\n")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "--home", "home", *SMALL_DISK[what]],
        cwd=tmp_path,
        env=os.environ | KEEPS_NO_BYTECODE | {"PYTHONPATH": str(Path(harness.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=files_up_to(8192),
    )
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: corpus ")
    assert "could not be stored" in error
    assert hint.startswith("next: free some space")
    assert {path.name for path in (tmp_path / "home" / "corpora").iterdir()} <= {".lock"}


def test_a_disk_that_refuses_anywhere_is_one_line(msa, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.data.load", full)
    code, _, said = msa("data", "info", "mosi-twin@compact-x5")
    assert code == 1
    assert "error: a file cannot be read or written: [Errno 28] No space left on device" in said


@pytest.mark.parametrize("size", ["2K", "64M"])
def test_memory_is_what_a_file_may_take(msa, tmp_path, size) -> None:
    code, _, said = add(msa, tmp_path / "l.csv", rows("a" * 3000).encode(), "--memory", size)
    if size == "64M":
        assert code == 0
    else:
        assert code == 2
        assert "l.csv (3 KiB) needs 3 KiB of memory or more" in said
        assert "allowed are 2 KiB (stated)" in said
        assert "next: if you trust it: --memory 1G" in said


@pytest.mark.parametrize(("told", "leaks"), [("{label}", True), ("nothing is to be heard", False)])
def test_explanations_that_know_the_label_are_warned_of(msa, tmp_path, told, leaks) -> None:
    labels = [(-2.0, 0.0, 2.0)[i % 3] for i in range(60)]
    lines = [f"v{i // 4},{i % 4},so be it,{label},train" for i, label in enumerate(labels)]
    lines += ["w,1,b,-1,valid", "x,1,c,0,test"]
    (tmp_path / "l.csv").write_text(HEADER + "\n".join(lines) + "\n")
    msa("data", "add", tmp_path / "l.csv", "--dataset", "mosi")
    moods = {-2.0: "gloomy", 0.0: "even", 2.0: "cheerful"}
    pd.DataFrame(
        {
            "video_id": [f"v{i // 4}" for i in range(60)],
            "clip_id": [str(i % 4) for i in range(60)],
            "audio_clue": [told.format(label=moods[label]) for label in labels],
        }
    ).to_csv(tmp_path / "t.csv", index=False)
    name = "mosi@label-csv-own"
    code, said, errors = msa("data", "explain", name, tmp_path / "t.csv", "--kind", "video_mllm")
    assert code == 0
    assert "leak gate: explanations alone MAE" in said
    assert ("LABEL LEAK SUSPECTED" in errors) is leaks
    code, checked, _ = msa("data", "check", f"{name}-explained", "--json")
    (found,) = [one for one in json.loads(checked) if one["check"].startswith("explanations that")]
    assert found["verdict"] == ("fail" if leaks else "ok")
