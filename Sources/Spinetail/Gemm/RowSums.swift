import CSpinetail

/// sums[column] = Σ over rows of m, pairwise over blocks of rows, so that float32 sums of many rows stay accurate.
func sumRows<E: Real>(_ m: Matrix<E>, rows: Int, columns: Int, into sums: UnsafeMutablePointer<E>) -> Int32 {
    let task = RowSums(m: m, rows: rows, columns: columns, sums: sums)
    return parallel(pieces(columns, RowSums<E>.columnsPerTask), cost: rows &* columns / 8, task)
}

private struct RowSums<E: Real>: ParallelTask {
    let m: Matrix<E>
    let rows: Int
    let columns: Int
    let sums: UnsafeMutablePointer<E>

    static var columnsPerTask: Int { 256 }

    func run(_ index: Int, worker: Int) {
        var column = index &* Self.columnsPerTask
        let end = Swift.min(columns, column &+ Self.columnsPerTask)
        let width = E.Lanes.width
        while column < end {
            let valid = Swift.min(width, end &- column)
            let total = sum(0, rows, column, valid)
            if valid == width { total.store(sums + column) } else { total.store(sums + column, count: valid) }
            column &+= width
        }
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
            if m.columnStride != 1 {
                total = total + E.Lanes.gather(p, step: m.columnStride, count: valid)
            } else {
                total = total + (valid == E.Lanes.width ? E.Lanes.load(p) : E.Lanes.load(p, count: valid, fill: 0))
            }
            row &+= 1
        }
        return total
    }
}
