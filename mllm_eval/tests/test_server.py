"""Starting and stopping a server, whatever goes wrong; vLLM's part is played by a small script."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from harness._util import venv as environments
from harness.cli import app
from harness.errors import DataError, RunFailed, SpecError
from mllm_eval.model.card import ModelCard, models, resolve
from mllm_eval.model.revision import folder_digest
from mllm_eval.model.small import make
from mllm_eval.model.weights import Weights, locate
from mllm_eval.server import environment
from mllm_eval.server import process as server
from mllm_eval.server import repairs as _repairs
from mllm_eval.server.command import (
    Launch,
    argument_digest,
    arguments,
    multiplies_bfloat16,
    variables,
)
from mllm_eval.server.environment import BUILDS, VERSION, Environment, lock_of, prepare
from mllm_eval.server.logs import last_words, newest_line
from mllm_eval.server.process import serve

LOCKS = sorted(Path(environment.__file__).with_name("locks").glob("*.txt"))
STAND_IN = '''
"""Takes vLLM's place: the same command line and pages, a child process, and endings to order."""
import http.server, json, os, pathlib, subprocess, sys, time

folder, names = pathlib.Path(sys.argv[2]), []
rest = sys.argv[sys.argv.index("--served-model-name") + 1:]
names = [word for word in rest[:2]]
port = next(int(w.partition("=")[2]) for w in rest if w.startswith("--port="))
orders = (folder / "config.json").read_text()
print("INFO 11-21 10:00:00 [api.py:1] loading", flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(folder / ".child").write_text(str(child.pid))
if "die" in orders:
    print("(EngineCore pid=7) ERROR 11-21 10:00:01 [core.py:9] Traceback (most recent call last):")
    print("(EngineCore pid=7) ERROR 11-21 10:00:01 [core.py:9] ValueError: not enough memory")
    print("RuntimeError: Engine core initialization failed. See root cause above.", flush=True)
    sys.exit(3)
if "hang" in orders:
    time.sleep(600)
time.sleep(0.3)

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        models = [{"id": name, "root": str(folder), "owned_by": "vllm"} for name in names]
        pages = {"/health": {}, "/version": {"version": "9.9"}, "/v1/models": {"data": models}}
        data = json.dumps(pages[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
'''


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Every server started is the script; ``stand_in(orders)`` gives a card of such a server."""
    package = tmp_path / "site" / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    (package / "main.py").write_text(STAND_IN)
    python = tmp_path / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    environment = Environment(folder=tmp_path / "environment", build="cpu")
    monkeypatch.setattr(server, "prepare", lambda cache: environment)
    monkeypatch.setattr(server, "_GRACE", 2.0)

    def card(orders="fine"):
        folder = tmp_path / "weights"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(orders)
        return resolve(str(folder))

    return card


def gone(pid, patience=10.0):
    """Whether the process ends in time; a zombie has ended."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def child_of(card):
    return int((Path(card.weights) / ".child").read_text())


def test_a_server_tells_what_it_is_and_leaves_nothing_behind(stand_in, tmp_path):
    card, heard = stand_in(), []
    with serve(card, cache=tmp_path / "cache", watch=lambda *told: heard.append(told)) as run:
        assert run.model == "weights"
        assert run.engine == "vllm 9.9"
        assert run.revision == folder_digest(Path(card.weights))
        assert "loading" in run.log.read_text()
        pid, child = run.pid, child_of(card)
        assert psutil.pid_exists(child)
    assert gone(pid)
    assert gone(child)


def test_an_error_inside_the_block_stops_the_server(stand_in, tmp_path):
    with pytest.raises(ZeroDivisionError), serve(stand_in(), cache=tmp_path) as run:
        raise ZeroDivisionError
    assert gone(run.pid)


def test_a_server_that_dies_at_the_start_is_one_error_with_its_reason(stand_in, tmp_path):
    with pytest.raises(RunFailed, match="ValueError: not enough memory") as caught:
        serve(stand_in("die"), cache=tmp_path).__enter__()
    assert "exit status 3" in str(caught.value)
    assert "Engine core initialization" not in str(caught.value)
    assert caught.value.hint.startswith("read ")
    assert gone(child_of(stand_in("die")))


def test_patience_ends(stand_in, tmp_path):
    card = stand_in("hang")
    with pytest.raises(RunFailed, match="not ready after 2 s") as caught:
        serve(card, cache=tmp_path, patience=2.0).__enter__()
    assert "--patience" in caught.value.hint
    assert gone(child_of(card))


def test_a_server_that_dies_later_is_noticed(stand_in, tmp_path):
    with serve(stand_in(), cache=tmp_path) as run:
        os.kill(run.pid, signal.SIGKILL)
        with pytest.raises(RunFailed, match="SIGKILL: out of memory"):
            run.wait()


def test_a_port_in_use_is_one_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"cannot listen on 127.0.0.1:{port}") as caught:
            serve(models["random-omni"], cache=tmp_path, port=port).__enter__()
    assert "--port 0" in caught.value.hint


def test_a_hosted_model_is_not_started(tmp_path):
    with pytest.raises(SpecError, match="served by its provider") as caught:
        serve(models["gpt-4o"], cache=tmp_path).__enter__()
    assert "https://api.openai.com/v1" in caught.value.hint


OWNER = """
import sys
from pathlib import Path
from mllm_eval.server import process as server
from mllm_eval.server.environment import Environment
from mllm_eval.model.card import resolve
folder = Path(sys.argv[1])
server.prepare = lambda cache: Environment(folder=folder / "environment", build="cpu")
with server.serve(resolve(str(folder / "weights")), cache=folder / "cache") as run:
    print(run.pid, flush=True)
    run.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_killing_the_owner_leaves_no_server(stand_in, tmp_path):
    stand_in()
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    assert gone(pid)
    owner.stdout.close()


def test_the_command_announces_the_server_and_stops_on_sigterm(stand_in, tmp_path):
    stand_in()
    script = OWNER.partition("with server")[0] + textwrap.dedent(
        """
        from harness.cli import main
        sys.argv = ["msa", "mllm", "serve", str(folder / "weights"), "--port", "0", "--json"]
        main()
        """
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "MSA_HOME": str(tmp_path / "home"),
            "MSA_SERVER_CACHE": str(tmp_path / "servers"),
        },
    )
    lines = []
    while not lines or lines[-1] != "}\n":
        lines.append(run.stdout.readline())
        assert lines[-1], run.stderr.read()
    pid = next(int(line.split(":")[1]) for line in lines if '"pid"' in line)
    run.terminate()
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 0, errors
    assert "weights is stopped" in errors
    assert gone(pid)


SMALL = "smollm2-135m-q4"
LOCAL = Weights(source="/w", revision="ab" * 32, local=True)


def flags_of(card, weights=LOCAL, **settings):
    return arguments(card, weights, Launch(**settings), host="127.0.0.1", port=7, flags=["--x=1"])


def test_the_command_line_says_everything_a_score_depends_on():
    command = flags_of(models["qwen2.5-omni-7b"])
    assert "--generation-config=vllm" in command
    assert '--limit-mm-per-prompt={"image": 32, "video": 1, "audio": 1}' in command
    assert any('"disable_any_whitespace": true' in flag for flag in command)
    names = command[command.index("--served-model-name") + 1 :][:2]
    digest = argument_digest(models["qwen2.5-omni-7b"], Launch(), ["--x=1"])
    assert names == ["qwen2.5-omni-7b", f"qwen2.5-omni-7b@{'ab' * 32}@{digest}"]
    assert command[-1] == "--x=1"
    assert not any("revision" in flag for flag in command)


SAME = [
    ["--port=9", "--host", "0.0.0.0"],
    ["--gpu-memory-utilization=0.8"],
    ["--max-num-seqs", "4"],
    ["--max-model-len=1", "--max-model-len=16384"],
    ["--max_model_len", "16384"],
    ['--limit-mm-per-prompt={"image":32,"video":1,"audio":1}'],
]
OTHER = [
    ["--dtype=float32"],
    ["--quantization", "fp8"],
    ["-q", "fp8"],
    ["--max-model-len=8192"],
    ['--mm-processor-kwargs={"max_pixels": 1}'],
    ["--tensor-parallel-size=2"],
    ["-tp", "2"],
    ["--enforce-eager"],
    ["--chat-template={template}"],
    ["--chat-template", "{template}"],
    ["--seed=1"],
]


def digest_with(*flags, **settings):
    return argument_digest(models["qwen2.5-omni-7b"], Launch(**settings), flags)


@pytest.mark.parametrize("flags", SAME, ids=" ".join)
def test_arguments_that_change_no_answer_change_no_digest(flags):
    assert digest_with(*flags) == digest_with()


@pytest.mark.parametrize("flags", OTHER, ids=" ".join)
def test_arguments_that_can_change_an_answer_change_the_digest(flags, tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages }}")
    filled = [flag.replace("{template}", str(template)) for flag in flags]
    assert digest_with(*filled) != digest_with()


def test_a_chat_template_is_known_by_its_content(tmp_path):
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    one.write_text("a"), same.write_text("a"), other.write_text("b")
    digests = [digest_with(f"--chat-template={path}") for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_cards_and_launches_and_variables_are_told(monkeypatch):
    cards = {argument_digest(card, Launch()) for card in (models["qwen2.5-omni-7b"], models[SMALL])}
    assert len(cards) == 2
    assert digest_with(dtype="float32") == digest_with("--dtype", "float32")
    assert digest_with(kv_cache=2.0, max_num_seqs=3) == digest_with()
    before = digest_with()
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "1")
    assert digest_with() != before


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16", True),
        ("processor : 0\nflags : amx_bf16 amx_tile", True),
        ("flags : fpu avx2 avx512f", False),
        ("", False),
    ],
)
def test_bfloat16_is_left_to_processors_that_multiply_it(tmp_path, monkeypatch, flags, found):
    (tmp_path / "cpuinfo").write_text(flags)
    assert multiplies_bfloat16(tmp_path / "cpuinfo") is found
    assert not multiplies_bfloat16(tmp_path / "none")
    monkeypatch.setattr("mllm_eval.server.command.multiplies_bfloat16", lambda: found)
    assert ("--dtype=float32" in Launch.of("cpu").flags()) is not found
    assert not Launch.of("cuda").flags()


def test_hub_weights_are_pinned_to_a_commit():
    hub = Weights(source="a/b", revision="c0ffee", local=False)
    command = flags_of(ModelCard(name="b", title="b", weights="a/b"), hub)
    assert {"--revision=c0ffee", "--tokenizer-revision=c0ffee"} <= set(command)


def test_adapters_lie_beside_the_weights():
    (flag,) = (f for f in flags_of(models["phi-4-multimodal"]) if "loras={" in f)
    assert flag.count("/w/") == 2
    assert "{weights}" not in flag


def test_a_text_model_gets_no_media_limits():
    assert not any("limit-mm" in flag for flag in flags_of(models["smollm2-135m-q4"]))


def test_the_server_keeps_to_itself(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    environment = Environment(folder=tmp_path / "e", build="cpu")
    found = variables(environment, LOCAL)
    assert not {"PYTHONPATH", "OMP_NUM_THREADS"} & set(found)
    assert {found[name] for name in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK")} == {"1"}
    assert found["HF_HUB_OFFLINE"] == "1"
    assert found["VLLM_CACHE_ROOT"].startswith(str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    hub = Weights(source="a/b", revision="c", local=False)
    assert "HF_HUB_OFFLINE" not in variables(environment, hub)


def test_a_server_gets_what_it_needs_and_no_keys(monkeypatch, tmp_path):
    environment = Environment(folder=tmp_path / "e", build="cpu")
    given = {
        **{"CUDA_VISIBLE_DEVICES": "1", "HF_HOME": "/cache", "LD_LIBRARY_PATH": "/lib"},
        **{"OPENAI_API_KEY": "a", "AWS_SECRET_ACCESS_KEY": "b", "MY_TOKEN": "c", "OTHER": "d"},
        **{"MLFLOW_TRACKING_PASSWORD": "e", "HF_TOKEN": "f", "VLLM_API_KEY": "g"},
        **{"https_proxy": "http://u:p@h", "VLLM_USE_V1": "1", "NCCL_DEBUG": "INFO", "LC_ALL": "C"},
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    local = variables(environment, LOCAL)
    assert {name for name in given if name in local} == {
        *("CUDA_VISIBLE_DEVICES", "HF_HOME", "LD_LIBRARY_PATH", "VLLM_API_KEY", "VLLM_USE_V1"),
        *("NCCL_DEBUG", "LC_ALL"),
    }
    assert local["PATH"] == os.environ["PATH"]
    hub = variables(environment, Weights(source="a/b", revision="c", local=False))
    assert {name for name in given if name in hub and name not in local} == {
        "HF_TOKEN",
        "https_proxy",
    }


LOGS = {
    "engine": (
        "\x1b[0;36m(EngineCore pid=12)\x1b[0;0m ERROR 11-21 10:00:01 [core.py:900] "
        "torch.OutOfMemoryError: CUDA out of memory.\n"
        "(APIServer pid=11) RuntimeError: Engine core initialization failed. See root cause above.",
        "torch.OutOfMemoryError: CUDA out of memory.",
    ),
    "repeated": ("OSError: no such file\nINFO 11-21 10:00:01 [a.py:1] bye\n" * 3, "no such file"),
    "flags": ("usage: vllm serve\nvllm serve: error: unrecognized arguments: --y", "--y"),
    "settings": (
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
        "  Value error, max_model_len (9) is greater than 8 [type=value_error]",
        "max_model_len (9) is greater than 8",
    ),
    "silent": ("", "it printed nothing"),
}


@pytest.mark.parametrize(("text", "expected"), LOGS.values(), ids=LOGS)
def test_the_last_words_of_a_log_are_its_reason(text, expected, tmp_path):
    log = tmp_path / "log"
    log.write_text(text)
    assert expected in last_words(log)
    assert "Engine core init" not in last_words(log)
    assert last_words(log).count("no such file") <= 1


def test_a_log_that_is_not_there_yet_says_nothing(tmp_path):
    assert newest_line(tmp_path / "log") == ""


def test_the_repairs_leave_what_vllm_needs(tmp_path):
    for name in ("torchaudio", "torchaudio-1.dist-info", "torchcodec", "torchvision", "vllm"):
        (tmp_path / name).mkdir()
    for _ in range(2):
        _repairs.repair(tmp_path, "0.32.0")
    kept = {path.name for path in tmp_path.iterdir()}
    assert {"torchvision", "vllm", "vllm-0.32.0+cpu.dist-info", "torchvision_shim.py"} <= kept
    assert not any(name.startswith(("torchaudio", "torchcodec")) for name in kept)
    line = (tmp_path / "torchvision_shim.pth").read_text()
    assert line.strip() == "import torchvision_shim; torchvision_shim.install()"


def test_a_changed_file_is_another_revision(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"1")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "note").write_text("x")
    before = folder_digest(tmp_path)
    (tmp_path / ".cache" / "note").write_text("y")
    assert folder_digest(tmp_path) == before
    (tmp_path / "a.safetensors").write_bytes(b"2")
    assert folder_digest(tmp_path) != before
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no files"):
        folder_digest(tmp_path / "empty")


@pytest.mark.slow
def test_the_random_model_is_made_once_and_always_the_same(tmp_path):
    first = locate(models["random-omni"], tmp_path / "a")
    assert first.local
    assert make("random-omni", tmp_path / "a") == Path(first.source)
    assert locate(models["random-omni"], tmp_path / "b").revision == first.revision


def test_an_unknown_model_cannot_be_made(tmp_path):
    with pytest.raises(SpecError, match="random-omni"):
        make("gpt-5", tmp_path)


def test_serving_without_a_model_is_wrong_input():
    shown = CliRunner().invoke(app, ["mllm", "serve", "no-such-model"])
    assert isinstance(shown.exception, SpecError)


def test_what_cannot_be_installed_can_be_elsewhere(tmp_path, monkeypatch) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no route to the index')"]
    monkeypatch.setattr(environments, "_commands", lambda *_: [command])
    with pytest.raises(RunFailed, match="no route to the index") as caught:
        prepare(tmp_path)
    assert "repeat the same command" in caught.value.hint
    assert "--server URL" in caught.value.hint


# What is installed


def lines_of(lock):
    text = lock.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_pins_every_package_by_hash_and_names_no_place(lock):
    build = lock.name.partition("-")[0]
    pinned = {}
    for line in lines_of(lock):
        found = re.fullmatch(
            r"([\w.-]+)==([\w.!+]+)(?: ;[^\\]*)?((?:\s+--hash=sha256:[0-9a-f]{64})+)", line
        )
        assert found, line[:100]
        pinned[found[1]] = found[2]
    for wanted in BUILDS[build]:
        name = re.match(r"[\w-]+", wanted)[0]
        assert name in pinned
    assert pinned["vllm"] == VERSION
    assert "://" not in lock.read_text()
    assert "/" not in "".join(lines_of(lock))


def test_a_lock_is_used_where_it_fits(monkeypatch, tmp_path):
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 9))
    monkeypatch.setattr(environment.platform, "system", lambda: "Linux")
    monkeypatch.setattr(environment.platform, "machine", lambda: "x86_64")
    lock = lock_of("cuda")
    assert lock in LOCKS
    assert lock_of("cpu") is None
    made = []
    monkeypatch.setattr(environment, "make_environment", lambda *a, **k: made.append((a, k)))
    monkeypatch.setattr(environment, "which_build", lambda: "cuda")
    prepare(tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    prepare(tmp_path)
    (with_lock, locked), (without, bare) = made
    assert (locked["lock"], bare["lock"]) == (lock, None)
    assert with_lock[0] != without[0]
    monkeypatch.setattr(environment.platform, "machine", lambda: "aarch64")
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert lock_of("cuda") is None
