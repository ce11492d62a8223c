"""Printed numbers: read as they are printed, or refused; never guessed."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._util.printed import (
    defined,
    interval,
    over_runs,
    pair_of,
    read_number,
    read_numbers,
    with_spread,
)
from harness.errors import SubmissionError


def read(text: str) -> tuple[str, str | None, int, bool] | None:
    found = read_number(text)
    if found is None:
        return None
    spread = None if found.spread is None else str(found.spread)
    return str(found.value), spread, found.decimals, found.percent


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        *(("0.712", "0.712", 3), ("0.7120", "0.7120", 4), (".712", "0.712", 3), ("46", "46", 0)),
        *((" 46.36 ", "46.36", 2), ("5.", "5", 0), ("+0.5", "0.5", 1), ("7.12e-1", "0.712", 3)),
        # LaTeX
        *((r"\textbf{46.36}", "46.36", 2), (r"{\bf 46.36}", "46.36", 2)),
        *((r"\underline{$-0.5$}", "-0.5", 1), (r"$\mathbf{0.712}$", "0.712", 3)),
        *((r"\textcolor{red}{\textbf{46.36}}", "46.36", 2), (r"\cellcolor{gray!20}0.7", "0.7", 1)),
        *((r"\multirow{2}{*}{46.36}", "46.36", 2), (r"\phantom{0}7.12", "7.12", 2)),
        *((r"46{,}36", "46.36", 2), (r"$-$0.07", "-0.07", 2), (r"\uline{\emph{46.4}}", "46.4", 1)),
        # Markdown and HTML
        *(("**0.712**", "0.712", 3), ("__0.712__", "0.712", 3), ("*0.712*", "0.712", 3)),
        *(("_0.7_", "0.7", 1), ("`0.7`", "0.7", 1), ("***0.7***", "0.7", 1)),
        *(("<b>0.7</b>", "0.7", 1), ("<U>0.7</U>", "0.7", 1), ("&minus;0.7&nbsp;", "-0.7", 1)),
        # decimal commas and groups
        *(("0,712", "0.712", 3), ("46,36", "46.36", 2), (",71", "0.71", 2), ("46,3", "46.3", 1)),
        *(("1,234.5", "1234.5", 1), ("1.234,5", "1234.5", 1), ("1234,567", "1234.567", 3)),
        # signs, widths and spaces
        *(("−0.5", "-0.5", 1), ("–0.5", "-0.5", 1), ("‑0.5", "-0.5", 1), ("－0.5", "-0.5", 1)),
        *(("０．７１２", "0.712", 3), ("０.７１２", "0.712", 3), ("０。７", "0.7", 1)),
        *(("４６，３", "46.3", 1), ("𝟎.𝟕", "0.7", 1), ("٠.٧", "0.7", 1)),
        *(("\u00a00.7\u2009", "0.7", 1), ("0.7\u200b", "0.7", 1), ("\ufeff0.7\t", "0.7", 1)),
        # footnotes and directions
        *(("46.36*", "46.36", 2), ("46.36**", "46.36", 2), ("46.36†", "46.36", 2)),
        *(("46.36 ‡", "46.36", 2), ("**46.36***", "46.36", 2), ("46.36²", "46.36", 2)),
        *(("46.36ᵃ", "46.36", 2), ("46.36¹,²", "46.36", 2), ("46.36¹⁾", "46.36", 2)),
        *((r"46.36$^{\dagger}$", "46.36", 2), (r"46.36$^{1,2}$", "46.36", 2), ("4^*", "4", 0)),
        *((r"46.36\textsuperscript{a}", "46.36", 2), ("46.36<sup>1</sup>", "46.36", 2)),
        *(("46.36[^1]", "46.36", 2), ("†46.36", "46.36", 2), ("46.36 #", "46.36", 2)),
        *(("46.36↑", "46.36", 2), ("0.712 ↓", "0.712", 3), (r"46.36$\uparrow$", "46.36", 2)),
    ],
)
def test_a_number_is_read_as_printed(text: str, value: str, decimals: int) -> None:
    assert read(text) == (value, None, decimals, False)


@pytest.mark.parametrize(
    ("text", "value", "spread"),
    [
        *(("0.712 ± 0.01", "0.712", "0.01"), ("0.712+-0.01", "0.712", "0.01")),
        *(("0.712 +/- 0.010", "0.712", "0.010"), (".712(.010)", "0.712", "0.010")),
        *(("85.37(0.2)", "85.37", "0.2"), ("0.712 (±0.01)", "0.712", "0.01")),
        *(("0.712 [±0.01]", "0.712", "0.01"), ("0,712 ± 0,01", "0.712", "0.01")),
        *((r"$0.712 \pm 0.01$", "0.712", "0.01"), (r"0.712$_{\pm0.01}$", "0.712", "0.01")),
        *((r"\textbf{0.712}{\scriptsize $\pm$ 0.01}", "0.712", "0.01"),),
        *((r"$0.712^{\pm .01}$", "0.712", "0.01"), ("**0.712** ± 0.01", "0.712", "0.01")),
        *(("0.712<sub>±0.01</sub>", "0.712", "0.01"), ("0.712&plusmn;0.01", "0.712", "0.01")),
        *(("−0.05\u2009±\u20090.01†", "-0.05", "0.01"), ("０.７±０.１", "0.7", "0.1")),
        *(("0.712 ± nan", "0.712", None), ("0.712 ± –", "0.712", None)),
    ],
)
def test_a_spread_is_kept_beside_its_value(text: str, value: str, spread: str | None) -> None:
    found = read(text)
    assert found is not None
    assert found[:2] == (value, spread)


@pytest.mark.parametrize(
    "text",
    ["46.36%", "46.36 %", "46.36％", r"46.36\%", "46.36% ± 0.5%", "(46.36 ± 0.5)%", "46.36(0.50)%"],
)
def test_a_percent_sign_is_kept(text: str) -> None:
    found = read_number(text)
    assert found is not None
    assert (found.value, found.percent) == (Decimal("46.36"), True)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", "–", "—", "--", "---", "−", "n/a", "N/A", "NA", "n.a.", "nan", "NaN"),
        *("None", "/", "·", "**-**", r"\textbf{--}", "-†", "nan ± nan", "– ± –", "\u00a0"),
    ],
)
def test_a_cell_can_say_that_there_is_no_number(text: str) -> None:
    assert read_number(text) is None
    assert read_numbers(text, 2) == (None, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *(("1,234", "decimal point or group"), ("46,360 ± 0,1", "decimal point or group")),
        *(("83.2 84.1", "more than one number"), ("1\u2009234", "more than one number")),
        *(("83.2/84.1", "which of these is which"), ("83.2±.1/84.1±.2", "which of these")),
        *(("0.70-0.72", "more than one"), ("46.36↑1.2", "more than one")),
        *(("46.36 (+1.2)", "more than one"), ("0.712 [12]", "more than one")),
        *(("0.712(10)", "rank or a footnote"), ("83.2 (84.1)", "second value")),
        *(("0.712 (0.70, 0.72)", "more than one"), ("0.712 ± -0.1", "more than one")),
        *(("7.12×10⁻¹", "neither a footnote"), (r"$0.7^{+0.1}_{-0.2}$", "neither a footnote")),
        *((r"$0.7_{0.1}$", "subscript"), (r"\foo{0.7}", r"command \\foo is not known")),
        *(("~~0.7~~", "struck out"), (r"\sout{0.7}", "struck out")),
        *(("inf", "no number"), ("not run", "no number"), ("?", "no number")),
        *(("1e999", "too large"), ("1e-999", "too many digits"), ("9" * 400, "longer than 300")),
        *(("1.2.3", "points and commas"), ("1,2,3", "points and commas"), ("1_0", "more than one")),
        *(("- 0.5", "not understood"), ("0.7a", "not understood"), ("0.7 ±", "not understood")),
        *(("—0.5", "not understood"), ("≈0.7", "not understood"), ("<0.7", "not understood")),
    ],
)
def test_what_can_be_read_two_ways_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SubmissionError, match=reason) as caught:
        read_number(text, "row 3, MAE")
    assert str(caught.value).startswith("row 3, MAE should be a number, found ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("83.2/84.1", ("83.2", "84.1")),
        ("83,2 / 84,1", ("83.2", "84.1")),
        ("**83.2**/84.1†", ("83.2", "84.1")),
        ("83.2+/-0.1/84.1+/-0.2", ("83.2", "84.1")),
        (r"\textbf{83.2}/$84.1_{\pm0.1}$", ("83.2", "84.1")),
        ("-/84.1", (None, "84.1")),
        ("83.2↑/84.1↑", ("83.2", "84.1")),
    ],
)
def test_two_numbers_where_the_header_names_two(text: str, values: tuple[str | None, ...]) -> None:
    found = read_numbers(text, 2)
    assert tuple(one and str(one.value) for one in found) == values


@pytest.mark.parametrize("text", ["83.2", "83.2/84.1/85.0", "83.2 84.1", "83.2/x"])
def test_another_number_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(SubmissionError, match="should be 2 numbers apart by /, found"):
        read_numbers(text, 2)


@pytest.mark.parametrize(
    ("header", "pair"),
    [
        ("Acc-2 (has0/non0)", ("acc2_has0", "acc2_non0")),
        ("Acc-2 non0/has0", ("acc2_non0", "acc2_has0")),
        ("F1 has-0 / non-0", ("f1_has0", "f1_non0")),
        ("Has0_acc_2/Non0_acc_2", ("acc2_has0", "acc2_non0")),
        ("Has0_F1_score / Non0_F1_score", ("f1_has0", "f1_non0")),
        ("has0/non0 Acc2", ("acc2_has0", "acc2_non0")),
        *(("Acc-2", None), ("has0/non0", None), ("Acc2/F1", None), ("Acc2 has0/F1 non0", None)),
        *(("Acc2 has0/has0", None), ("Acc2 has0", None), ("Acc-2 (a/b)", None)),
    ],
)
def test_a_header_names_two_metrics_in_its_order(header: str, pair: tuple[str, str] | None) -> None:
    assert pair_of(header) == pair


@given(
    st.decimals(-1000, 1000, places=3),
    st.decimals(0, 1, places=2),
    st.sampled_from(["{} ± {}", "{}+-{}", r"\textbf{{{}}}$_{{\pm {}}}$", "**{}**±{}†", "{}±{}²"]),
    st.booleans(),
)
def test_markup_changes_no_digit(value: Decimal, spread: Decimal, form: str, wide: bool) -> None:
    text = form.format(value, spread)
    if wide:
        text = text.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789."})
    found = read_number(text)
    assert found is not None
    assert (found.value, found.spread, found.decimals) == (value, spread, 3)


@given(st.text("0123456789.,±+-−/()[]{}$^_\\*†%e ²ᵃ↑&;pm", max_size=24) | st.text(max_size=24))
def test_any_text_is_a_number_absent_or_refused(text: str) -> None:
    try:
        found = read_number(text)
    except SubmissionError as error:
        assert "should be a number, found" in str(error)
    else:
        if found is not None:
            assert found.value == round(Fraction(found.value), max(found.decimals, 0))
            assert found.spread is None or found.spread >= 0


# On the way out

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.7, 0.8, 0.9], "0.8000 ± 0.1000"),
        ([0.7], "0.7000 ± undefined (1 run)"),
        ([0.7, NAN], "undefined in 1 of 2 runs"),
        ([NAN, NAN, NAN], "undefined in 3 of 3 runs"),
        ([NAN], "undefined in 1 of 1 run"),
        ([-0.00001, 0.00001], "0.0000 ± 0.0000"),
    ],
)
def test_what_is_undefined_over_runs_says_in_how_many(values: list[float], shown: str) -> None:
    assert over_runs(values, "z.4f") == shown


@given(st.lists(st.floats(-10, 10) | st.just(NAN), min_size=1, max_size=6))
def test_no_value_over_runs_is_printed_as_nan(values: list[float]) -> None:
    shown = over_runs(values, "z.3f")
    assert "nan" not in shown
    assert ("undefined in" in shown) == any(map(math.isnan, values))
    if "undefined" not in shown:
        assert shown == f"{statistics.fmean(values):z.3f} ± {statistics.stdev(values):z.3f}"


def test_parts_that_are_undefined_are_called_so() -> None:
    show = "{:.1f}".format
    assert defined(NAN, ".3f") == "undefined"
    assert defined(NAN, ".3f", "–") == "–"
    assert interval(0.1, NAN, ".1f") == interval(NAN, 0.1, ".1f") == "undefined"
    assert interval(NAN, NAN, ".1f", "–") == "–"
    assert with_spread(0.5, NAN, show, ", one seed") == "0.5, one seed"
    assert with_spread(NAN, NAN, lambda value: defined(value, ".1f")) == "undefined"
    assert with_spread(NAN, 0.5, lambda value: defined(value, ".1f")) == "undefined"


@given(st.floats(-100, 100), st.floats(0, 10))
def test_what_is_written_is_read_back(mean: float, sd: float) -> None:
    found = read_number(with_spread(mean, sd, "{:z.3f}".format))
    assert found is not None
    assert (str(found.value), str(found.spread)) == (f"{mean:z.3f}", f"{sd:z.3f}")
