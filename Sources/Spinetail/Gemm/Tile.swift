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
    @inline(__always) var isNothing: Bool { bias == .none && !relu }

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
