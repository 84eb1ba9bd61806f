"""The kernels of `fused`, in Triton; imported only where they run.

A window is what one output reads from its first place on: W positions of C numbers, `size` in all,
next to each other. Programs of a GPU share out the windows of a network, `ROWS` to each at a time,
and the filters, `BF` to each; of a window they read `BK` numbers at a time.

Pointers are to contiguous arrays; shapes are said once, at `forward`. `LETTERS` says that x holds
base codes and C is 4: these are spelled as they are read, and scored on both strands.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"
import triton
import triton.language as tl

from enhancer_core.dna.codes import N_CODE

_N = tl.constexpr(N_CODE)


@triton.jit
def _read(x, starts, numbers, size, inside, dtype: tl.constexpr, LETTERS: tl.constexpr):
    """Read numbers of windows (rows, BK) that start at given places; 0 beyond."""
    at = inside[:, None] & (numbers < size)[None, :]
    if LETTERS:  # one-hot; N is 0.25 in all four
        codes = tl.load(x + starts[:, None] + (numbers // 4)[None, :], mask=at, other=255)
        hit = tl.where(codes == (numbers % 4)[None, :], 1.0, 0.0)
        read = tl.where(codes == _N, 0.25, hit).to(dtype)
    else:
        read = tl.load(x + starts[:, None] + numbers[None, :], mask=at, other=0.0)
    return read


@triton.jit
def forward(
    x,  # (R, n, length): base codes, or P * C numbers
    weights,  # (R, strands, F, size)
    bias,  # (R, F)
    best,  # (R, n * outputs, F): what comes out
    places,  # int8, the same: where the best is, those on the other strand last; -1 if it is 0
    windows,  # n * outputs
    outputs,
    length,
    filters,
    size,
    C: tl.constexpr,
    POOL: tl.constexpr,
    LETTERS: tl.constexpr,
    ROWS: tl.constexpr,
    BF: tl.constexpr,
    BK: tl.constexpr,
):
    """Compute the best score of each filter in each pool, and where it is."""
    dtype = best.dtype.element_ty
    blocks = tl.cdiv(windows, ROWS)
    network = (tl.program_id(0) // blocks).to(tl.int64)
    rows = tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BF + tl.arange(0, BF)
    inside, used = rows < windows, columns < filters
    step: tl.constexpr = 1 if LETTERS else C
    starts = rows // outputs * length + rows % outputs * (POOL * step)
    x += network * (windows // outputs) * length
    weights += network * ((2 if LETTERS else 1) * filters * size)
    top = tl.full((ROWS, BF), float("-inf"), tl.float32)
    where = tl.zeros((ROWS, BF), tl.int32)
    for place in range(POOL):
        ahead = tl.zeros((ROWS, BF), tl.float32)
        behind = tl.zeros((ROWS, BF), tl.float32)
        for first in range(0, size, BK):
            numbers = first + tl.arange(0, BK)
            window = _read(x, starts + place * step, numbers, size, inside, dtype, LETTERS)
            at = (numbers < size)[:, None] & used[None, :]
            here = weights + columns[None, :] * size + numbers[:, None]
            weight = tl.load(here, mask=at, other=0.0)
            ahead = tl.dot(window, weight, ahead)
            if LETTERS:
                weight = tl.load(here + filters * size, mask=at, other=0.0)
                behind = tl.dot(window, weight, behind)
        where = tl.where(ahead > top, place, where)
        top = tl.maximum(ahead, top)
        if LETTERS:
            where = tl.where(behind > top, POOL + place, where)
            top = tl.maximum(behind, top)
    top += tl.load(bias + network * filters + columns, mask=used, other=0.0)[None, :]
    where = tl.where(top > 0, where, -1)
    out = (network * windows + rows)[:, None] * filters + columns[None, :]
    write = inside[:, None] & used[None, :]
    tl.store(best + out, tl.maximum(top, 0.0).to(dtype), mask=write)
    tl.store(places + out, where.to(tl.int8), mask=write)


@triton.jit
def to_filters(
    x,
    slopes,  # (R, n * outputs, F)
    places,
    sums,  # (R, parts, strands, F, size): each part is the sum over part of the windows
    biases,  # (R, parts, F)
    windows,
    outputs,
    length,
    filters,
    size,
    parts,
    together,  # blocks of windows that are summed
    C: tl.constexpr,
    POOL: tl.constexpr,
    LETTERS: tl.constexpr,
    ROWS: tl.constexpr,
    BF: tl.constexpr,
    BK: tl.constexpr,
):
    """Sum the slopes of weights and biases, each over a part of the windows."""
    dtype = slopes.dtype.element_ty
    part = tl.program_id(0).to(tl.int64)
    network = part // parts
    columns = tl.program_id(1) * BF + tl.arange(0, BF)
    numbers = tl.program_id(2) * BK + tl.arange(0, BK)
    used = columns < filters
    step: tl.constexpr = 1 if LETTERS else C
    x += network * (windows // outputs) * length
    ahead, behind = tl.zeros((BK, BF), tl.float32), tl.zeros((BK, BF), tl.float32)
    total = tl.zeros((BF,), tl.float32)
    begin = part % parts * together * ROWS
    for block in range(together):
        rows = begin + block * ROWS + tl.arange(0, ROWS)
        inside = rows < windows
        starts = rows // outputs * length + rows % outputs * (POOL * step)
        at = (network * windows + rows)[:, None] * filters + columns[None, :]
        read = inside[:, None] & used[None, :]
        where = tl.load(places + at, mask=read, other=-1).to(tl.int32)
        slope = tl.load(slopes + at, mask=read, other=0.0)
        total += tl.sum(tl.where(where >= 0, slope.to(tl.float32), 0.0), axis=0)
        for place in range(POOL):
            window = _read(x, starts + place * step, numbers, size, inside, dtype, LETTERS)
            turned = tl.trans(window)
            one = tl.where(where == place, slope, 0.0).to(dtype)
            ahead = tl.dot(turned, one, ahead)
            if LETTERS:
                one = tl.where(where == POOL + place, slope, 0.0).to(dtype)
                behind = tl.dot(turned, one, behind)
    strands: tl.constexpr = 2 if LETTERS else 1
    out = sums + (part * strands * filters + columns[None, :]) * size + numbers[:, None]
    write = (numbers < size)[:, None] & used[None, :]
    tl.store(out, ahead, mask=write)
    if LETTERS:
        tl.store(out + filters * size, behind, mask=write)
    # All that share a part write the same there.
    tl.store(biases + part * filters + columns, total, mask=used)


@triton.jit
def to_inputs(
    weights,
    slopes,
    places,
    found,  # (R, n, P * C): slopes of x
    positions,  # n * P
    outputs,
    width,
    filters,
    length,  # P
    C: tl.constexpr,
    POOL: tl.constexpr,
    ROWS: tl.constexpr,
    BF: tl.constexpr,
    BC: tl.constexpr,
):
    """Sum the slopes of each number that was read, over the windows that read it."""
    dtype = found.dtype.element_ty
    blocks = tl.cdiv(positions, ROWS)
    network = (tl.program_id(0) // blocks).to(tl.int64)
    rows = tl.program_id(0) % blocks * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BC + tl.arange(0, BC)
    inside, used = rows < positions, columns < C
    sequence, position = rows // length, rows % length
    sequence += network * (positions // length)
    weights += network * filters * width * C
    total = tl.zeros((ROWS, BC), tl.float32)
    for offset in range(width):  # a position is so far into a window that starts before it
        start = position - offset
        output, place = start // POOL, start % POOL
        reached = inside & (start >= 0) & (output < outputs)
        for first in range(0, filters, BF):
            sources = first + tl.arange(0, BF)
            known = (sources < filters)[None, :]
            at = (sequence * outputs + output)[:, None] * filters + sources[None, :]
            read = reached[:, None] & known
            where = tl.load(places + at, mask=read, other=-1).to(tl.int32)
            slope = tl.load(slopes + at, mask=read, other=0.0)
            one = tl.where(where == place[:, None], slope, 0.0).to(dtype)
            here = weights + (sources[:, None] * width + offset) * C + columns[None, :]
            weight = tl.load(here, mask=(sources < filters)[:, None] & used[None, :], other=0.0)
            total = tl.dot(one, weight, total)
    out = (network * positions + rows)[:, None] * C + columns[None, :]
    tl.store(found + out, total.to(dtype), mask=inside[:, None] & used[None, :])
