import CSpinetail

/// C as the turned product Bᵀ · Aᵀ. The packed way copies B between its tiles' steps, but packs A while no sums are made:
/// where A is much larger than B, as in the gradient of a layer that widens, the turned product packs the smaller one.
/// C, made turned in memory of its own, is turned back in a sweep.
extension Product {
    var prefersTurning: Bool {
        let width = E.Lanes.width
        return Tile<E>.isWide && a.rowStride == 1 && b.columnStride == 1 && rows >= 2 &* columns
            && depth > Self.shallowDepth && columns >= 8 &* Tile<E>.rows && remainder(columns, by: width) == 0
            && cRow == columns && !accumulate && finish == nil && epilogue.bias == .none && !epilogue.relu
    }

    func runTurned() -> Int32 {
        guard let scratch = Scratch.take(rows &* columns &* MemoryLayout<E>.size) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let turned = scratch.assumingMemoryBound(to: E.self)
        let status = Product(
            rows: columns, columns: rows, depth: depth, a: b.transposed, b: a.transposed, c: turned, cRow: rows,
            accumulate: false, epilogue: .nothing
        ).run()
        if status != Status.ok { return status }
        let task = TurnBack(from: turned, to: c, rows: rows, columns: columns)
        return parallel(pieces(rows, TurnBack<E>.rowsPerTask), cost: rows &* columns / 4, task)
    }
}

private struct TurnBack<E: Real>: ParallelTask {
    let from: UnsafePointer<E>
    let to: UnsafeMutablePointer<E>
    let rows: Int
    let columns: Int

    static var rowsPerTask: Int { 64 }

    /// The panels that `pack` makes of all columns at once are the turned matrix.
    func run(_ index: Int, worker: Int) {
        let first = index &* Self.rowsPerTask
        Packing<E>.pack(
            Matrix(base: from + first, rowStride: rows, columnStride: 1), count: columns,
            depth: Swift.min(Self.rowsPerTask, rows &- first), panel: columns, into: to + first &* columns)
    }
}
