"""What a server says of its weights is believed as far as it can be, and reads no other folder."""

import json
import os

import pytest

from mllm_eval.client import ask_served
from mllm_eval.model import revision
from mllm_eval.model.revision import folder_digest
from mllm_eval.tests.fake_server import FakeServer, Handler
from mllm_eval.tests.fake_server import answering as serving


def served(entry):
    class Told(Handler):
        def do_GET(self):
            told = {"version": "1"} if self.path == "/version" else {"data": [entry]}
            self.send(200, told)

    class Server(FakeServer):
        handler = Told

    with serving(Server()) as server:
        return ask_served(server.url, "m")


def revision_of(root):
    return served({"id": "m", "root": str(root), "owned_by": "fake"}).revision


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "weights"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "model.safetensors").write_bytes(b"1" * 1000)
    (folder / "sub" / "more.json").write_text("{}")
    (folder / ".hidden").write_text("x")
    return folder


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_the_content_of_a_model_folder_is_its_revision(model):
    assert revision_of(model) == folder_digest(model)


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("/", "not known"),
        ("/etc", "not known"),
        ("/proc/self", "not known"),
        ("/root", "not known"),
        ("..", "not known"),
        ("somebody/weights", "weights"),
        ("/no/such/folder", "folder"),
        ("/cache/snapshots/c0ffee", "c0ffee"),
        ("nul\0byte", "nul\0byte"),
        ("x" * 100_000, "x" * 200),
        ("", "m"),
    ],
)
def test_nothing_else_is_read(root, expected, monkeypatch):
    monkeypatch.setattr(revision, "_read", lambda *given: pytest.fail("it was read"))
    assert revision_of(root) == expected


def test_what_is_no_model_is_not_known(model, monkeypatch, caplog):
    config = (model / "config.json").read_text()
    for wrong in ("{}", "[]", "no json", '{"model_type": ' + "[" * 100_000):
        (model / "config.json").write_text(wrong)
        assert revision_of(model) == "not known"
    (model / "config.json").write_text(config)
    (model / "model.safetensors").rename(model / "model.txt")
    assert revision_of(model) == "not known"
    assert "their revision is recorded as not known" in caplog.text
    (model / "model.txt").rename(model / "model.gguf")
    assert revision_of(model) == folder_digest(model)


@pytest.mark.parametrize(
    ("limit", "value"), [("_MOST_FILES", 3), ("_MOST_BYTES", 500), ("_MOST_SECONDS", -1.0)]
)
def test_reading_has_bounds(model, monkeypatch, limit, value):
    monkeypatch.setattr(revision, limit, value)
    assert revision_of(model) == "not known"


def test_links_and_pipes_lead_nowhere(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("x")
    (model / "link").symlink_to(tmp_path / "elsewhere")
    (model / "loop").symlink_to(model)
    before = revision_of(model)
    os.mkfifo(model / "pipe")
    (model / "zero").symlink_to("/dev/zero")
    (tmp_path / "elsewhere" / "secret").write_text("y")
    assert revision_of(model) == before != "not known"


def test_a_folder_that_may_not_be_read_is_no_fault(model, monkeypatch):
    def refuse(*given, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(revision.os, "scandir", refuse)
    assert revision_of(model) == "not known"


def test_deep_and_endless_lists_are_no_fault():
    entry = {"id": "m", "root": "a/b", "owned_by": "x" * 100_000}
    assert len(served(entry).engine) < 300
