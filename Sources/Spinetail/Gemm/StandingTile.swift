import CSpinetail

/// A register tile of Cᵀ: `rows` columns of B, which stand in memory one after the other, with a packed panel of A.
/// `rows` is 12 or 6: three of them share a pointer, which leaves registers for all pointers, and four vector registers
/// more than the sums take, without which the compiler keeps sums in memory.
enum StandingTile<E: Real, let rows: Int> {
    typealias Sums = InlineArray<rows, E.Lanes>

    /// c[0 ..< rows, 0 ..< Tile.columns] = max(floor, a · b + bias), with row r of a at a + r · aRow; narrow tiles have one
    /// vector of columns.
    @inline(__always)
    static func multiply(
        depth: Int, a: UnsafePointer<E>, aRow: Int, b: UnsafePointer<E>, c: UnsafeMutablePointer<E>, cRow: Int,
        bias: UnsafePointer<E>?, floor: E?, prefetch: Prefetch, narrow: Bool
    ) {
        let width = E.Lanes.width
        var left = Sums(repeating: .zero)
        var right = Sums(repeating: .zero)
        var p0 = a
        var p3 = a + 3 &* aRow
        var p6 = a + 6 &* aRow
        var p9 = a + 9 &* aRow
        var b = b
        var line = prefetch.first
        var p = line
        var rest = prefetch.segment
        var k = 0
        while k < depth {
            spinetail_prefetch_far(p)
            let b0 = E.Lanes.load(b)
            let b1 = narrow ? E.Lanes.zero : E.Lanes.load(b + width)
            three(&left, &right, 0, p0, aRow, b0, b1, narrow)
            three(&left, &right, 3, p3, aRow, b0, b1, narrow)
            if rows > 6 {
                three(&left, &right, 6, p6, aRow, b0, b1, narrow)
                three(&left, &right, 9, p9, aRow, b0, b1, narrow)
                p6 += 1
                p9 += 1
            }
            p0 += 1
            p3 += 1
            p += prefetch.step
            rest &-= 1
            if rest == 0 {
                line += prefetch.jump
                p = line
                rest = prefetch.segment
            }
            b += narrow ? width : 2 &* width
            k &+= 1
        }
        let half = rows >> 1
        for r in 0..<half { finish(&left, &right, r, c + r &* cRow, bias, floor, narrow) }
        for r in half..<rows { finish(&left, &right, r, c + r &* cRow, bias, floor, narrow) }
    }

    @inline(__always)
    private static func three(
        _ left: inout Sums, _ right: inout Sums, _ first: Int, _ a: UnsafePointer<E>, _ aRow: Int, _ b0: E.Lanes,
        _ b1: E.Lanes, _ narrow: Bool
    ) {
        add(&left, &right, first, a, b0, b1, narrow)
        add(&left, &right, first &+ 1, a + aRow, b0, b1, narrow)
        add(&left, &right, first &+ 2, a + 2 &* aRow, b0, b1, narrow)
    }

    @inline(__always)
    private static func add(
        _ left: inout Sums, _ right: inout Sums, _ row: Int, _ a: UnsafePointer<E>, _ b0: E.Lanes, _ b1: E.Lanes,
        _ narrow: Bool
    ) {
        let value = E.Lanes(repeating: a.pointee)
        left[unchecked: row] = E.Lanes.fma(value, b0, left[unchecked: row])
        if !narrow { right[unchecked: row] = E.Lanes.fma(value, b1, right[unchecked: row]) }
    }

    @inline(__always)
    private static func finish(
        _ left: inout Sums, _ right: inout Sums, _ row: Int, _ c: UnsafeMutablePointer<E>, _ bias: UnsafePointer<E>?,
        _ floor: E?, _ narrow: Bool
    ) {
        var x = left[unchecked: row]
        var y = right[unchecked: row]
        if let bias {
            let value = E.Lanes(repeating: bias[row])
            x = x + value
            y = y + value
        }
        if let floor {
            // max takes its second operand where the first is NaN, so a NaN sum stays NaN.
            x = E.Lanes.max(E.Lanes(repeating: floor), x)
            y = E.Lanes.max(E.Lanes(repeating: floor), y)
        }
        x.store(c)
        if !narrow { y.store(c + E.Lanes.width) }
    }
}
