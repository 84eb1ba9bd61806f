"""DNA as arrays: base codes, one-hot and reverse complement.

The one representation is `codes`, uint8 (n, L) with A=0 C=1 G=2 T=3 N=4. One-hot arrays are made
from it a batch at a time, and N is 0.25 in all four channels, as kipoiseq encodes it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import gt, lt
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from enhancer_core.errors import SequenceError

Codes: TypeAlias = NDArray[np.uint8]  # (n, L) or (L,): A=0 C=1 G=2 T=3 N=4
Letters: TypeAlias = NDArray[np.uint8]  # ASCII bytes of a sequence, either case
OneHot: TypeAlias = NDArray[np.float32]  # (n, 4, L)
# Strings in a list, tuple, NumPy array or pandas Series; or codes, uint8 (n, L).
SequencesLike: TypeAlias = Iterable[str] | Codes
Note: TypeAlias = Callable[[str], None]  # called with a line of what was left out, or assumed

ALPHABET = "ACGTN"
N_CODE = 4
NOT_DNA = 255  # in CODE_OF_LETTER: a letter that is neither a base nor N
MOST_N = 0.5  # share of a window that has a value
BASES_OF_IUPAC = {
    "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG",
}  # fmt: skip
IUPAC_AMBIGUITY = "".join(BASES_OF_IUPAC)

_LETTER_OF_CODE = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_N = bytes([N_CODE])
_ONE_HOT_ROWS = np.vstack([np.eye(4), np.full((1, 4), 0.25)]).astype(np.float32)


def _code_table(*, iupac_as_n: bool) -> Codes:
    table = np.full(256, NOT_DNA, dtype=np.uint8)
    for code, letter in enumerate(ALPHABET + IUPAC_AMBIGUITY * iupac_as_n):
        table[[ord(letter), ord(letter.lower())]] = min(code, N_CODE)
    return table


CODE_OF_LETTER = _code_table(iupac_as_n=False)
CODE_OF_GENOME_LETTER = _code_table(iupac_as_n=True)


def encode(sequences: Iterable[str], *, length: int | None = None) -> Codes:
    """Encode DNA strings as base codes.

    Parameters
    ----------
    sequences
        Strings over A, C, G, T and N, in either case: a list, tuple, NumPy array or pandas Series.
    length
        bp to which each is cut or padded, as by `fit_length`; without, all need one length.

    Returns
    -------
    uint8, shape (n, L)
        A=0, C=1, G=2, T=3, N=4.

    Raises
    ------
    SequenceError
        If `sequences` is empty or one string, lengths differ, or a letter is not one of the five.

    Examples
    --------
    >>> encode(["ACgt", "NNAC"])
    array([[0, 1, 2, 3],
           [4, 4, 0, 1]], dtype=uint8)
    >>> decode(encode(["AACGTT", "AC"], length=4))
    ['ACGT', 'NACN']
    """
    if isinstance(sequences, str):
        raise SequenceError(f"one string of {len(sequences)} letters; allowed is a list of strings")
    sequences = list(sequences)
    if not sequences:
        raise SequenceError("no sequences to encode; at least one is needed")
    first = len(sequences[0])
    for index, sequence in enumerate(sequences):
        if length is None and len(sequence) != first:
            raise SequenceError(
                f"sequence {index}: length {len(sequence)} differs from the first's, {first};"
                " length=L cuts or pads all to L"
            )
    rows = []
    for index, sequence in enumerate(sequences):
        letters = np.frombuffer(sequence.encode("latin-1", "replace"), dtype=np.uint8)
        codes = CODE_OF_LETTER[letters]
        if (codes == NOT_DNA).any():
            raise SequenceError(f"sequence {index}: {describe_bad_letter(letters)}")
        rows.append(codes)
    return np.stack(rows) if length is None else fit_rows(rows, length)


def as_codes(sequences: SequencesLike, *, length: int | None = None) -> Codes:
    """Return codes as they are, and encode strings; both cut or padded to `length`, if given.

    Raises
    ------
    SequenceError
        As `encode`, or if an array is of two dimensions but not of codes.
    """
    if isinstance(sequences, np.ndarray) and sequences.ndim == 2:
        if sequences.dtype != np.uint8:
            raise SequenceError(f"an array of {sequences.dtype}; codes are uint8, shape (n, L)")
        check_codes(sequences)
        same = length in (None, sequences.shape[1])
        return sequences if length is None or same else fit_rows(sequences, length)
    return encode(cast("Iterable[str]", sequences), length=length)


def fit_length(codes: bytes, length: int) -> bytes:
    r"""Cut the base codes of a sequence around its middle, or pad them with N on both sides.

    Of L bp the middle is base L // 2, from 0, as it is of a window: what is cut out of the window
    around a peak is the shorter window around it. Padded and cut back, a sequence is as it was.

    Raises
    ------
    SequenceError
        If the length is below 1.

    Examples
    --------
    >>> fit_length(bytes([0, 1, 2, 3]), 2), fit_length(bytes([0, 1]), 5)
    (b'\x01\x02', b'\x04\x00\x01\x04\x04')
    """
    if length < 1:
        raise SequenceError(f"length of {length} bp is not allowed; allowed are 1 or more")
    shift = len(codes) // 2 - length // 2
    if len(codes) >= length:
        return codes[shift : shift + length]
    return (-shift * _N + codes).ljust(length, _N)


def fit_rows(rows: Iterable[Codes], length: int) -> Codes:
    """Cut or pad sequences, uint8 (L,) each, as `fit_length`: uint8 (n, length)."""
    fitted = bytearray().join(fit_length(row.tobytes(), length) for row in rows)
    return np.frombuffer(fitted, np.uint8).reshape(-1, length)


def describe_fit(source: object, lengths: Sequence[int], length: int, left_out: int = 0) -> str:
    """Count what `fit_length` cut and padded of sequences of these lengths, in one line.

    `left_out` is how many of them were left out. Where nothing was done the line is empty.

    Examples
    --------
    >>> describe_fit("peaks.fa", [200, 573, 2], 200, left_out=1)
    'peaks.fa: 1 of 3 sequences cut to 200 bp, 1 padded with N; 1 left out, since mostly N'
    """
    cut, padded = (sum(map(compare, lengths, repeat(length))) for compare in (gt, lt))
    if not (cut or padded or left_out):
        return ""
    unknown = f"; {left_out:,} left out, since mostly N" if left_out else ""
    return (
        f"{source}: {cut:,} of {len(lengths):,} sequences cut to {length} bp,"
        f" {padded:,} padded with N{unknown}"
    )


def leave_out_unknown(
    source: object, codes: Codes, lengths: Sequence[int], *, note: Note | None = None
) -> NDArray[np.int64]:
    """Return the rows of fitted sequences, uint8 (n, L), that are not mostly N: int64 (m,).

    `lengths` are what the n had. `note` is called with `describe_fit`, unless that is empty; None
    raises it as a warning if sequences are left out.

    Raises
    ------
    SequenceError
        If all are mostly N.
    """
    kept = np.flatnonzero(~mostly_n(codes))
    length, left_out = codes.shape[1], len(codes) - len(kept)
    if not kept.size:
        raise SequenceError(f"{source}: all {len(codes):,} sequences are mostly N at {length} bp")
    line = describe_fit(source, lengths, length, left_out)
    if line and note is not None:
        note(line)
    elif left_out:
        warnings.warn(line, stacklevel=3)
    return kept


def is_mostly_n(window: Codes) -> bool:
    """Return whether more than half of a window is N, so that its prediction would say nothing."""
    return window.tobytes().count(N_CODE) > MOST_N * len(window)  # ten times faster than a sum


def mostly_n(codes: Codes) -> NDArray[np.bool_]:
    """Return which sequences are mostly N, as `is_mostly_n`: uint8 (n, L) -> bool (n,)."""
    return np.fromiter(map(is_mostly_n, codes), np.bool_, len(codes))


def describe_bad_letter(letters: Letters, table: Codes = CODE_OF_LETTER) -> str:
    """Describe the first letter that a table refuses, its position from 1, and what is allowed."""
    position = int(np.argmax(table[letters] == NOT_DNA))
    letter = chr(letters[position])
    shown = letter if letter.isprintable() and letter.isascii() else f"\\x{ord(letter):02x}"
    got = f"letter '{shown}' at position {position + 1}"
    if letter.upper() in IUPAC_AMBIGUITY:
        return f"{got} is an IUPAC ambiguity code; allowed are A C G T N (write N instead)"
    iupac = "" if table[ord(IUPAC_AMBIGUITY[0])] == NOT_DNA else " and IUPAC ambiguity codes"
    return f"{got} is not DNA; allowed are A C G T N{iupac}"


def decode(codes: Codes) -> list[str]:
    """Decode base codes to upper-case strings.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.

    Returns
    -------
    list of str
        n strings of L letters.

    Raises
    ------
    SequenceError
        If a code is above 4.

    Examples
    --------
    >>> decode(np.array([[0, 1, 2, 3, 4]], dtype=np.uint8))
    ['ACGTN']
    """
    check_codes(codes)
    return [row.tobytes().decode("ascii") for row in np.atleast_2d(_LETTER_OF_CODE[codes])]


def check_codes(codes: Codes) -> None:
    """Raise unless every value is a base code.

    Raises
    ------
    SequenceError
        If a code is above 4; the message says where.
    """
    if codes.size and codes.max() > N_CODE:
        index = tuple(int(i) for i in np.argwhere(codes > N_CODE)[0])
        raise SequenceError(f"code {codes[index]} at {index} is not a base; allowed are 0 to 4")


def one_hot(codes: Codes) -> OneHot:
    """Encode base codes one-hot, in the channel order A C G T.

    Parameters
    ----------
    codes
        uint8, shape (n, L), values 0-4.

    Returns
    -------
    float32, shape (n, 4, L)
        1 in the base's channel; N is 0.25 in all four, as in kipoiseq.

    Raises
    ------
    SequenceError
        If a code is above 4.

    Examples
    --------
    >>> one_hot(np.array([[0, 4]], dtype=np.uint8))[0].tolist()
    [[1.0, 0.25], [0.0, 0.25], [0.0, 0.25], [0.0, 0.25]]
    """
    check_codes(codes)
    return np.ascontiguousarray(_ONE_HOT_ROWS[codes].transpose(0, 2, 1))


def reverse_complement(codes: Codes) -> Codes:
    """Return sequences on the other strand: uint8 (..., L), values 0-4; N stays N."""
    return _COMPLEMENT[codes[..., ::-1]]


def gc_content(codes: Codes) -> NDArray[np.float64]:
    """Compute the share of G and C among bases other than N: uint8 (n, L) -> float64 (n,).

    It is nan for a sequence of N alone.
    """
    known = (codes != N_CODE).sum(axis=1)
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    share = np.full(len(codes), np.nan)
    np.divide(strong, known, out=share, where=known > 0)
    return share
