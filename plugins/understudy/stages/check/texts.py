"""Notice text columns in which people would expect something else: personal data, or numbers."""

from collections.abc import Iterator

from understudy.contract.reports import NOTICED, Finding
from understudy.stages.check.checked_window import CheckedWindow
from understudy.stages.read.numerals import Numerals, is_no_number, mostly_numbers
from understudy.stages.redact import SHOWN_EXAMPLES, examples, looks_personal

LOOKED_AT = 200


def check_texts(window: CheckedWindow) -> Iterator[Finding]:
    """Say of each what was noticed; none of it fails a window."""
    import polars as pl

    for column, kind in window.sample.schema.items():
        if kind != pl.String or column in window.personal:
            continue
        values = window.sample[column].drop_nulls().head(LOOKED_AT)
        personal = sum(looks_personal(value) for value in values)
        if personal > len(values) / 2:
            yield Finding(
                check="undeclared_pii",
                column=column,
                measured=personal / len(values),
                bound=NOTICED,
                failed=False,
                batch_level=True,
                sentence=f"{column} looks like e-mail addresses or card numbers; declare it in data.classes.pii",
            )
        elif column in window.features:
            yield from _texts_among_numbers(window, column)


def _texts_among_numbers(window: CheckedWindow, column: str) -> Iterator[Finding]:
    """One text makes texts of all numbers of its column, in files and databases alike; a declared type says which."""
    import polars as pl

    data, check = window.spec.data, window.spec.checks.columns.get(column)
    numerals = Numerals(data.decimal, data.thousands)
    if (check is not None and check.type is not None) or not mostly_numbers(window.sample[column], numerals):
        return
    texts = window.typed.filter(is_no_number(column, numerals)).select(column)
    counted, shown = pl.collect_all([texts.select(pl.len()), texts.unique(maintain_order=True).head(SHOWN_EXAMPLES)])
    count = counted.item()
    if not count:
        return  # digits that their source calls texts: codes
    given, found = examples(shown[column], is_personal=False), f"{count:,} text{'s' if count > 1 else ''}"
    yield Finding(
        check="texts_among_numbers",
        column=column,
        measured=float(count),
        bound=NOTICED,
        failed=False,
        batch_level=True,
        examples=given,
        sentence=f"{column} holds numbers but for {found}, for example {', '.join(given)}, and so all its values are "
        f"taken for texts; declare checks.columns.{column}.type: number to set such rows aside (or text, if that is "
        "meant), or list in data.nulls what stands for a missing value",
    )
