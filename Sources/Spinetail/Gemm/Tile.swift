import CSpinetail

/// The register tile of matrix products: `rows` × `columns` sums held in registers, fed by one broadcast of A per row and
/// two vectors of B per step of depth. 14 × 32 float32 on AVX-512 (28 of 32 registers), 6 × 16 on AVX2 (12 of 16).
enum Tile<E: Real> {
    @inline(__always) static var isWide: Bool { MemoryLayout<E.Lanes>.size == 64 }
    @inline(__always) static var rows: Int { isWide ? 14 : 6 }
    @inline(__always) static var columns: Int { 2 &* E.Lanes.width }

    /// c[0 ..< rows, 0 ..< columns] = a · b (+ c), all operands through pointers:
    /// - a: packed panel, element (row, k) at a[k · Tile.rows + row]; rows beyond the matrix are zeros
    /// - b: element (k, column) at b[k · bDepth + column]; Tile.columns of them are read at each k
    /// - c: element (row, column) at c[row · cRow + column]; only `validRows` × `validColumns` are touched
    @inline(__always)
    static func multiply(
        depth: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, bDepth: Int, c: UnsafeMutablePointer<E>, cRow: Int,
        validRows: Int, validColumns: Int, accumulate: Bool, epilogue: Epilogue<E>
    ) {
        if isWide {
            RegisterTile<E, 14>.multiply(
                depth: depth, a: a, aRow: 1, aDepth: 14, b: b, bDepth: bDepth, c: c, cRow: cRow, validRows: validRows,
                validColumns: validColumns, accumulate: accumulate, epilogue: epilogue)
        } else {
            RegisterTile<E, 6>.multiply(
                depth: depth, a: a, aRow: 1, aDepth: 6, b: b, bDepth: bDepth, c: c, cRow: cRow, validRows: validRows,
                validColumns: validColumns, accumulate: accumulate, epilogue: epilogue)
        }
    }
}

/// What happens to a finished tile before it is stored. `bias` points at the tile's first row or column.
struct Epilogue<E: Real> {
    enum Bias { case none, perRow, perColumn }
    var bias: Bias = .none
    var values: UnsafePointer<E>? = nil
    var relu = false

    @inline(__always) static var nothing: Epilogue<E> { Epilogue() }

    @inline(__always) func advanced(rows: Int, columns: Int) -> Epilogue<E> {
        var moved = self
        switch bias {
        case .none: break
        case .perRow: moved.values = values.map { $0 + rows }
        case .perColumn: moved.values = values.map { $0 + columns }
        }
        return moved
    }
}

/// The tile for a fixed number of rows, so that all sums have a register of their own. A may have any strides here;
/// where B's rows end at `validColumns` in memory, `paddedB: false` keeps reads inside them; `narrow` tiles have one vector
/// of columns at most.
enum RegisterTile<E: Real, let rows: Int> {
    @inline(__always)
    static func multiply(
        depth: Int, a: UnsafePointer<E>, aRow: Int, aDepth: Int, b: UnsafePointer<E>, bDepth: Int,
        c: UnsafeMutablePointer<E>, cRow: Int, validRows: Int, validColumns: Int, accumulate: Bool,
        epilogue: Epilogue<E>, paddedB: Bool = true, narrow: Bool = false,
        prefetch: Prefetch? = nil
    ) {
        var left = InlineArray<rows, E.Lanes>(repeating: .zero)
        var right = InlineArray<rows, E.Lanes>(repeating: .zero)
        let width = E.Lanes.width
        // How many lanes of each vector of B there are.
        let count0 = Swift.min(width, validColumns)
        let count1 = Swift.max(0, Swift.min(width, validColumns &- width))
        var a = a
        var b = b
        var k = 0
        if let prefetch {
            var line = prefetch.first
            var p = line
            var rest = prefetch.segment
            while k < depth {
                spinetail_prefetch_far(p)
                step(&left, &right, a, aRow, E.Lanes.load(b), E.Lanes.load(b + width))
                p += prefetch.step
                rest &-= 1
                if rest == 0 {
                    line += prefetch.jump
                    p = line
                    rest = prefetch.segment
                }
                a += aDepth
                b += bDepth
                k &+= 1
            }
        } else {
            while k < depth {
                if narrow {
                    step(&left, a, aRow, loadPart(b, count0))
                } else {
                    let b0 = paddedB ? E.Lanes.load(b) : loadPart(b, count0)
                    let b1 = paddedB ? E.Lanes.load(b + width) : loadPart(b + width, count1)
                    step(&left, &right, a, aRow, b0, b1)
                }
                a += aDepth
                b += bDepth
                k &+= 1
            }
        }
        finish(
            &left, &right, c: c, cRow: cRow, validRows: validRows, validColumns: validColumns, accumulate: accumulate,
            epilogue: epilogue)
    }

    @inline(__always)
    private static func step(
        _ left: inout InlineArray<rows, E.Lanes>, _ right: inout InlineArray<rows, E.Lanes>, _ a: UnsafePointer<E>,
        _ aRow: Int, _ b0: E.Lanes, _ b1: E.Lanes
    ) {
        // Two short loops: LLVM unrolls each fully, and only then do the sums stay in registers.
        let half = rows >> 1
        for r in 0..<half {
            let value = E.Lanes(repeating: a[r &* aRow])
            left[unchecked: r] = E.Lanes.fma(value, b0, left[unchecked: r])
            right[unchecked: r] = E.Lanes.fma(value, b1, right[unchecked: r])
        }
        for r in half..<rows {
            let value = E.Lanes(repeating: a[r &* aRow])
            left[unchecked: r] = E.Lanes.fma(value, b0, left[unchecked: r])
            right[unchecked: r] = E.Lanes.fma(value, b1, right[unchecked: r])
        }
    }

    /// The same for a single vector of B.
    @inline(__always)
    private static func step(
        _ left: inout InlineArray<rows, E.Lanes>, _ a: UnsafePointer<E>, _ aRow: Int, _ b0: E.Lanes
    ) {
        let half = rows >> 1
        for r in 0..<half {
            left[unchecked: r] = E.Lanes.fma(E.Lanes(repeating: a[r &* aRow]), b0, left[unchecked: r])
        }
        for r in half..<rows {
            left[unchecked: r] = E.Lanes.fma(E.Lanes(repeating: a[r &* aRow]), b0, left[unchecked: r])
        }
    }

    /// `count` lanes (0 ... width); wide vectors have masks for that, which need no branch.
    @inline(__always) private static func loadPart(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        Tile<E>.isWide ? E.Lanes.load(p, count: count, fill: 0) : E.Lanes.loadUpTo(p, count)
    }

    /// Adds what C holds, applies the epilogue and stores.
    @inline(__always)
    static func finish(
        _ left: inout InlineArray<rows, E.Lanes>, _ right: inout InlineArray<rows, E.Lanes>,
        c: UnsafeMutablePointer<E>, cRow: Int, validRows: Int, validColumns: Int, accumulate: Bool,
        epilogue: Epilogue<E>
    ) {
        let width = E.Lanes.width
        let whole = validColumns >= 2 &* width
        var bias0 = E.Lanes.zero
        var bias1 = E.Lanes.zero
        if epilogue.bias == .perColumn, let values = epilogue.values {
            if whole {
                bias0 = E.Lanes.load(values)
                bias1 = E.Lanes.load(values + width)
            } else {
                bias0 = E.Lanes.loadUpTo(values, validColumns)
                if validColumns > width { bias1 = E.Lanes.loadUpTo(values + width, validColumns &- width) }
            }
        }
        for r in 0..<rows {
            if r < validRows {
                let p = c + r &* cRow
                var x = left[unchecked: r]
                var y = right[unchecked: r]
                if accumulate {
                    if whole {
                        x = x + E.Lanes.load(p)
                        y = y + E.Lanes.load(p + width)
                    } else {
                        x = x + E.Lanes.loadUpTo(p, validColumns)
                        if validColumns > width { y = y + E.Lanes.loadUpTo(p + width, validColumns &- width) }
                    }
                }
                if epilogue.bias == .perRow, let values = epilogue.values {
                    let value = E.Lanes(repeating: values[r])
                    x = x + value
                    y = y + value
                } else {
                    x = x + bias0
                    y = y + bias1
                }
                if epilogue.relu {
                    // max takes its second operand where the first is NaN, so a NaN sum stays NaN.
                    x = E.Lanes.max(.zero, x)
                    y = E.Lanes.max(.zero, y)
                }
                if whole {
                    x.store(p)
                    y.store(p + width)
                } else {
                    x.storeUpTo(p, validColumns)
                    if validColumns > width { y.storeUpTo(p + width, validColumns &- width) }
                }
            }
        }
    }
}

/// Memory that a tile fetches into the second-level cache while it computes, one line for each step of depth: `segment`
/// lines `step` bytes apart, then again from `jump` bytes behind the segment's first line.
struct Prefetch {
    var first: UnsafeRawPointer
    var step: Int
    var segment: Int
    var jump: Int
}

extension Lanes {
    /// `count` lanes (0 ... width and more) from memory, zeros in the others.
    @inline(__always) static func loadUpTo(_ p: UnsafePointer<Scalar>, _ count: Int) -> Self {
        if count >= width { return load(p) }
        return count > 0 ? load(p, count: count, fill: 0) : .zero
    }

    @inline(__always) func storeUpTo(_ p: UnsafeMutablePointer<Scalar>, _ count: Int) {
        if count >= Self.width { store(p) } else { store(p, count: count) }
    }
}
