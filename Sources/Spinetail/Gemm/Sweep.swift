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
        SweepBlock<Stored<E>>(
            a: packedA, b: product.b.base + first, bRow: product.b.rowStride, c: product.c + first,
            cRow: product.cRow, rows: product.rows, columns: count, depth: product.depth
        ).run()
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

/// Numbers as they stand in memory, and the sums that are made of them.
protocol SweepSource<Sum> {
    associatedtype Sum: Real
    associatedtype Number
    static func load(_ p: UnsafePointer<Number>) -> Sum.Lanes
    /// The first `count` lanes, zeros in the others.
    static func load(_ p: UnsafePointer<Number>, count: Int) -> Sum.Lanes
}

/// Numbers that are summed in their own format.
private enum Stored<E: Real>: SweepSource {
    typealias Sum = E
    typealias Number = E
    @inline(__always) static func load(_ p: UnsafePointer<E>) -> E.Lanes { E.Lanes.load(p) }
    @inline(__always) static func load(_ p: UnsafePointer<E>, count: Int) -> E.Lanes { E.Lanes.loadUpTo(p, count) }
}

/// c += a · b for a few rows; a is packed in groups of eight columns, b's rows run along memory and are streamed.
struct SweepBlock<S: SweepSource> {
    let a: UnsafePointer<S.Sum>
    let b: UnsafePointer<S.Number>
    let bRow: Int
    let c: UnsafeMutablePointer<S.Sum>
    let cRow: Int
    let rows: Int
    let columns: Int
    let depth: Int

    func run() {
        var k = 0
        while k < depth {
            let steps = Swift.min(8, depth &- k)
            var row = 0
            while row < rows {
                let left = rows &- row
                let strip = SweepStrip<S>(
                    a: a + (k &* rows &+ row &* 8), b: b + k &* bRow, bRow: bRow, c: c + row &* cRow, cRow: cRow,
                    count: columns, steps: steps, fetches: row == 0)
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
            k &+= 8
        }
    }
}

private enum Rows<let count: Int> {}

/// c[r, i] += Σ over at most eight steps of a[r · 8 + step] · b[step, i], for `count` columns.
private struct SweepStrip<S: SweepSource> {
    typealias Lanes = S.Sum.Lanes
    let a: UnsafePointer<S.Sum>
    let b: UnsafePointer<S.Number>
    let bRow: Int
    let c: UnsafeMutablePointer<S.Sum>
    let cRow: Int
    let count: Int
    let steps: Int
    /// Whether b comes for the first time, so that its next eight rows are fetched.
    let fetches: Bool

    @inline(__always) func run<let rows: Int>(_ height: Rows<rows>.Type) {
        if steps < 8 {
            edge(rows, from: 0, steps: steps)
            return
        }
        let width = Lanes.width
        var i = 0
        while i &+ width <= count {
            let p = b + i
            if fetches && i & (64 / MemoryLayout<S.Number>.size &- 1) == 0 {
                var next = p + 8 &* bRow
                for _ in 0..<8 {
                    spinetail_prefetch_far(next)
                    next += bRow
                }
            }
            let b0 = S.load(p)
            let b1 = S.load(p + bRow)
            let b2 = S.load(p + 2 &* bRow)
            let b3 = S.load(p + 3 &* bRow)
            let b4 = S.load(p + 4 &* bRow)
            let b5 = S.load(p + 5 &* bRow)
            let b6 = S.load(p + 6 &* bRow)
            let b7 = S.load(p + 7 &* bRow)
            for r in 0..<rows {
                let w = a + 8 &* r
                let q = c + (r &* cRow &+ i)
                var sum = Lanes.load(q)
                sum = Lanes.fma(Lanes(repeating: w[0]), b0, sum)
                sum = Lanes.fma(Lanes(repeating: w[1]), b1, sum)
                sum = Lanes.fma(Lanes(repeating: w[2]), b2, sum)
                sum = Lanes.fma(Lanes(repeating: w[3]), b3, sum)
                sum = Lanes.fma(Lanes(repeating: w[4]), b4, sum)
                sum = Lanes.fma(Lanes(repeating: w[5]), b5, sum)
                sum = Lanes.fma(Lanes(repeating: w[6]), b6, sum)
                sum = Lanes.fma(Lanes(repeating: w[7]), b7, sum)
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
                var sum = Lanes.loadUpTo(q, count &- i)
                var k = 0
                while k < steps {
                    sum = Lanes.fma(
                        Lanes(repeating: a[8 &* r &+ k]), S.load(b + (k &* bRow &+ i), count: count &- i), sum)
                    k &+= 1
                }
                sum.storeUpTo(q, count &- i)
                i &+= Lanes.width
            }
            r &+= 1
        }
    }
}
