"""Names and words of users appear as they are, whatever a shell would make of them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from live import DATA, FEW, History

PWNED = "pwned"  # the file that a shell would make, if one read the names
QUOTES = f"'a' \"b\" \\ `touch {PWNED}` $(touch {PWNED})"
ODD = f"é 增强子 {QUOTES}; touch {PWNED} & | > {PWNED} #!*?.fa"


def nothing_ran() -> bool:
    """Whether no file of that name is anywhere in the server's data."""
    return not list(DATA.rglob(f"*{PWNED}"))


def test_odd_names_of_datasets_appear_in_the_outputs_and_do_nothing_else(
    history: History, inputs: Path
) -> None:
    job = history.run(
        "train",
        positives=[history.upload(inputs / "positives.fa", name=ODD)],
        negatives=[history.upload(inputs / "negatives.fa", name=f"not {ODD}")],
        **FEW,
    )
    rows = csv.DictReader(io.StringIO(job.content("predictions").decode()), delimiter="\t")
    assert {row["file"] for row in rows} == {ODD, f"not {ODD}"}
    assert nothing_ran()


def test_an_odd_word_in_a_text_field_appears_in_the_error_and_does_nothing_else(
    history: History, inputs: Path
) -> None:
    word = ODD.removesuffix(".fa")
    error = history.error(
        "train",
        positives=[history.upload(inputs / "positives.fa")],
        negatives=[history.upload(inputs / "negatives.fa")],
        split={"groups": {"kind": "chromosome", "test_group": word}},
        **FEW,
    )
    assert word in error
    assert nothing_ran()
