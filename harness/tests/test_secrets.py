"""Commands are given secrets, servers repeat them: no byte printed or stored has one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest

from harness.cli.tests.test_zero_shot_cli import Here, suite  # noqa: F401 - a fixture
from harness.runs.store import RunStore
from harness.testing.server import completion
from harness.testing.server import serving as answering
from harness.tests.stores import SEEDS, Off, Row, make_corpus, make_store
from mllm_eval.tests.fake_server import FakeServer, Handler

KEY = 'Zq7"very&secret/=key'
"""What JSON and addresses spell in other ways."""
PASSWORD = "pa55-w0rd:of/ann"
FORMS = {
    form
    for secret in (KEY, PASSWORD)
    for form in (
        secret,
        quote(secret),
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"ann:{secret}".encode()).decode(),
    )
}


class Parrot(Handler):
    """Repeats the key that it was given wherever a server can say something."""

    def send(self, status, payload, **headers):
        super().send(status, payload, **headers, **{"X-Told": quote(KEY)})

    def do_GET(self):
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.path == "/version":
            self.send(200, {"version": f"1 {key}"})
        elif self.server.models_status != 200:
            self.send(self.server.models_status, {"error": f"{key} {quote(key)}"})
        else:
            entry = {"id": "m", "root": f"somebody/{key}", "owned_by": f"fake {key}"}
            self.send(200, {"data": [entry, {"id": f"m@{key}"}, {"id": key}]})


def parrot(status: int) -> object:
    """What answers each request, by what goes wrong."""
    key = json.loads(json.dumps(KEY))
    good = completion(f"0.5 said {key}", reason=f"stop {key}")
    good["choices"][0]["logprobs"] = {
        "content": [{"token": key, "logprob": -0.1, "top_logprobs": [{"token": key}]}]
    }
    refusal = completion(None, refusal=f"not with {key}, not with {quote(key)}")
    told = {"error": {"message": f"Authorization: Bearer {key}; {quote(key)}", "code": key}}
    return {
        200: (200, good),
        201: (200, refusal),
        202: (200, {"choices": [{"message": {"content": [key]}}], key: key}),
        203: (200, key),
    }.get(status, (status, told))


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """Name and content of every file, tables as text and as they are."""
    for path in sorted(root.rglob("*")):
        yield "names", str(path)
        if path.is_file():
            yield str(path), path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                table = pd.read_parquet(path)
                yield str(path), "\n".join(map(repr, table.to_numpy().ravel().tolist()))


def leaks(said: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"{where}: {form}"
        for where, text in said
        for form in FORMS
        if form in text or form.encode().decode("latin-1") in text
    ]


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("THE_VARIABLE", KEY)
    monkeypatch.setattr("harness.runs.executors.local.LocalExecutor", Here)
    from mllm_eval.client import Limits

    monkeypatch.setattr(Limits, "__init__", _impatient(Limits.__init__))


def _impatient(made):
    def init(self, **given):
        made(self, **{"attempts": 2, "backoff": 0.001, "timeout": 5.0, **given})

    return init


def test_the_search_finds_what_is_there(tmp_path) -> None:
    for text in FORMS:
        assert leaks([("here", f"x{text}y")])
    pd.DataFrame({"a": [f"x {KEY} y"]}).to_parquet(tmp_path / "t.parquet")
    assert leaks(texts(tmp_path))


@pytest.mark.parametrize("status", [200, 201, 203, 400, 401, 500])
def test_a_server_repeats_the_key(msa, home, suite, fast, caplog, status) -> None:  # noqa: F811
    class Answers(FakeServer):
        handler = Parrot

    given = ("--key-variable", "THE_VARIABLE")
    commands = [
        ("mllm", "run", "asked", *given),
        ("mllm", "probe", "mosi@told", "--model", "m", "--only", "wording", *given),
        ("mllm", "explain", "mosi@told", "--model", "m", "--as", f"e{status}", *given),
        ("status",),
        ("board", "asked"),
        ("board", "asked", "--json"),
    ]
    with answering(Answers(lambda body: parrot(status))) as server:
        for command in commands:
            more = ("--server", server.url) if command[0] == "mllm" else ()
            _, out, errors = msa(*command, *more)
            assert leaks([(f"{command}", out), (f"{command}", errors)]) == []
        server.models_status = status if status >= 400 else 500
        _, out, errors = msa("mllm", "canary", "m", "--server", server.url, *given)
        assert leaks([("canary", out), ("canary", errors)]) == []
        seen = [headers.get("Authorization", "") for headers in server.headers]
    assert leaks(texts(home.root)) == []
    assert leaks([("log", caplog.text)]) == []
    assert any(KEY in header for header in seen) or status >= 400  # it really was sent
    if status == 200:
        assert any(run.spec.system == "mllm" for run in RunStore(home.store))


@pytest.mark.parametrize(
    "server",
    [
        f"http://ann:{quote(PASSWORD, safe='')}@127.0.0.1:9/v1",
        f"http://127.0.0.1:9/v1?token={quote(KEY, safe='')}",
        f"http://127.0.0.1:9/v1#key={quote(KEY, safe='')}",
        f"http://ann:{PASSWORD}@127.0.0.1:9/v1",
        f"http://ann:{quote(PASSWORD)}@[::1/v1",
    ],
)
def test_addresses_of_servers(msa, home, suite, fast, server) -> None:  # noqa: F811
    for command in (
        ("mllm", "run", "asked"),
        ("mllm", "probe", "mosi@told", "--model", "m"),
    ):
        code, out, errors = msa(*command, "--server", server)
        assert code in (1, 2)
        assert leaks([("out", out), ("errors", errors)]) == []
    text = (home.suites / "asked.toml").read_text()
    placed = text.replace('model = "m"', f'model = "m", server = {json.dumps(server)}')
    (home.suites / "placed.toml").write_text(placed)
    code, out, errors = msa("run", "placed")
    assert code in (1, 2)
    assert leaks([("out", out), ("errors", errors)]) == []
    (home.suites / "placed.toml").unlink()
    assert leaks(texts(home.root)) == []


URIS = {
    f"http://ann:{quote(PASSWORD, safe='')}@127.0.0.1:9": 1,
    f"http://127.0.0.1:9/?token={quote(KEY, safe='')}": 1,
    "http://ann@127.0.0.1:9": 1,
    f"postgresql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:9/x": 2,
    f"mssql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:9/x": 2,
    "mysql+pymysql://ann@127.0.0.1:9/x": 2,
    f"postgresql+none://ann:{quote(PASSWORD, safe='')}@127.0.0.1:9/x": 1,
    f"ftp://ann:{PASSWORD}@h/x": 2,
}
"""Where nothing can be exported to -> the exit code."""
DRIVERS = ("psycopg", "psycopg2", "pymysql", "pyodbc")


@pytest.fixture
def exporting(home, monkeypatch):
    make_store(home.store, [Row(label="A", cells={SEEDS[0]: Off(0.3)})], [make_corpus()])
    monkeypatch.setenv("MSA_TRACKING_PASSWORD", PASSWORD)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", KEY)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return home


@pytest.mark.parametrize(("uri", "exit_code"), URIS.items(), ids=[*map(str, range(len(URIS)))])
def test_addresses_of_trackers(msa, exporting, monkeypatch, uri, exit_code) -> None:
    for name in DRIVERS:
        monkeypatch.setitem(sys.modules, name, None)  # not installed
    code, out, errors = msa("export", "mlflow", "--uri", uri)
    assert leaks([("out", out), ("errors", errors)]) == []
    assert leaks(texts(exporting.root)) == []
    assert code == exit_code, errors
    assert [line.split(":")[0] for line in errors.splitlines()] == ["error", "next"]


def test_a_missing_driver_names_what_to_install(msa, exporting, monkeypatch) -> None:
    for name in DRIVERS:
        monkeypatch.setitem(sys.modules, name, None)
    hints = {
        "postgresql+psycopg": '"msa-harness[postgresql]"',
        "postgresql+psycopg2": "psycopg2-binary",
        "mysql+pymysql": "pymysql",
        "mssql+pyodbc": "pyodbc",
    }
    for scheme, package in hints.items():
        code, _, errors = msa("export", "mlflow", "--uri", f"{scheme}://ann@127.0.0.1:9/x")
        assert (code, errors.splitlines()[-1]) == (2, f"next: pip install {package}")


def test_a_password_of_the_environment_reaches_the_tracker(monkeypatch) -> None:
    from harness.tracking.connection import resolved as filled

    monkeypatch.setenv("MSA_TRACKING_PASSWORD", "p@ss/w:rd")
    assert filled("postgresql://ann@h/x") == "postgresql://ann:p%40ss%2Fw%3Ard@h/x"
    for uri in ("postgresql://ann:own@h/x", "http://h:5000", "http://h/m@r", "sqlite:////a@b"):
        assert filled(uri) == uri


@pytest.mark.parametrize("uri", [uri for uri in URIS if not uri.startswith("http")][:3])
def test_tracebacks_have_none_either(msa, exporting, monkeypatch, uri) -> None:
    for name in DRIVERS:
        monkeypatch.setitem(sys.modules, name, None)
    code, out, errors = msa("--debug", "export", "mlflow", "--uri", uri)
    assert leaks([("out", out), ("errors", errors)]) == []
    assert code == URIS[uri]
    assert "Traceback" in errors


@pytest.mark.slow
def test_a_process_of_its_own_prints_none(exporting) -> None:
    """Also where nobody foresaw what is raised."""
    program = (
        "import sys; sys.argv = ['msa', '--debug', 'export', 'mlflow', '--uri', sys.argv[1]]\n"
        "import harness.tracking.export as e, harness.__main__ as m\n"
        "from harness.tracking.connection import resolved\n"
        "def fail(*given):\n"
        "    raise RuntimeError(f'bug with {given} {resolved(sys.argv[-1])}')\n"
        "e._by_corpus = fail\n"
        "m.main()\n"
    )
    uri = "postgresql://ann@127.0.0.1:9/x"
    done = subprocess.run(
        [sys.executable, "-c", program, uri],
        env=os.environ | {"MSA_HOME": str(exporting.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert leaks([("out", done.stdout), ("errors", done.stderr)]) == []
    assert done.returncode == 1
    assert "RuntimeError: bug with" in done.stderr
