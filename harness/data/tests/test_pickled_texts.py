"""Texts of feature files that Python 2 wrote."""

from __future__ import annotations

import pytest

from harness._util.budget import Budget
from harness.data.readers.pickled_numpy import OldString
from harness.data.readers.pickled_texts import texts
from harness.errors import DataError


def test_strings_of_python_2_are_decoded_by_evidence():
    entries = ["it’s", "a café", "“well”"]
    cells = [("f.pkl: train.raw_text[0]", OldString(text.encode("cp1252"))) for text in entries]
    read = texts([*cells, ("f.pkl: train.raw_text[3]", "plain")], "en", Budget("f.pkl", 100))
    assert read.values == [*entries, "plain"]
    assert read.read_as.startswith("cp1252: not UTF-8; 4 characters beyond ASCII")


@pytest.mark.parametrize("raw", [b"\x81\x8d", b"\xff", b"\xff\xfe", b"\xfe\xff\x00a", b"\xc0\xc0"])
def test_strings_of_python_2_that_are_no_text_are_named(raw):
    with pytest.raises(DataError, match=r"train.raw_text\[0\] is not valid text") as caught:
        texts([("f.pkl: train.raw_text[0]", OldString(raw))], "en", Budget("f.pkl", 100))
    assert caught.value.hint == "written by Python 2; store texts as str, not as bytes"
