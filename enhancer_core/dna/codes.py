"""DNA as arrays: base codes, one-hot and reverse complement.

The one representation is `codes`, uint8 (n, L) with A=0 C=1 G=2 T=3 N=4. One-hot arrays are made
from it a batch at a time, and N is 0.25 in all four channels, as kipoiseq encodes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from enhancer_core.errors import SequenceError

Codes: TypeAlias = NDArray[np.uint8]  # (n, L) or (L,): A=0 C=1 G=2 T=3 N=4
Letters: TypeAlias = NDArray[np.uint8]  # ASCII bytes of a sequence, either case
OneHot: TypeAlias = NDArray[np.float32]  # (n, 4, L)
# Strings in a list, tuple, NumPy array or pandas Series; or codes, uint8 (n, L).
SequencesLike: TypeAlias = Iterable[str] | Codes

ALPHABET = "ACGTN"
N_CODE = 4
NOT_DNA = 255  # in CODE_OF_LETTER: a letter that is neither a base nor N
BASES_OF_IUPAC = {
    "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG",
}  # fmt: skip
IUPAC_AMBIGUITY = "".join(BASES_OF_IUPAC)

_LETTER_OF_CODE = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_ONE_HOT_ROWS = np.vstack([np.eye(4), np.full((1, 4), 0.25)]).astype(np.float32)


def _code_table(*, iupac_as_n: bool) -> Codes:
    table = np.full(256, NOT_DNA, dtype=np.uint8)
    for code, letter in enumerate(ALPHABET + IUPAC_AMBIGUITY * iupac_as_n):
        table[[ord(letter), ord(letter.lower())]] = min(code, N_CODE)
    return table


CODE_OF_LETTER = _code_table(iupac_as_n=False)
CODE_OF_GENOME_LETTER = _code_table(iupac_as_n=True)


def encode(sequences: Iterable[str]) -> Codes:
    """Encode DNA strings of one length as base codes.

    Parameters
    ----------
    sequences
        Strings over A, C, G, T and N, in either case: a list, tuple, NumPy array or pandas Series.

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
    """
    if isinstance(sequences, str):
        raise SequenceError(f"one string of {len(sequences)} letters; allowed is a list of strings")
    sequences = list(sequences)
    if not sequences:
        raise SequenceError("no sequences to encode; at least one is needed")
    length = len(sequences[0])
    for index, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise SequenceError(
                f"sequence {index}: length {len(sequence)} differs from the first's, {length}"
            )
    rows = []
    for index, sequence in enumerate(sequences):
        letters = np.frombuffer(sequence.encode("latin-1", "replace"), dtype=np.uint8)
        codes = CODE_OF_LETTER[letters]
        if (codes == NOT_DNA).any():
            raise SequenceError(f"sequence {index}: {describe_bad_letter(letters)}")
        rows.append(codes)
    return np.stack(rows)


def as_codes(sequences: SequencesLike) -> Codes:
    """Return codes as they are, and encode strings.

    Raises
    ------
    SequenceError
        As `encode`, or if an array is of two dimensions but not of codes.
    """
    if isinstance(sequences, np.ndarray) and sequences.ndim == 2:
        if sequences.dtype != np.uint8:
            raise SequenceError(f"an array of {sequences.dtype}; codes are uint8, shape (n, L)")
        check_codes(sequences)
        return sequences
    return encode(cast("Iterable[str]", sequences))


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
