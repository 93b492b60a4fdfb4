import CSpinetail

/// One row of A against a wide B whose rows run along memory: B is streamed once, eight of its rows at a time, into sums
/// that stay in L1.
extension Product {
    static var gemvColumns: Int { 1024 }

    var prefersGemv: Bool { rows == 1 && b.columnStride == 1 && columns >= 256 && depth >= 8 }

    func runGemv() -> Int32 {
        parallel(pieces(columns, Self.gemvColumns), cost: columns &* depth / 8, GemvColumns(product: self))
    }
}

private struct GemvColumns<E: Real>: ParallelTask {
    let product: Product<E>

    func run(_ index: Int, worker: Int) {
        let first = index &* Product<E>.gemvColumns
        let count = Swift.min(Product<E>.gemvColumns, product.columns &- first)
        let c = product.c + first
        let whole = count &- remainder(count, by: E.Lanes.width)
        if !product.accumulate {
            var i = 0
            while i < count {
                c[i] = 0
                i &+= 1
            }
        }
        var k = 0
        while k < product.depth {
            let step = product.depth &- k >= 8 ? 8 : 1
            if step == 8 {
                add(RowGroup<E, 8>.self, k, first, c, whole)
            } else {
                add(RowGroup<E, 1>.self, k, first, c, whole)
            }
            var i = whole
            while i < count {
                var sum = c[i]
                var r = 0
                while r < step {
                    let row = k &+ r
                    sum =
                        sum + product.a.base[row &* product.a.columnStride]
                        * product.b.base[row &* product.b.rowStride &+ first &+ i]
                    r &+= 1
                }
                c[i] = sum
                i &+= 1
            }
            k &+= step
        }
        finish(c, first, count)
    }

    @inline(__always)
    private func add<let group: Int>(
        _ type: RowGroup<E, group>.Type, _ k: Int, _ first: Int, _ c: UnsafeMutablePointer<E>, _ count: Int
    ) {
        let a = product.a.base + k &* product.a.columnStride
        let b = product.b.base + (k &* product.b.rowStride &+ first)
        RowGroup<E, group>.add(a, product.a.columnStride, b, product.b.rowStride, to: c, count: count)
    }

    private func finish(_ c: UnsafeMutablePointer<E>, _ first: Int, _ count: Int) {
        let epilogue = product.epilogue
        if epilogue.bias == .none && !epilogue.relu { return }
        var i = 0
        while i < count {
            var value = c[i]
            if let bias = epilogue.values { value = value + bias[epilogue.bias == .perRow ? 0 : first &+ i] }
            if epilogue.relu && value < 0 { value = 0 }
            c[i] = value
            i &+= 1
        }
    }
}

private enum RowGroup<E: Real, let group: Int> {
    /// c[i] += Σ over the group of a[r] · b[r, i], for `count` (a multiple of the width) columns.
    @inline(__always)
    static func add(
        _ a: UnsafePointer<E>, _ aStep: Int, _ b: UnsafePointer<E>, _ bRow: Int, to c: UnsafeMutablePointer<E>,
        count: Int
    ) {
        var weights = InlineArray<group, E.Lanes>(repeating: .zero)
        for r in 0..<group { weights[unchecked: r] = E.Lanes(repeating: a[r &* aStep]) }
        var i = 0
        while i < count {
            var sum = E.Lanes.load(c + i)
            for r in 0..<group { sum = E.Lanes.fma(weights[unchecked: r], E.Lanes.load(b + (r &* bRow &+ i)), sum) }
            sum.store(c + i)
            i &+= E.Lanes.width
        }
    }
}
