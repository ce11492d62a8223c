"""What files hold instead of numpy arrays, by the names they ask for or their first bytes.

A refusal says what was found and how to save it. Only names through which code could run are called
unsafe; a tensor or a table in its author's own file is merely of no use here.
"""

from __future__ import annotations

import codecs
import zipfile
from pathlib import Path

__all__ = ["NEUTRAL", "foreign_file", "foreign_name", "foreign_table"]

NEUTRAL = "save plain numpy arrays, lists, numbers and text, no objects of classes"
_UNSAFE = (
    "this name could run code: the file is unsafe, do not unpickle it by other means; take a fresh"
    " copy from the dataset's authors"
)
_RUNNING = frozenset(
    (
        *("_frozen_importlib", "_io", "_operator", "_pickle", "_posixsubprocess", "_pyrepl"),
        *("_socket", "_thread", "antigravity", "asyncio", "atexit", "bdb"),
        *("builtins.__build_class__", "builtins.__import__", "builtins.breakpoint"),
        *("builtins.compile", "builtins.delattr", "builtins.eval", "builtins.exec"),
        *("builtins.execfile", "builtins.getattr", "builtins.globals", "builtins.help"),
        *("builtins.input", "builtins.locals", "builtins.map", "builtins.open", "builtins.print"),
        *("builtins.setattr", "builtins.vars", "cffi", "cloudpickle", "code", "codeop", "commands"),
        *("concurrent", "cProfile", "ctypes", "dill", "distutils", "doctest", "ensurepip"),
        *("faulthandler", "fileinput", "ftplib", "functools", "gc", "glob", "http", "idlelib"),
        *("imp", "importlib", "inspect", "io", "joblib", "jsonpickle", "lib2to3", "linecache"),
        *("logging", "mailcap", "marshal", "mmap", "multiprocessing", "nt", "ntpath"),
        *("numpy.core.memmap", "numpy.core.records.fromfile", "numpy.DataSource"),
        *("numpy.distutils", "numpy.f2py", "numpy.fromfile", "numpy.genfromtxt", "numpy.lib"),
        *("numpy.load", "numpy.loadtxt", "numpy.memmap", "numpy.testing", "operator", "os"),
        *("pandas.io", "pandas.read_pickle", "pdb", "pickle", "pip", "pipes", "pkg_resources"),
        *("pkgutil", "popen2", "posix", "posixpath", "profile", "pty", "pydoc", "requests"),
        *("rlcompleter", "runpy", "sched", "setuptools", "shelve", "shutil", "signal", "site"),
        *("smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys", "sysconfig"),
        *("tarfile", "telnetlib", "tempfile", "test", "thread", "threading", "timeit", "torch.hub"),
        *("torch.jit", "torch.load", "torch.package", "torch.serialization"),
        *("torch.storage._load_from_bytes", "trace", "tracemalloc", "types", "unittest", "urllib"),
        *("urllib2", "uu", "venv", "webbrowser", "wsgiref", "xmlrpc", "zipapp", "zipfile"),
        *("zipimport"),
    )
)  # modules and names through which code could run, or files be opened
_KNOWN = (
    ("torch", "torch tensors", "save numpy arrays: tensor.numpy()"),
    ("pandas", "pandas objects", "convert to numpy: series.to_numpy()"),
    ("scipy.sparse", "scipy's sparse matrices", "save full arrays: matrix.toarray()"),
    ("sklearn", "objects of scikit-learn", "save the arrays that they made"),
    ("tensorflow", "tensors of TensorFlow", "save numpy arrays: tensor.numpy()"),
    ("jax", "arrays of JAX", "save numpy arrays: numpy.asarray(array)"),
    ("numpy.ma", "masked arrays", "save plain arrays: array.filled(0)"),
    ("numpy.matrix", "numpy matrices", "save plain arrays: numpy.asarray(matrix)"),
    ("datetime", "dates or times", "save text or numbers of seconds"),
    ("collections", "containers of collections", "convert to a plain dict or list"),
    ("builtins.set", "sets", "convert to lists"),
    ("builtins.frozenset", "sets", "convert to lists"),
    ("builtins.complex", "complex numbers", "save real numbers"),
    ("builtins.slice", "slices", NEUTRAL),
    ("builtins.object", "objects", NEUTRAL),
    ("decimal", "decimal numbers", "convert to float"),
    ("fractions", "fractions", "convert to float"),
    ("uuid", "UUIDs", "convert to text"),
    ("copy_reg", "objects of classes of Python 2", NEUTRAL),
    ("copyreg", "objects of classes", NEUTRAL),
)
_HEADS = (
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a file of torch.save", "tensor"),
    (b"\x1f\x8b", "compressed by gzip", "unpack"),
    (b"BZh", "compressed by bzip2", "unpack"),
    (b"\xfd7zXZ", "compressed by xz", "unpack"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack"),
    (b"Rar!", "a RAR archive", "unpack"),
    (b"\x93NUMPY", "a single numpy array (.npy)", "layout"),
    (b"\x89HDF", "an HDF5 file", "layout"),
    (b"MATLAB", "a MATLAB file", "layout"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "lfs"),
    (b"<", "a web page", "page"),
)
_TABLE_HEADS = (
    (b"PK\x03\x04", "a spreadsheet or a zip archive", "sheet"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet", "sheet"),
    (b"\x1f\x8b", "compressed by gzip", "packed"),
    (b"\xfd7zXZ", "compressed by xz", "packed"),
    (b"PAR1", "a Parquet file", "parquet"),
    (b"%PDF-", "a PDF", "sheet"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "lfs"),
    (b"<!doctype", "a web page", "page"),
    (b"<html", "a web page", "page"),
)
_ADVICE = {
    "sheet": "save the table as .csv (UTF-8), ids as text",
    "packed": "unpack it first",
    "parquet": "name it .parquet",
    "tensor": "save numpy arrays with pickle.dump, not tensors with torch.save: tensor.numpy()",
    "unpack": "unpack it and pass the .pkl file inside",
    "layout": "pickle a dictionary of train, valid and test with numpy arrays",
    "lfs": "fetch the file itself: git lfs pull",
    "page": "download the file again: the server sent a page in its place",
    "": "pass the .pkl file itself, not an archive or a web page saved in its place",
}


def foreign_name(title: str) -> tuple[str, str]:
    """What a name outside the allowed list stands for, and what to do.

    Args:
        title: Module and name, joined by a dot.

    Example:
        >>> foreign_name("torch._utils._rebuild_tensor_v2")[1]
        'save numpy arrays: tensor.numpy()'
    """
    name = title.replace("__builtin__.", "builtins.").replace("numpy._core.", "numpy.core.")
    if any(_is_under(name, running) for running in _RUNNING):
        return f"the name {title[:200]!r}", _UNSAFE
    for known, what, hint in _KNOWN:
        if _is_under(name, known):
            return f"{what} ({title[:200]!r})", hint
    return f"objects of {title[:200]!r}", NEUTRAL


def foreign_file(path: Path, head: bytes) -> tuple[str, str]:
    """What a file is that does not begin like a pickle (or begins like a foreign one); "" unknown.

    Args:
        path: The file.
        head: Its first bytes.
    """
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    for start, what, advice in _HEADS:
        if head.startswith(start):
            return what, _ADVICE[advice]
    return "", _ADVICE[""]


def foreign_table(head: bytes) -> tuple[str, str]:
    r"""What a file is that should be a table of text, by its first bytes, and what to do.

    Example:
        >>> foreign_table(b"PAR1\x15"), foreign_table(b"id,pred")
        (('a Parquet file', 'name it .parquet'), ('', ''))
    """
    plain = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for start, what, advice in _TABLE_HEADS:
        if head.startswith(start) or plain[: len(start)].lower() == start:
            return what, _ADVICE[advice]
    return "", ""


def _archive(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        names = []
    if any(name.endswith("/data.pkl") for name in names):
        return "a file of torch.save", _ADVICE["tensor"]
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of numpy arrays (.npz)", _ADVICE["layout"]
    return "a zip archive", _ADVICE["unpack"]


def _is_under(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")
