import CSpinetail

/// A few rows of A against a B that is too large to come twice and whose rows run along memory: B is streamed once,
/// eight of its rows at a time, into sums that stay in the cache.
extension Product {
    static var sweepRows: Int { 14 }

    var prefersSweep: Bool {
        b.columnStride == 1 && rows <= Self.sweepRows && depth >= 8
            && (rows == 1 ? columns >= 256 : columns >= 64 && columns &* depth > 65_536)
    }

    func runSweep() -> Int32 {
        let groups = pieces(depth, SweepColumns<E>.group)
        guard let scratch = Scratch.take(groups &* rows &* SweepColumns<E>.group &* MemoryLayout<E>.size) else {
            return Status.noMemory
        }
        defer { Scratch.give(scratch) }
        let packed = scratch.assumingMemoryBound(to: E.self)
        packSweep(into: packed)
        let step = Swift.min(1024, Swift.max(128, roundUp(pieces(columns, 4), 64)))
        let task = SweepColumns(product: self, packedA: packed, columnsPerTask: step)
        return parallel(pieces(columns, step), cost: columns &* depth / 16 &* (rows &+ 3), task)
    }

    /// A in groups of eight columns: element (r, k) at [k / 8 · rows · 8 + r · 8 + k % 8].
    private func packSweep(into out: UnsafeMutablePointer<E>) {
        let group = SweepColumns<E>.group
        var k = 0
        while k < depth {
            var r = 0
            while r < rows {
                let from = a.base + (r &* a.rowStride &+ k &* a.columnStride)
                let to = out + (k &* rows &+ r &* group)
                let count = Swift.min(group, depth &- k)
                var i = 0
                while i < count {
                    to[i] = from[i &* a.columnStride]
                    i &+= 1
                }
                r &+= 1
            }
            k &+= group
        }
    }
}

private struct SweepColumns<E: Real>: ParallelTask {
    let product: Product<E>
    let packedA: UnsafePointer<E>
    let columnsPerTask: Int

    static var group: Int { 8 }

    init(product: Product<E>, packedA: UnsafeMutablePointer<E>, columnsPerTask: Int) {
        self.product = product
        self.packedA = UnsafePointer(packedA)
        self.columnsPerTask = columnsPerTask
    }

    func run(_ index: Int, worker: Int) {
        let first = index &* columnsPerTask
        let count = Swift.min(columnsPerTask, product.columns &- first)
        if !product.accumulate { clear(first, count) }
        var k = 0
        while k < product.depth {
            let steps = Swift.min(Self.group, product.depth &- k)
            var row = 0
            while row < product.rows {
                let left = product.rows &- row
                let a = packedA + (k &* product.rows &+ row &* Self.group)
                let b = product.b.base + (k &* product.b.rowStride &+ first)
                let c = product.c + (row &* product.cRow &+ first)
                let strip = SweepStrip(
                    a: a, b: b, bRow: product.b.rowStride, c: c, cRow: product.cRow, count: count, steps: steps)
                if left >= 8 {
                    strip.run(Rows<8>.self)
                    row &+= 8
                } else if left >= 6 {
                    strip.run(Rows<6>.self)
                    row &+= 6
                } else if left >= 4 {
                    strip.run(Rows<4>.self)
                    row &+= 4
                } else if left >= 2 {
                    strip.run(Rows<2>.self)
                    row &+= 2
                } else {
                    strip.run(Rows<1>.self)
                    row &+= 1
                }
            }
            k &+= Self.group
        }
        complete(first, count)
    }

    private func clear(_ first: Int, _ count: Int) {
        var r = 0
        while r < product.rows {
            let c = product.c + (r &* product.cRow &+ first)
            var i = 0
            while i < count {
                E.Lanes.zero.storeUpTo(c + i, count &- i)
                i &+= E.Lanes.width
            }
            r &+= 1
        }
    }

    private func complete(_ first: Int, _ count: Int) {
        let epilogue = product.epilogue
        if epilogue.bias != .none || epilogue.relu {
            var r = 0
            while r < product.rows {
                let c = product.c + (r &* product.cRow &+ first)
                var i = 0
                while i < count {
                    var x = E.Lanes.loadUpTo(c + i, count &- i)
                    if let values = epilogue.values {
                        x =
                            x
                            + (epilogue.bias == .perRow
                                ? E.Lanes(repeating: values[r]) : E.Lanes.loadUpTo(values + (first &+ i), count &- i))
                    }
                    if epilogue.relu { x = E.Lanes.max(.zero, x) }
                    x.storeUpTo(c + i, count &- i)
                    i &+= E.Lanes.width
                }
                r &+= 1
            }
        }
        product.complete(row: 0, column: first, rows: product.rows, columns: count)
    }
}

private enum Rows<let count: Int> {}

/// c[r, i] += Σ over at most eight steps of a[r · 8 + step] · b[step, i], for `count` columns.
private struct SweepStrip<E: Real> {
    let a: UnsafePointer<E>
    let b: UnsafePointer<E>
    let bRow: Int
    let c: UnsafeMutablePointer<E>
    let cRow: Int
    let count: Int
    let steps: Int

    @inline(__always) func run<let rows: Int>(_ height: Rows<rows>.Type) {
        if steps < 8 {
            edge(rows, from: 0, steps: steps)
            return
        }
        let width = E.Lanes.width
        var i = 0
        while i &+ width <= count {
            let p = b + i
            let b0 = E.Lanes.load(p)
            let b1 = E.Lanes.load(p + bRow)
            let b2 = E.Lanes.load(p + 2 &* bRow)
            let b3 = E.Lanes.load(p + 3 &* bRow)
            let b4 = E.Lanes.load(p + 4 &* bRow)
            let b5 = E.Lanes.load(p + 5 &* bRow)
            let b6 = E.Lanes.load(p + 6 &* bRow)
            let b7 = E.Lanes.load(p + 7 &* bRow)
            for r in 0..<rows {
                let w = a + 8 &* r
                let q = c + (r &* cRow &+ i)
                var sum = E.Lanes.load(q)
                sum = E.Lanes.fma(E.Lanes(repeating: w[0]), b0, sum)
                sum = E.Lanes.fma(E.Lanes(repeating: w[1]), b1, sum)
                sum = E.Lanes.fma(E.Lanes(repeating: w[2]), b2, sum)
                sum = E.Lanes.fma(E.Lanes(repeating: w[3]), b3, sum)
                sum = E.Lanes.fma(E.Lanes(repeating: w[4]), b4, sum)
                sum = E.Lanes.fma(E.Lanes(repeating: w[5]), b5, sum)
                sum = E.Lanes.fma(E.Lanes(repeating: w[6]), b6, sum)
                sum = E.Lanes.fma(E.Lanes(repeating: w[7]), b7, sum)
                sum.store(q)
            }
            i &+= width
        }
        if i < count { edge(rows, from: i, steps: 8) }
    }

    /// Fewer than eight steps, or the columns that do not fill a vector.
    @inline(never) private func edge(_ rows: Int, from first: Int, steps: Int) {
        var r = 0
        while r < rows {
            var i = first
            while i < count {
                let q = c + (r &* cRow &+ i)
                var sum = E.Lanes.loadUpTo(q, count &- i)
                var k = 0
                while k < steps {
                    sum = E.Lanes.fma(
                        E.Lanes(repeating: a[8 &* r &+ k]), E.Lanes.loadUpTo(b + (k &* bRow &+ i), count &- i), sum)
                    k &+= 1
                }
                sum.storeUpTo(q, count &- i)
                i &+= E.Lanes.width
            }
            r &+= 1
        }
    }
}
