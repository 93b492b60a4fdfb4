import CSpinetail

/// A register tile whose rows of B begin anywhere: `offsets[k]` elements behind its columns. A is packed.
struct PlanarTile<E: Real> {
    let height: Int
    let depth: Int
    let offsets: UnsafePointer<Int>
    let cRow: Int
    let relu: Bool

    /// 16 rows are one tile of 16 × 1 vectors: two of 8 × 2 would load as many numbers of A and twice as many of B.
    static func height(for rows: Int, dense: Bool) -> Int {
        if dense && (rows == 15 || rows == 16) { return 16 }
        return rows <= 4 ? 4 : rows <= 6 ? 6 : PanelTile<E>.height(for: rows)
    }

    @inline(__always) static func columns(_ height: Int) -> Int { height == 16 ? E.Lanes.width : Tile<E>.columns }

    func multiply(
        _ a: UnsafePointer<E>, _ b: PlanarColumns<E>, _ c: UnsafeMutablePointer<E>, rows: Int, columns: Int,
        bias: UnsafePointer<E>?
    ) {
        if Tile<E>.isWide {
            switch height {
            case 16: runTall(a, b, c, rows, columns, bias)
            case 14: run(Height<14>(), a, b, c, rows, columns, bias)
            case 13: run(Height<13>(), a, b, c, rows, columns, bias)
            case 12: run(Height<12>(), a, b, c, rows, columns, bias)
            case 11: run(Height<11>(), a, b, c, rows, columns, bias)
            case 10: run(Height<10>(), a, b, c, rows, columns, bias)
            case 8: run(Height<8>(), a, b, c, rows, columns, bias)
            case 6: run(Height<6>(), a, b, c, rows, columns, bias)
            default: run(Height<4>(), a, b, c, rows, columns, bias)
            }
        } else {
            switch height {
            case 6: run(Height<6>(), a, b, c, rows, columns, bias)
            case 5: run(Height<5>(), a, b, c, rows, columns, bias)
            default: run(Height<4>(), a, b, c, rows, columns, bias)
            }
        }
    }

    /// A height that the compiler knows.
    private struct Height<let rows: Int> {}

    @inline(never)
    private func run<let rows: Int>(
        _ height: Height<rows>, _ a: UnsafePointer<E>, _ b: PlanarColumns<E>, _ c: UnsafeMutablePointer<E>,
        _ validRows: Int, _ validColumns: Int, _ bias: UnsafePointer<E>?
    ) {
        let width = E.Lanes.width
        // Loops of half the rows: LLVM unrolls each fully, and only then do the sums stay in registers.
        let half = rows >> 1
        var left = InlineArray<rows, E.Lanes> { _ in .zero }
        if let bias {
            for r in 0..<half { if r < validRows { left[unchecked: r] = E.Lanes(repeating: bias[r]) } }
            for r in half..<rows { if r < validRows { left[unchecked: r] = E.Lanes(repeating: bias[r]) } }
        }
        var right = left
        var a = a
        var k = 0
        if b.rows == 0 {
            while k < depth {
                let at = offsets[k]
                RegisterTile<E, rows>.step(&left, &right, a, 1, .load(b.left + at), .load(b.right + at))
                a += rows
                k &+= 1
            }
        } else if b.rows == 1 {
            while k < depth {
                let at = offsets[k]
                let b0 = E.Lanes.load(b.left + at).loaded(b.left + (b.gap &+ at), bits: b.leftBits.0)
                let b1 = E.Lanes.load(b.right + at).loaded(b.right + (b.gap &+ at), bits: b.rightBits.0)
                RegisterTile<E, rows>.step(&left, &right, a, 1, b0, b1)
                a += rows
                k &+= 1
            }
        } else {
            while k < depth {
                let at = offsets[k]
                let b0 = E.Lanes.load(b.left + at).loaded(b.left + (b.gap &+ at), bits: b.leftBits.0)
                let b1 = E.Lanes.load(b.right + at).loaded(b.right + (b.gap &+ at), bits: b.rightBits.0)
                RegisterTile<E, rows>.step(
                    &left, &right, a, 1, b0.loaded(b.left + (2 &* b.gap &+ at), bits: b.leftBits.1),
                    b1.loaded(b.right + (2 &* b.gap &+ at), bits: b.rightBits.1))
                a += rows
                k &+= 1
            }
        }
        if relu {
            for r in 0..<half { ramp(&left[unchecked: r], &right[unchecked: r]) }
            for r in half..<rows { ramp(&left[unchecked: r], &right[unchecked: r]) }
        }
        if validColumns >= 2 &* width {
            for r in 0..<half { whole(r, validRows, left[unchecked: r], right[unchecked: r], c) }
            for r in half..<rows { whole(r, validRows, left[unchecked: r], right[unchecked: r], c) }
            return
        }
        for r in 0..<half { part(r, validRows, left[unchecked: r], right[unchecked: r], c, validColumns) }
        for r in half..<rows { part(r, validRows, left[unchecked: r], right[unchecked: r], c, validColumns) }
    }

    @inline(__always) private func ramp(_ x: inout E.Lanes, _ y: inout E.Lanes) {
        x = E.Lanes.max(.zero, x)
        y = E.Lanes.max(.zero, y)
    }

    @inline(__always)
    private func whole(_ r: Int, _ rows: Int, _ x: E.Lanes, _ y: E.Lanes, _ c: UnsafeMutablePointer<E>) {
        if r >= rows { return }
        x.store(c + r &* cRow)
        y.store(c + (r &* cRow &+ E.Lanes.width))
    }

    @inline(__always)
    private func part(
        _ r: Int, _ rows: Int, _ x: E.Lanes, _ y: E.Lanes, _ c: UnsafeMutablePointer<E>, _ columns: Int
    ) {
        if r >= rows { return }
        x.storeUpTo(c + r &* cRow, columns)
        if columns > E.Lanes.width { y.storeUpTo(c + (r &* cRow &+ E.Lanes.width), columns &- E.Lanes.width) }
    }

    /// 16 rows, the left vector of columns.
    @inline(never)
    private func runTall(
        _ a: UnsafePointer<E>, _ b: PlanarColumns<E>, _ c: UnsafeMutablePointer<E>, _ validRows: Int,
        _ validColumns: Int, _ bias: UnsafePointer<E>?
    ) {
        var sums = InlineArray<16, E.Lanes>(repeating: .zero)
        if let bias {
            for r in 0..<16 { if r < validRows { sums[unchecked: r] = E.Lanes(repeating: bias[r]) } }
        }
        var a = a
        var k = 0
        while k < depth {
            let p = b.left + offsets[k]
            var value = E.Lanes.load(p)
            if b.rows > 0 { value = value.loaded(p + b.gap, bits: b.leftBits.0) }
            if b.rows > 1 { value = value.loaded(p + 2 &* b.gap, bits: b.leftBits.1) }
            for r in 0..<8 {
                sums[unchecked: r] = E.Lanes.fma(E.Lanes(repeating: a[r]), value, sums[unchecked: r])
            }
            for r in 8..<16 {
                sums[unchecked: r] = E.Lanes.fma(E.Lanes(repeating: a[r]), value, sums[unchecked: r])
            }
            a += 16
            k &+= 1
        }
        for r in 0..<16 {
            let sum = relu ? E.Lanes.max(.zero, sums[unchecked: r]) : sums[unchecked: r]
            if r < validRows { sum.storeUpTo(c + r &* cRow, validColumns) }
        }
    }
}

/// Where a tile's two vectors of columns begin in the planes, and which of their lanes lie in the next row or the one behind
/// it, a gap away each.
struct PlanarColumns<E: Real> {
    var left: UnsafePointer<E>
    var right: UnsafePointer<E>
    var gap = 0
    var rows = 0  // that a vector reaches into
    var leftBits: (UInt32, UInt32) = (0, 0)
    var rightBits: (UInt32, UInt32) = (0, 0)

    /// Columns one behind the other.
    init(_ b: UnsafePointer<E>) {
        left = b
        right = b + E.Lanes.width
    }

    /// Results from `first` on, in rows of `width` that lie `width + gap` apart; not less than half a vector wide.
    @inline(__always) init(_ planes: UnsafePointer<E>, _ first: Int, width: Int, gap: Int) {
        let lanes = E.Lanes.width
        self.gap = gap
        let row = divide(first, by: width)
        var x = first &- row &* width
        left = planes + (first &+ row &* gap)
        leftBits = Self.bits(width &- x, width)
        if leftBits.0 != 0 { rows = leftBits.1 != 0 ? 2 : 1 }
        x &+= lanes
        right = left + lanes
        while x >= width {
            x &-= width
            right += gap
        }
        rightBits = Self.bits(width &- x, width)
        if rightBits.0 != 0 { rows = Swift.max(rows, rightBits.1 != 0 ? 2 : 1) }
        if gap == 0 { rows = 0 }
    }

    /// Lanes from `first` on, and from `first + width` on.
    @inline(__always) private static func bits(_ first: Int, _ width: Int) -> (UInt32, UInt32) {
        let lanes = E.Lanes.width
        let all = (UInt32(1) << UInt32(truncatingIfNeeded: lanes)) &- 1
        if first >= lanes { return (0, 0) }
        let one = all & ~((UInt32(1) << UInt32(truncatingIfNeeded: first)) &- 1)
        if first &+ width >= lanes { return (one, 0) }
        return (one, all & ~((UInt32(1) << UInt32(truncatingIfNeeded: first &+ width)) &- 1))
    }
}
