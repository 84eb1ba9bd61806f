"""Files: read whatever their packing, and written whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhancer_core.errors import FileError
from enhancer_core.io.files import (
    check_output,
    first_bytes,
    is_gzip,
    make_folder,
    open_input,
    open_output,
    output_folder,
    read_chunks,
    read_lines,
    remove_partial,
    sha256,
    temporary_beside,
    write_json,
    write_text,
)

LINES = [(1, "chr1\t10"), (2, ""), (3, "chr2\t20")]
TEXT = b"chr1\t10\n\nchr2\t20\n"

lines_of_text = st.lists(
    st.text(st.characters(exclude_characters="\r\n\0\ufeff", codec="utf-8"), max_size=12)
)


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def put(folder: Path, content: bytes, name: str = "some.txt") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def only(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


# Reading


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        TEXT.rstrip(b"\n"),
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:4]) + gzip.compress(TEXT[4:].replace(b"\n", b"\r\n")),
    ],
    ids=["LF", "no last end", "CRLF", "CR", "byte order mark", "gzip", "gzip in blocks, CRLF"],
)
def test_lines_are_the_same_whatever_the_file(tmp_path: Path, content: bytes) -> None:
    assert list(read_lines(put(tmp_path, content))) == LINES


@given(lines_of_text)
def test_lines_are_what_was_written(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.txt.gz"
        write_text(path, "".join(f"{line}\n" for line in lines))
        assert list(read_lines(path)) == list(enumerate(lines, start=1))


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert list(read_lines(put(tmp_path, b""))) == []


@pytest.mark.parametrize("bad", [b"\xe9t\xe9", b"a\0b"], ids=["Latin-1", "NUL"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_line_that_is_not_text_is_told_exactly(
    tmp_path: Path, bad: bytes, pack: Callable[[bytes], bytes]
) -> None:
    path = put(tmp_path, pack(b"good, \xc3\xa9 too\n" * 4999 + bad + b"\n" + b"good\n" * 5000))
    with pytest.raises(FileError, match=r"some\.txt line 5000: not a text file$"):
        list(read_lines(path))


def test_the_content_tells_gzip_not_the_name(tmp_path: Path) -> None:
    assert is_gzip(put(tmp_path, gzip.compress(TEXT), "some.txt"))
    plain = put(tmp_path, TEXT, "some.txt.gz")
    assert not is_gzip(plain)
    assert list(read_lines(plain)) == LINES


def test_the_first_bytes_are_eight_or_fewer(tmp_path: Path) -> None:
    assert first_bytes(put(tmp_path, b"123456789")) == b"12345678"
    assert first_bytes(put(tmp_path, b"12")) == b"12"


@given(st.binary(max_size=50))
def test_chunks_add_up_to_the_content(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        packed = put(Path(folder), gzip.compress(content))
        assert b"".join(read_chunks(packed)) == content


def test_a_chunk_is_a_mebibyte(tmp_path: Path) -> None:
    path = put(tmp_path, bytes(5 << 19))
    assert [len(chunk) for chunk in read_chunks(path)] == [1 << 20, 1 << 20, 1 << 19]


@pytest.mark.parametrize("content", [TEXT, gzip.compress(TEXT)], ids=["plain", "gzip"])
def test_a_pipe_is_read_from_its_first_byte(tmp_path: Path, content: bytes) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    assert list(read_lines(pipe)) == LINES
    writer.join()


def test_a_cut_gzip_file_is_told(tmp_path: Path) -> None:
    path = put(tmp_path, gzip.compress(TEXT)[:-9])
    with pytest.raises(
        FileError, match=r"some\.txt: the gzip data ends too early; the file is cut$"
    ):
        list(read_lines(path))


def test_a_damaged_gzip_file_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(TEXT)
    for damaged in (packed[:12] + b"\xff" * 6 + packed[18:], packed[:-8] + bytes(8), packed + b"x"):
        path = put(tmp_path, damaged)
        with pytest.raises(FileError, match=r"some\.txt: the gzip data is damaged \(.+\)$"):
            list(read_lines(path))


@pytest.mark.parametrize(
    "read", [first_bytes, is_gzip, sha256, lambda path: list(read_lines(path))]
)
def test_what_cannot_be_read_is_told_with_the_reason(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    with pytest.raises(FileError, match=r"none: cannot be read \(No such file or directory\)$"):
        read(tmp_path / "none")
    with pytest.raises(FileError, match=r"cannot be read \(Is a directory\)$"):
        read(tmp_path)


def test_an_error_of_the_reader_is_its_own(tmp_path: Path) -> None:
    path = put(tmp_path, TEXT)
    with pytest.raises(KeyError), open_input(path):
        raise KeyError


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    assert sha256(put(tmp_path, b"abc")) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    )
    packed = gzip.compress(b"abc")
    assert sha256(put(tmp_path, packed)) == hashlib.sha256(packed).hexdigest()


# Writing


def write_half(path: Path, error: BaseException) -> None:
    with open_output(path) as stream:
        stream.write(b"half")
        raise error


def write_half_by_name(path: Path, error: BaseException) -> None:
    with temporary_beside(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


def test_a_file_stands_in_its_place_only_when_whole(tmp_path: Path) -> None:
    path = put(tmp_path, b"old")
    with open_output(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert only(tmp_path, "some.txt")


@pytest.mark.parametrize("name", ["some.txt", "some.txt.gz"])
@pytest.mark.parametrize("error", [FileError, KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("write", [write_half, write_half_by_name])
def test_nothing_is_left_where_the_body_raises(
    tmp_path: Path,
    name: str,
    error: type[BaseException],
    write: Callable[[Path, BaseException], None],
) -> None:
    with pytest.raises(error, match=r"^stop$"):
        write(tmp_path / name, error("stop"))
    assert only(tmp_path)
    path = put(tmp_path, b"old")
    with pytest.raises(error, match=r"^stop$"):
        write(path, error("stop"))
    assert path.read_bytes() == b"old"
    assert only(tmp_path, "some.txt")


def limited(bytes_at_most: int, statement: str) -> subprocess.CompletedProcess[str]:
    """Run a statement in a process whose files cannot grow beyond a size, as on a full disk."""
    code = (
        "import resource; from pathlib import Path; from enhancer_core.io.files import *;"
        f" resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_at_most}, {bytes_at_most}));"
        f" {statement}"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", ["some.txt", "some.txt.gz"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, b"old", name)
    done = limited(100, f"write_text(Path({str(path)!r}), ' '.join(map(str, range(9000))))")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"FileError: {path}: cannot be written (File too large)")
    assert path.read_bytes() == b"old"
    assert only(tmp_path, name)


def test_a_pipe_is_written_as_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_text(pipe, "through")
    reader.join()
    assert found == [b"through"]
    assert only(tmp_path, "pipe")


def test_a_pipe_that_nobody_reads_on_is_its_own_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: os.close(os.open(pipe, os.O_RDONLY)))
    reader.start()
    with pytest.raises(BrokenPipeError):
        write_text(pipe, "more than a pipe holds" * 10_000)
    reader.join()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(elsewhere / "some.txt")
    for text in ("made", "made anew"):
        write_text(link, text)
        assert link.is_symlink()
        assert (elsewhere / "some.txt").read_text() == text
    assert only(elsewhere, "some.txt")


def test_standard_output_that_is_a_file_is_written(tmp_path: Path) -> None:
    standard_output = tmp_path / "stdout"  # as /dev/stdout, which a defect would replace
    standard_output.symlink_to("/proc/self/fd/1")
    code = (
        "from pathlib import Path; from enhancer_core.io.files import write_text;"
        f" write_text(Path({str(standard_output)!r}), 'some')"
    )
    path = tmp_path / "redirected.txt"
    with path.open("wb") as stream:
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True, timeout=60)
    assert path.read_text() == "some"
    assert standard_output.is_symlink()
    assert only(tmp_path, "redirected.txt", "stdout")


def test_gzip_has_no_time_stamp_and_no_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt.gz", tmp_path / "other.txt.gz"
    for path in (one, other):
        write_text(path, "some text")
    assert one.read_bytes() == other.read_bytes()
    header = one.read_bytes()[:10]
    assert header[:3] == b"\x1f\x8b\x08"
    assert header[3] == 0, "no name, no comment"
    assert header[4:8] == bytes(4), "no time"
    assert gzip.decompress(one.read_bytes()) == b"some text"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_has_the_permissions_that_the_umask_leaves(
    tmp_path: Path, umask: Callable[[int], int], mask: int, mode: int
) -> None:
    umask(mask)
    path = tmp_path / "some.txt"
    write_text(path, "some")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert umask(mask) == mask


def test_text_is_written_in_utf_8_with_its_own_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    write_text(path, "é\r\n→\n")
    assert path.read_bytes() == b"\xc3\xa9\r\n\xe2\x86\x92\n"


@pytest.mark.parametrize("write", [check_output, lambda path: write_text(path, "some")])
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    put(tmp_path, b"", "no")
    with pytest.raises(FileError, match=r"some\.txt: cannot be written \(.*/no is not a folder\)$"):
        write(tmp_path / "no" / "some.txt")
    with pytest.raises(FileError, match=r"cannot be written \(it is a folder; a file name is need"):
        write(tmp_path)
    (tmp_path / "link.txt").symlink_to(tmp_path / "no" / "some.txt")
    with pytest.raises(FileError, match=r"link\.txt: cannot be written \(.*/no is not a folder\)$"):
        write(tmp_path / "link.txt")


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_is_not_writable_is_told_before_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,  # noqa: FBT001
) -> None:
    path = tmp_path / "some.txt"
    if exists:
        path.touch()
    # Root may write to every folder, whatever its mode: so the answer of the system is made up.
    monkeypatch.setattr(os, "access", lambda folder, _: folder != tmp_path)
    with pytest.raises(
        FileError, match=r"some\.txt: cannot be written \(folder .* is not writable"
    ):
        check_output(path)
    with pytest.raises(FileError, match=r"^.*: cannot be written \(folder .* is not writable\)$"):
        make_folder(tmp_path)


def test_a_good_place_passes_and_is_not_touched(tmp_path: Path) -> None:
    check_output(tmp_path / "some.txt")
    check_output(Path("/dev/null"))
    assert only(tmp_path)


def test_a_library_can_write_by_name(tmp_path: Path) -> None:
    path = put(tmp_path, b"old")
    with temporary_beside(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary != path
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert only(tmp_path, "some.txt")


def test_a_folder_is_made_once_and_may_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    for _ in range(2):
        make_folder(folder)
        assert folder.is_dir()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    some = put(tmp_path, b"")
    with pytest.raises(FileError, match=r"some\.txt: cannot be made \(it is no folder; a folder n"):
        make_folder(some)
    with pytest.raises(FileError, match=r"b: cannot be written \(.*some\.txt is not a folder\)$"):
        make_folder(some / "a" / "b")


def test_the_folders_that_an_output_lies_in_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "some.txt", "some")
    make_folder(tmp_path / "c" / "d")
    assert (tmp_path / "a" / "b" / "some.txt").read_text() == "some"
    assert (tmp_path / "c" / "d").is_dir()


def test_an_output_folder_is_taken_away_if_nothing_came_into_it(tmp_path: Path) -> None:
    def fill(folder: Path, *names: str) -> None:
        with output_folder(folder):
            for name in names:
                (folder / name).touch()
            raise FileError("told")

    with pytest.raises(FileError, match="told"):
        fill(tmp_path / "out")
    assert only(tmp_path)
    with pytest.raises(FileError, match="told"):
        fill(tmp_path / "out", "kept")
    assert only(tmp_path / "out", "kept")
    (tmp_path / "there").mkdir()
    with pytest.raises(FileError, match="told"):
        fill(tmp_path / "there")
    assert (tmp_path / "there").is_dir()
    with output_folder(tmp_path / "whole"):
        pass
    assert (tmp_path / "whole").is_dir()


def test_what_a_killed_run_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    killed = (
        f"with open_output(Path({str(tmp_path / 'some.txt')!r})) as stream: import os; os._exit(9)"
    )
    code = f"from pathlib import Path; from enhancer_core.io.files import open_output\n{killed}"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == 9
    put(tmp_path, b"", "kept.partial")
    put(tmp_path, b"", ".kept")
    assert len(list(tmp_path.iterdir())) == 3
    remove_partial(tmp_path)
    assert only(tmp_path, "kept.partial", ".kept")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_json_holds_finite_numbers_only(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "figures.json", {"auc": value})
    assert only(tmp_path)
