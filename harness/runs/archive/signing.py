"""Signatures of archives, made and checked by OpenSSH; no key is read here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness._util.atomic import write_atomic
from harness.errors import RunFailed, SpecError, StoreError

__all__ = ["sign", "signature_of", "signer_of"]

_NAMESPACE = "msa-harness"
_PATIENCE = 300  # seconds: a key may want its passphrase, or a touch


def signature_of(path: Path) -> Path:
    """Where the signature of a file is."""
    return path.with_name(f"{path.name}.sig")


def sign(path: Path, key: Path) -> Path:
    """Write the signature of a file beside it.

    Args:
        path: The file.
        key: An SSH private key, or a public one whose private key an agent holds.

    Returns:
        The file of the signature.

    Raises:
        SpecError: When there is no such key, or no OpenSSH.
        RunFailed: When OpenSSH does not sign.
    """
    if not key.is_file():
        raise SpecError(f"there is no key {key}", hint="ssh-keygen -t ed25519 makes one")
    done = _ssh_keygen("sign", "-f", str(key), "-n", _NAMESPACE, content=path)
    if done.returncode:
        raise RunFailed(f"{path.name} is not signed: {_said(done)}")
    write_atomic(signature_of(path), done.stdout)
    return signature_of(path)


def signer_of(path: Path, signers: Path) -> str:
    """Who signed a file, of those who are allowed to.

    Args:
        path: The file; its signature is beside it.
        signers: ``allowed_signers`` as OpenSSH has it: a name and a public key a line.

    Raises:
        SpecError: When there is no such list, or no OpenSSH.
        StoreError: When the file is not signed, was changed since, or is signed by nobody of them.
    """
    if not signers.is_file():
        raise SpecError(f"there is no list of signers {signers}", hint="a name and a key a line")
    signature = signature_of(path)
    if not signature.is_file():
        raise StoreError(
            f"{path.name} is not signed: there is no {signature.name}",
            hint="get it from where the archive was published",
        )
    found = _ssh_keygen("find-principals", "-s", str(signature), "-f", str(signers), content=path)
    for name in found.stdout.decode("utf-8", "replace").splitlines():
        options = ("-f", str(signers), "-I", name, "-n", _NAMESPACE, "-s", str(signature))
        if _ssh_keygen("verify", *options, content=path).returncode == 0:
            return name
    why = "it was changed since" if found.returncode == 0 else "by nobody on the list"
    raise StoreError(f"the signature of {path.name} does not hold: {why}")


def _ssh_keygen(action: str, *options: str, content: Path) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SpecError(
            "signatures need ssh-keygen, which is not installed", hint="install OpenSSH's client"
        )
    try:
        with content.open("rb") as file:
            return subprocess.run(
                [program, "-Y", action, *options],
                stdin=file,
                capture_output=True,
                check=False,
                timeout=_PATIENCE,
            )
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"ssh-keygen did not answer within {_PATIENCE} s") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"ssh-keygen ended with {done.returncode}"
