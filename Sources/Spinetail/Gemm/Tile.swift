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
/// where B's rows end at `validColumns` in memory, `paddedB: false` keeps reads inside them.
enum RegisterTile<E: Real, let rows: Int> {
    @inline(__always)
    static func multiply(
        depth: Int, a: UnsafePointer<E>, aRow: Int, aDepth: Int, b: UnsafePointer<E>, bDepth: Int,
        c: UnsafeMutablePointer<E>, cRow: Int, validRows: Int, validColumns: Int, accumulate: Bool,
        epilogue: Epilogue<E>, paddedB: Bool = true
    ) {
        var left = InlineArray<rows, E.Lanes>(repeating: .zero)
        var right = InlineArray<rows, E.Lanes>(repeating: .zero)
        let width = E.Lanes.width
        let half = rows >> 1
        var a = a
        var b = b
        var k = 0
        while k < depth {
            let b0 = paddedB ? E.Lanes.load(b) : loadUpTo(b, validColumns)
            let b1 = paddedB ? E.Lanes.load(b + width) : loadUpTo(b + width, validColumns &- width)
            // Two short loops: LLVM unrolls each fully, and only then do the sums stay in registers.
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
            a += aDepth
            b += bDepth
            k &+= 1
        }
        finish(
            &left, &right, c: c, cRow: cRow, validRows: validRows, validColumns: validColumns, accumulate: accumulate,
            epilogue: epilogue)
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
                bias0 = loadUpTo(values, validColumns)
                if validColumns > width { bias1 = loadUpTo(values + width, validColumns &- width) }
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
                        x = x + loadUpTo(p, validColumns)
                        if validColumns > width { y = y + loadUpTo(p + width, validColumns &- width) }
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
                    storeUpTo(x, p, validColumns)
                    if validColumns > width { storeUpTo(y, p + width, validColumns &- width) }
                }
            }
        }
    }

    @inline(__always) private static func loadUpTo(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        if count >= E.Lanes.width { return E.Lanes.load(p) }
        return count > 0 ? E.Lanes.load(p, count: count, fill: 0) : .zero
    }

    @inline(__always) private static func storeUpTo(_ x: E.Lanes, _ p: UnsafeMutablePointer<E>, _ count: Int) {
        if count >= E.Lanes.width { x.store(p) } else { x.store(p, count: count) }
    }
}
