import CSpinetail

/// sums[column] = Σ over rows of m, pairwise over blocks of rows, so that float32 sums of many rows stay accurate.
/// With a mask the sums are over what it lets through, which it keeps, and there may be no sums.
func sumRows<E: Real>(
    _ m: Matrix<E>, rows: Int, columns: Int, into sums: UnsafeMutablePointer<E>?, where mask: Rectified<E>? = nil
) -> Int32 {
    let task = RowSums(m: m, rows: rows, columns: columns, sums: sums, mask: mask)
    return parallel(pieces(columns, RowSums<E>.columnsPerTask), cost: rows &* columns / 8, task)
}

/// Lets a gradient through where `output`, of max(0, ·), is not 0 (or less), and keeps it in rows that are `row` apart.
struct Rectified<E: Real> {
    let output: Matrix<E>
    let kept: UnsafeMutablePointer<E>
    let row: Int

    @inline(__always) func pass(_ grad: E.Lanes, _ row: Int, _ column: Int, _ valid: Int) -> E.Lanes {
        let y = E.Lanes.loadUpTo(output.base + (row &* output.rowStride &+ column), valid)
        let passed = Relu.gradient(grad, y, .zero, .zero)
        passed.storeUpTo(kept + (row &* self.row &+ column), valid)
        return passed
    }
}

private struct RowSums<E: Real>: ParallelTask {
    let m: Matrix<E>
    let rows: Int
    let columns: Int
    let sums: UnsafeMutablePointer<E>?
    let mask: Rectified<E>?

    static var columnsPerTask: Int { 256 }

    func run(_ index: Int, worker: Int) {
        var column = index &* Self.columnsPerTask
        let end = Swift.min(columns, column &+ Self.columnsPerTask)
        let width = E.Lanes.width
        if let sums, mask == nil, m.columnStride == 1 {
            while column &+ Strip<E.Lanes>.width <= end {
                strip(0, rows, column).store(sums + column)
                column &+= Strip<E.Lanes>.width
            }
        }
        while column < end {
            let valid = Swift.min(width, end &- column)
            let total = sum(0, rows, column, valid)
            if let sums { total.storeUpTo(sums + column, valid) }
            column &+= width
        }
    }

    /// The same sums as below, of four vectors: of a row that comes from far away more than a line is read.
    private func strip(_ first: Int, _ last: Int, _ column: Int) -> Strip<E.Lanes> {
        if last &- first > 64 {
            let middle = first &+ ((last &- first) >> 1)
            return strip(first, middle, column) + strip(middle, last, column)
        }
        var total = Strip<E.Lanes>(repeating: 0)
        var p = m.base + (first &* m.rowStride &+ column)
        var row = first
        while row < last {
            Strip<E.Lanes>.fetch(p + 8 &* m.rowStride)
            total = total + Strip<E.Lanes>.load(p)
            p += m.rowStride
            row &+= 1
        }
        return total
    }

    /// Rows first ..< last of `valid` columns. The recursion is as deep as the logarithm of the rows.
    private func sum(_ first: Int, _ last: Int, _ column: Int, _ valid: Int) -> E.Lanes {
        if last &- first > 64 {
            let middle = first &+ ((last &- first) >> 1)
            return sum(first, middle, column, valid) + sum(middle, last, column, valid)
        }
        var total = E.Lanes.zero
        var row = first
        while row < last {
            let p = m.base + (row &* m.rowStride &+ column &* m.columnStride)
            var value =
                m.columnStride == 1
                ? E.Lanes.loadUpTo(p, valid) : E.Lanes.gather(p, step: m.columnStride, count: valid)
            if let mask { value = mask.pass(value, row, column, valid) }
            total = total + value
            row &+= 1
        }
        return total
    }
}
