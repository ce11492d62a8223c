"""What a server says of the model behind it: which weights, which engine, served how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from harness._util.canonical import Json
from harness._util.redaction import masked
from harness.errors import DataError, NotHere, RunFailed
from mllm_eval.client.endpoint import Client
from mllm_eval.client.listed import arguments_of, entries
from mllm_eval.model.revision import folder_digest, told

__all__ = ["Served", "ask_served"]

_WAIT = 10.0  # seconds
_LONGEST_PATH = 4096  # characters
_LONGEST = 200  # characters kept of a name that a server gives


@dataclass(frozen=True, kw_only=True)
class Served:
    """The model as it is served.

    Args:
        revision: Of the weights: what was stated, else their commit or content where the server
            says where they are, else the name alone; ``not known`` where it names a folder here
            that is no model's, or one too large to read.
        engine: Inference engine and version.
        arguments: Digest of what the server was started with, told by servers of ``msa mllm
            serve``; of other servers the longest context that they tell; empty where they tell
            nothing.
    """

    revision: str
    engine: str
    arguments: str = ""

    @property
    def identity(self) -> dict[str, Json]:
        """What answers and runs are keyed by; nothing stands for what a server does not tell."""
        known = {"revision": self.revision, "engine": self.engine}
        return {**known, **({"arguments": self.arguments} if self.arguments else {})}


def ask_served(
    base_url: str,
    model: str,
    *,
    stated: str = "",
    key_variable: str = "",
    bring: str | None = None,
) -> Served:
    """Ask a server which weights and which engine answer for ``model``.

    Args:
        base_url: Up to and including ``/v1``; several are joined by commas.
        model: Name the server knows.
        stated: A revision or snapshot that the server cannot tell; it is taken as it is.
        key_variable: Environment variable that holds the API key; empty: none is sent.
        bring: What to type where no server is named; None: how to serve the model.

    Raises:
        RunFailed: When no server answers, or it refuses the key.
        NotHere: When no server is named, or it serves other models only.
        DataError: When one of several serves the model otherwise than the first: such answers
            would be of two models.
    """
    client = Client(
        base_url=base_url, model=model, revision="", engine="", key_variable=key_variable or None
    )
    if not client.addresses:
        raise NotHere(
            f"no server is named to ask {model}",
            hint=bring or f"msa mllm serve {model}, then name its address: --server URL",
            what=f"a server of {model}",
        )
    first, *others = client.addresses
    found = _ask_one(client.at(first), stated)
    for other in others:
        also = _ask_one(client.at(other), stated)
        if also != found:
            differing = [
                f"{name} {getattr(found, name) or 'untold'} and {getattr(also, name) or 'untold'}"
                for name in ("revision", "engine", "arguments")
                if getattr(found, name) != getattr(also, name)
            ]
            raise DataError(
                f"{first} and {other} do not serve {model} alike: {', '.join(differing)}",
                hint="start both with the same weights, engine and arguments, or ask one of them",
            )
    return found


def _ask_one(client: Client, stated: str) -> Served:
    base_url, model = client.base_url, client.model
    key = client.key()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=base_url, headers=headers, timeout=_WAIT) as http:
        known = entries(_get(http, "models", client, key))
        entry = _entry(known, model, base_url)
        version = masked(_version(http), [key])[:_LONGEST]
    owner = str(entry.get("owned_by") or "unknown engine")[:_LONGEST]
    return Served(
        revision=stated
        or told(model, known).revision
        or _revision(str(entry.get("root") or model)),
        engine=" ".join(filter(None, (owner, version))),
        arguments=arguments_of(known, model)[:_LONGEST],
    )


def _get(http: httpx.Client, path: str, client: Client, key: str) -> Any:  # noqa: ANN401 - JSON
    """What the server answers, without the key that it may repeat."""
    hint = f"msa mllm serve {client.model}, then name its address: --server URL"
    try:
        response = http.get(path)
        response.raise_for_status()
        return masked(response.json(), [key])
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise RunFailed(f"{client.base_url}/{path} answers HTTP {status}", hint=hint) from None
    except (httpx.RequestError, ValueError, RecursionError) as error:
        reason = type(error).__name__
        raise RunFailed(f"no server answers at {client.base_url} ({reason})", hint=hint) from None


def _entry(known: Mapping[str, Mapping[str, Any]], model: str, base_url: str) -> Mapping[str, Any]:
    """What the server's list of models says of ``model``."""
    if model not in known:
        raise NotHere(
            f"expected a server of {model} at {base_url}, found one of"
            f" {', '.join(sorted(known)) or 'nothing'}",
            hint=f"msa mllm serve {model}, or set the row's model to a name that the server knows",
            what=f"a server of {model}",
        )
    return known[model]


def _version(http: httpx.Client) -> str:
    """The engine's version, empty where the server does not tell (vLLM does, beside ``/v1``)."""
    try:
        answer = http.get(str(http.base_url.join("/version"))).json()
        return str(answer["version"])
    except (httpx.RequestError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _revision(root: str) -> str:
    """The commit or the content of weights that lie here; else the last part of their name."""
    folder = Path(root[:_LONGEST_PATH])
    if folder.parent.name == "snapshots" or not _is_folder(folder):
        return folder.name[:_LONGEST]  # a download of the hub is named by its commit
    return folder_digest(folder, foreign=True)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # may not be looked at; no path at all
        return False
