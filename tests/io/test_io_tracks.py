"""Tracks: bedGraph by hand, bigWig read back, and neither left half-written."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.errors import FileError
from enhancer_core.io.tracks import Stretch, write_track

LENGTHS = {"chr2": 100, "chr1": 60}  # not in alphabetical order: the genome's order must win

Row = tuple[str, int, int, float]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def stretch(chrom: str, *rows: tuple[int, int, float]) -> Stretch:
    starts, ends, values = zip(*rows, strict=True)
    return chrom, np.array(starts), np.array(ends), np.array(values, dtype=np.float32)


SOME = [
    stretch("chr2", (0, 50, 0.1), (50, 99, 1 / 3)),
    stretch("chr2", (99, 100, 1.0)),
    stretch("chr1", (7, 8, 0.0)),
]


def bigwig_rows(path: Path) -> list[Row]:
    with pyBigWig.open(str(path)) as file:
        assert file.isBigWig()
        return [(chrom, *row) for chrom in file.chroms() for row in file.intervals(chrom) or ()]


def bedgraph_rows(path: Path) -> list[Row]:
    fields = [line.split("\t") for line in path.read_text().splitlines()]
    return [(chrom, int(start), int(end), float(value)) for chrom, start, end, value in fields]


@st.composite
def tracks(draw: st.DrawFn) -> list[Stretch]:
    made = []
    for chrom, length in LENGTHS.items():
        edges = sorted(draw(st.sets(st.integers(0, length), max_size=20)))
        rows = [
            (start, end, draw(st.floats(0, 1, width=32)))
            for start, end in zip(edges[::2], edges[1::2], strict=False)
        ]
        size = draw(st.integers(1, 5))
        made += [stretch(chrom, *rows[at : at + size]) for at in range(0, len(rows), size)]
    return made


def test_bedgraph_has_a_line_a_value_in_the_order_given(tmp_path: Path) -> None:
    path = tmp_path / "some.bedgraph"
    write_track(path, SOME, LENGTHS)
    assert path.read_text() == (
        "chr2\t0\t50\t0.1\nchr2\t50\t99\t0.333333\nchr2\t99\t100\t1\nchr1\t7\t8\t0\n"
    )


def test_bedgraph_can_be_compressed_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("plain.bedgraph", "one.bedgraph.gz", "other.bedgraph.gz"):
        write_track(tmp_path / name, SOME, LENGTHS)
    one, other = ((tmp_path / f"{name}.bedgraph.gz").read_bytes() for name in ("one", "other"))
    assert one == other
    assert gzip.decompress(one) == (tmp_path / "plain.bedgraph").read_bytes()


@pytest.mark.parametrize("name", ["some.bw", "some.bigwig", "some.bigWig", "some.BW"])
def test_bigwig_holds_the_genome_and_the_values(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_track(path, SOME, LENGTHS)
    with pyBigWig.open(str(path)) as file:
        assert file.chroms() == LENGTHS
        assert file.header()["nBasesCovered"] == 101
        assert file.stats("chr2", 50, 99) == [pytest.approx(1 / 3)]
    assert bigwig_rows(path) == [
        ("chr2", 0, 50, np.float32(0.1)),
        ("chr2", 50, 99, np.float32(1 / 3)),
        ("chr2", 99, 100, 1.0),
        ("chr1", 7, 8, 0.0),
    ]


@given(tracks())
def test_bedgraph_and_bigwig_hold_the_same(stretches: list[Stretch]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder) / "some.bedgraph", Path(folder) / "some.bw"
        write_track(text, stretches, LENGTHS)
        write_track(binary, stretches, LENGTHS)
        rows, other = bedgraph_rows(text), bigwig_rows(binary)
    assert [row[:3] for row in rows] == [row[:3] for row in other]
    # bedGraph rounds to six digits, so a value is off by half of the sixth at most
    np.testing.assert_allclose([row[3] for row in rows], [row[3] for row in other], rtol=5e-6)


def test_even_bins_take_less_room_in_a_bigwig_and_hold_the_same(tmp_path: Path) -> None:
    # the same bins, in one stretch, and in stretches with the gap between them inside
    rows = [(start, start + 10, start / 4000) for start in range(0, 4000, 10) if start != 2000]
    stretches = {
        "even.bw": [stretch("a", *rows[:200]), stretch("a", *rows[200:])],
        "uneven.bw": [stretch("a", *rows)],
        "mixed.bw": [stretch("a", *rows[:150]), stretch("a", *rows[150:])],
    }
    for name, each in stretches.items():
        write_track(tmp_path / name, each, {"a": 4000})
    found = [bigwig_rows(tmp_path / name) for name in stretches]
    assert found[0] == found[1] == found[2]
    assert [row[1:3] for row in found[0]] == [row[:2] for row in rows]
    even, uneven, _ = ((tmp_path / name).stat().st_size for name in stretches)
    assert even < uneven


def test_a_track_of_nothing_is_a_whole_file(tmp_path: Path) -> None:
    for name in ("some.bedgraph", "some.bw"):
        write_track(tmp_path / name, [], LENGTHS)
    assert (tmp_path / "some.bedgraph").read_bytes() == b""
    assert bigwig_rows(tmp_path / "some.bw") == []


def test_bigwig_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one.bw", "other.bw"):
        write_track(tmp_path / name, SOME, LENGTHS)
    assert (tmp_path / "one.bw").read_bytes() == (tmp_path / "other.bw").read_bytes()


def searched(path: Path, name: str) -> tuple[int, int] | None:
    """Find a chromosome's number and size as UCSC's readers do: by the order of names."""
    data = path.read_bytes()
    (tree,) = struct.unpack_from("<Q", data, 8)
    (width,) = struct.unpack_from("<I", data, tree + 8)
    key, node = name.encode().ljust(width, b"\0"), tree + 32
    while True:
        is_leaf, _, count = struct.unpack_from("<BBH", data, node)
        items = [node + 4 + at * (width + 8) for at in range(count)]
        if is_leaf:
            found = [item for item in items if data[item : item + width] == key]
            return struct.unpack_from("<II", data, found[0] + width) if found else None
        below = [item for item in items if data[item : item + width] <= key]
        (node,) = struct.unpack_from("<Q", data, (below or items)[-1] + width)


@pytest.mark.parametrize("count", [3, 32_767, 40_000])
def test_every_chromosome_of_a_bigwig_is_found_by_the_order_of_names(
    tmp_path: Path, count: int
) -> None:
    # 10 is before 9 in the order of bytes, and upper case before lower
    lengths = {f"{'sS'[at % 2]}caffold_{at}": 1000 + at for at in range(count)}
    some = list(lengths)[:: max(count // 50, 1)]
    path = tmp_path / "some.bw"
    write_track(path, [stretch(name, (0, 10, 0.1), (10, 15, 0.2)) for name in some], lengths)
    assert [searched(path, name) for name in some] == [
        (int(name[9:]), lengths[name]) for name in some
    ]
    assert searched(path, "none") is None
    with pyBigWig.open(str(path)) as file:
        assert list(file.chroms().items()) == list(lengths.items())
    expected = [(0, 10, float(np.float32(0.1))), (10, 15, float(np.float32(0.2)))]
    assert bigwig_rows(path) == [(name, *row) for name in some for row in expected]


def test_long_names_and_a_genome_beyond_32_bits_are_written_whole(tmp_path: Path) -> None:
    lengths = {"b" * 300: 2_000_000_000, "a" * 256: 2_000_000_000, "c": 2_000_000_000}
    path = tmp_path / "some.bw"
    write_track(
        path, [stretch(name, (1_999_999_990, 2_000_000_000, 0.1)) for name in lengths], lengths
    )
    assert [searched(path, name) for name in lengths] == [(at, 2_000_000_000) for at in range(3)]
    assert bigwig_rows(path) == [
        (name, 1_999_999_990, 2_000_000_000, float(np.float32(0.1))) for name in lengths
    ]


def test_a_chromosome_longer_than_a_bigwig_can_hold_is_told(tmp_path: Path) -> None:
    message = r"some\.bw: cannot be written \(Length out of bounds for a bigWig file!\)$"
    with pytest.raises(FileError, match=message):
        write_track(tmp_path / "some.bw", [], {"a": 1 << 32})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["some.bedgraph", "some.bedgraph.gz", "some.bw"])
def test_the_old_track_survives_where_a_stretch_cannot_be_made(tmp_path: Path, name: str) -> None:
    def broken() -> Iterator[Stretch]:
        yield SOME[0]
        raise RuntimeError("of the caller")

    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match=r"^of the caller$"):
        write_track(path, broken(), LENGTHS)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["some.bedgraph", "some.bw"])
def test_a_missing_folder_is_made(tmp_path: Path, name: str) -> None:
    write_track(tmp_path / "nowhere" / name, SOME, LENGTHS)
    assert [path.name for path in (tmp_path / "nowhere").iterdir()] == [name]


@pytest.mark.parametrize("name", ["some.tsv", "some.bed", "some.bw.gz", "some.bedgraph.bz2"])
def test_a_name_that_promises_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=r"allowed are \.bedgraph, \.bdg, \.bg for bedGraph"):
        write_track(tmp_path / name, SOME, LENGTHS)
    assert not any(tmp_path.iterdir())


def test_stretches_out_of_order_are_told_in_one_line(tmp_path: Path) -> None:
    message = r"some\.bw: cannot be written \(The entries you tried to add are out of order"
    with pytest.raises(FileError, match=message) as caught:
        write_track(tmp_path / "some.bw", [SOME[1], SOME[0]], LENGTHS)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_nearly_full_disk_stops_a_bigwig_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 1 << 40, 1 << 20))
    message = r"some\.bw: cannot be written \(No space left on device\)$"
    with pytest.raises(FileError, match=message):
        write_track(tmp_path / "some.bw", SOME, LENGTHS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "bytes_at_most", "message"),
    [
        ("some.bedgraph", 1000, "cannot be written (File too large)"),
        ("some.bw", 100, "cannot be written (Received an error while writing the bigWig header)"),
        ("some.bw", 1000, "cannot be written (it came out cut; the disk may be full)"),
    ],
)
def test_a_full_disk_leaves_no_track(
    tmp_path: Path, name: str, bytes_at_most: int, message: str
) -> None:
    path = tmp_path / name
    code = (
        "import resource; from pathlib import Path; import numpy as np;"
        " from enhancer_core.io.tracks import write_track; n = np.arange(1000);"
        f" resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_at_most}, {bytes_at_most}));"
        f" write_track(Path({str(path)!r}), [('a', n, n + 1, np.sqrt(n))], {{'a': 1000}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert f"FileError: {path}: {message}\n" in done.stderr
    assert not list(tmp_path.iterdir())
