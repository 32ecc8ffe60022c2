"""Kernels whose sizes are arguments: products with matrices, gathering, sums over edges.

These are plain Triton; what depends on paths and couplings is written by `tensor_product` and `contraction`.
"""

import triton
import triton.language as tl

# what `products` is told about each l, in whole numbers
JOB = ("components", "inner", "columns", "w_first", "x_first", "x_step", "y_first", "y_step", "add")


@triton.jit(do_not_specialize=["n_atoms"])
def products(
    x,
    w,
    y,
    jobs,
    slots,
    groups,
    n_atoms,
    x_stride,
    y_stride,
    GROUPED: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    INNER: tl.constexpr,
):
    """y[n, m] = x[n, m] @ w of every l, or added to y.

    Rows are the components m of the atoms n of one l, a program has ROWS of them and COLUMNS of the result.
    With GROUPED, the atoms are those of `slots`, -1 for none, of which ROWS in a row are of one group, and
    each group has a matrix of its own. All places are multiples of 16.
    """
    job = jobs + tl.program_id(2) * 9
    components = tl.load(job).to(tl.int32)
    inner = tl.load(job + 1).to(tl.int32)
    columns = tl.load(job + 2).to(tl.int32)
    w_first = tl.load(job + 3)
    x_first = tl.load(job + 4).to(tl.int32)
    x_step = tl.load(job + 5).to(tl.int32)
    y_first = tl.load(job + 6).to(tl.int32)
    y_step = tl.load(job + 7).to(tl.int32)
    add = tl.load(job + 8)
    inner = tl.multiple_of(inner, 16)
    columns = tl.multiple_of(columns, 16)
    w_first = tl.multiple_of(w_first, 16)
    x_first = tl.multiple_of(x_first, 16)
    x_step = tl.multiple_of(x_step, 16)
    y_first = tl.multiple_of(y_first, 16)
    y_step = tl.multiple_of(y_step, 16)
    start = tl.program_id(0) * ROWS
    column = tl.program_id(1) * COLUMNS
    if (start < n_atoms * components) & (column < columns):
        row = start + tl.arange(0, ROWS)
        atom = row // components
        there = atom < n_atoms
        m = row - atom * components
        if GROUPED:
            group = tl.load(groups + start // (ROWS * components))
            w_first += group.to(tl.int64) * inner * columns
            near = tl.load(slots + atom, mask=there, other=-1)
            there = near >= 0
        else:  # places are counted from the first atom, so that whole numbers of 32 bits do
            from_atom = start // components
            x += from_atom.to(tl.int64) * x_stride
            y += from_atom.to(tl.int64) * y_stride
            near = atom - from_atom
        x += x_first
        y += y_first + column
        w += w_first + column
        c = tl.arange(0, COLUMNS)
        fits = c < columns - column
        k = tl.arange(0, INNER)
        x_place = (near * x_stride + m * x_step)[:, None] + k[None, :]
        w_place = k[:, None] * columns + c[None, :]
        total = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
        for k0 in range(0, inner, INNER):
            left = k < inner - k0
            a = tl.load(x + x_place, mask=there[:, None] & left[None, :], other=0.0)
            b = tl.load(w + w_place, mask=left[:, None] & fits[None, :], other=0.0)
            total = tl.dot(a, b, total, input_precision=PRECISION, out_dtype=x.dtype.element_ty)
            x += INNER
            w += INNER * columns
        place = y + (near * y_stride + m * y_step)[:, None] + c[None, :]
        kept = there[:, None] & fits[None, :]
        if add != 0:
            total += tl.load(place, mask=kept, other=0.0)
        tl.store(place, total, mask=kept)


@triton.jit(do_not_specialize=["n_atoms"])
def gather(table, index, y, n_atoms, size, y_stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """y[n] = table[index[n]], rows of `size` numbers."""
    n = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    there = n < n_atoms
    row = tl.load(index + n, mask=there, other=0)
    kept = there[:, None] & (c < size)[None, :]
    found = tl.load(table + row[:, None] * size + c[None, :], mask=kept, other=0.0)
    tl.store(y + n[:, None] * y_stride + c[None, :], found, mask=kept)


@triton.jit(do_not_specialize=["n_begin", "n_end"])
def divisor(first, knot, s, table, law, inverse, n_begin, n_end, KNOT: tl.constexpr, ROWS: tl.constexpr):
    """inverse[i] = 1 / (alpha + beta rho), rho the sum of a function of the length over the edges of atom i.

    A knot of the table has KNOT coefficients of a polynomial of s; `law` is (alpha, beta).
    """
    i = n_begin + tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside = i < n_end
    begin = tl.load(first + i, mask=inside, other=0)
    end = tl.load(first + i + 1, mask=inside, other=0)
    rho = tl.zeros((ROWS,), table.dtype.element_ty)
    for k in range(tl.max(end - begin, axis=0)):
        e = begin + k
        there = e < end
        x = tl.load(s + e, mask=there, other=0.0)
        row = table + tl.load(knot + e, mask=there, other=0) * KNOT
        value = tl.load(row + KNOT - 1, mask=there, other=0.0)
        for r in tl.static_range(1, KNOT):
            value = value * x + tl.load(row + KNOT - 1 - r, mask=there, other=0.0)
        rho += value
    tl.store(inverse + i, 1.0 / (tl.load(law) + tl.load(law + 1) * rho), mask=inside)


@triton.jit(do_not_specialize=["n_atoms"])
def scale_reverse(inverse, law, m, gm, grho, n_atoms, size, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The gradients by what was divided (in place of gm), and by rho; m is what was divided."""
    n = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    there = n < n_atoms
    factor = tl.load(inverse + n, mask=there, other=0.0)
    total = tl.zeros((ROWS, COLUMNS), m.dtype.element_ty)
    for c0 in range(0, size, COLUMNS):
        c = c0 + tl.arange(0, COLUMNS)
        place = n[:, None] * size + c[None, :]
        kept = there[:, None] & (c < size)[None, :]
        g = tl.load(gm + place, mask=kept, other=0.0)
        total += g * tl.load(m + place, mask=kept, other=0.0)
        tl.store(gm + place, g * factor[:, None], mask=kept)
    found = tl.sum(total, axis=1) * factor * tl.load(law + 1)
    tl.store(grho + n, 0.0 - found, mask=there)


@triton.jit(do_not_specialize=["n_atoms"])
def totals(first, values, out, n_atoms, ROWS: tl.constexpr):
    """out[i] = sum of values over the edges that atom i receives."""
    i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside = i < n_atoms
    begin = tl.load(first + i, mask=inside, other=0)
    end = tl.load(first + i + 1, mask=inside, other=0)
    total = tl.zeros((ROWS,), values.dtype.element_ty)
    for k in range(tl.max(end - begin, axis=0)):
        total += tl.load(values + begin + k, mask=begin + k < end, other=0.0)
    tl.store(out + i, total, mask=inside)


@triton.jit
def segments(first, values, out, columns, ROWS: tl.constexpr):
    """out[s] = sum of values over the rows of segment s, in `columns` columns; a program for each of both."""
    s = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1)
    begin = tl.load(first + s)
    end = tl.load(first + s + 1)
    total = tl.zeros((ROWS,), values.dtype.element_ty)
    for k in range(tl.cdiv(end - begin, ROWS)):
        row = begin + k * ROWS + tl.arange(0, ROWS)
        total += tl.load(values + row * columns + c, mask=row < end, other=0.0)
    tl.store(out + s * columns + c, tl.sum(total, axis=0))


@triton.jit(do_not_specialize=["n_edges"])
def vectors(x, cell, structure, sender, receiver, shift, r, n_edges, EDGES: tl.constexpr):
    """R = x[receiver] - x[sender] + shift @ cell, float64, of every edge."""
    e = tl.program_id(0).to(tl.int64) * EDGES + tl.arange(0, EDGES)
    there = e < n_edges
    j = tl.load(sender + e, mask=there, other=0)
    i = tl.load(receiver + e, mask=there, other=0)
    box = cell + tl.load(structure + j, mask=there, other=0) * 9
    a = tl.load(shift + e * 3, mask=there, other=0.0)
    b = tl.load(shift + e * 3 + 1, mask=there, other=0.0)
    c = tl.load(shift + e * 3 + 2, mask=there, other=0.0)
    for axis in tl.static_range(3):
        along = a * tl.load(box + axis, mask=there, other=0.0)
        along += b * tl.load(box + 3 + axis, mask=there, other=0.0)
        along += c * tl.load(box + 6 + axis, mask=there, other=0.0)
        apart = tl.load(x + i * 3 + axis, mask=there, other=0.0) - tl.load(
            x + j * 3 + axis, mask=there, other=0.0
        )
        tl.store(r + e * 3 + axis, apart + along, mask=there)


@triton.jit(do_not_specialize=["n_atoms"])
def forces(first, out_first, order, r, g, force, virial, n_atoms, ROWS: tl.constexpr):
    """Forces of atoms, and the parts of the virial due to the edges that they receive.

    With g the derivative of the energy by r, the force is the sum of g over the edges that an atom sends,
    less that over those that it receives; the virial is the sum of r (x) g, made symmetric: xx, yy, zz, yz,
    xz, xy.
    """
    i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside = i < n_atoms
    x = tl.zeros((ROWS,), tl.float64)
    y = tl.zeros((ROWS,), tl.float64)
    z = tl.zeros((ROWS,), tl.float64)
    xx = tl.zeros((ROWS,), tl.float64)
    yy = tl.zeros((ROWS,), tl.float64)
    zz = tl.zeros((ROWS,), tl.float64)
    yz = tl.zeros((ROWS,), tl.float64)
    xz = tl.zeros((ROWS,), tl.float64)
    xy = tl.zeros((ROWS,), tl.float64)
    begin = tl.load(first + i, mask=inside, other=0)
    end = tl.load(first + i + 1, mask=inside, other=0)
    for k in range(tl.max(end - begin, axis=0)):
        e = begin + k
        there = e < end
        rx = tl.load(r + e * 3, mask=there, other=0.0)
        ry = tl.load(r + e * 3 + 1, mask=there, other=0.0)
        rz = tl.load(r + e * 3 + 2, mask=there, other=0.0)
        gx = tl.load(g + e * 3, mask=there, other=0.0)
        gy = tl.load(g + e * 3 + 1, mask=there, other=0.0)
        gz = tl.load(g + e * 3 + 2, mask=there, other=0.0)
        x -= gx
        y -= gy
        z -= gz
        xx += rx * gx
        yy += ry * gy
        zz += rz * gz
        yz += 0.5 * (ry * gz + rz * gy)
        xz += 0.5 * (rx * gz + rz * gx)
        xy += 0.5 * (rx * gy + ry * gx)
    begin = tl.load(out_first + i, mask=inside, other=0)
    end = tl.load(out_first + i + 1, mask=inside, other=0)
    for k in range(tl.max(end - begin, axis=0)):
        there = begin + k < end
        e = tl.load(order + begin + k, mask=there, other=0)
        x += tl.load(g + e * 3, mask=there, other=0.0)
        y += tl.load(g + e * 3 + 1, mask=there, other=0.0)
        z += tl.load(g + e * 3 + 2, mask=there, other=0.0)
    tl.store(force + i * 3, x, mask=inside)
    tl.store(force + i * 3 + 1, y, mask=inside)
    tl.store(force + i * 3 + 2, z, mask=inside)
    tl.store(virial + i * 6, xx, mask=inside)
    tl.store(virial + i * 6 + 1, yy, mask=inside)
    tl.store(virial + i * 6 + 2, zz, mask=inside)
    tl.store(virial + i * 6 + 3, yz, mask=inside)
    tl.store(virial + i * 6 + 4, xz, mask=inside)
    tl.store(virial + i * 6 + 5, xy, mask=inside)
