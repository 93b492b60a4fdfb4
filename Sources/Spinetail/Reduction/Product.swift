import CSpinetail

/// The product, in float64, so that float32 has far more room before it overflows or vanishes on the way.
struct ProductFold<E: Real>: Fold {
    typealias D = DoubleLanes
    static var rows: Int { 1024 }
    static var cost: Int { 3 }

    @inline(__always) private static func times(_ a: D, _ b: D) -> D { spinetail_multiply_f64(a, b) }
    @inline(__always) private static func load(_ p: UnsafePointer<E>) -> D { E.Lanes.loadWide(p) }

    /// The first `count` < width elements, ones after them.
    @inline(__always) private static func load(_ p: UnsafePointer<E>, _ count: Int) -> D {
        E.Lanes.load(p, count: count, fill: 1).low
    }

    /// The lanes' products of a row, four vectors in turn; `head` elements that are no whole vector come first.
    @inline(__always) private static func lanes(_ p: UnsafePointer<E>, _ n: Int, _ head: Int, _ first: D) -> D {
        var a = first
        var i = head
        if i &+ 4 &* D.width <= n {
            var b = D(repeating: 1), c = b, d = b
            while i &+ 4 &* D.width <= n {
                a = times(a, load(p + i))
                b = times(b, load(p + i + D.width))
                c = times(c, load(p + i + 2 &* D.width))
                d = times(d, load(p + i + 3 &* D.width))
                i &+= 4 &* D.width
            }
            a = times(times(a, b), times(c, d))
        }
        while i < n {
            a = times(a, load(p + i))
            i &+= D.width
        }
        return a
    }

    func row(_ p: UnsafePointer<E>, _ n: Int, first: Int) -> Partial {
        let rest = remainder(n, by: D.width)
        return Partial(a: spinetail_product_f64(Self.lanes(p, n, rest, Self.load(p, rest))))
    }

    func rows(
        _ p: UnsafePointer<E>, _ count: Int, _ n: Int, pitch: Int, limit: UnsafePointer<E>,
        _ values: UnsafeMutablePointer<E>?, _ indices: UnsafeMutablePointer<Int64>?, _ scratch: UnsafeMutableRawPointer
    ) -> Bool {
        guard n <= RowBlock<D>.longest, let values else { return false }
        let block = RowBlock<D>(scratch, n)
        let one = D(repeating: 1)
        var i = 0
        while i < count {
            let some = Swift.min(D.width, count &- i)
            var r = 0
            while r < some {
                let q = p + (i &+ r) &* pitch
                let first = n >= D.width || limit - q >= D.width ? block.first(Self.load(q), one) : Self.load(q, n)
                Self.lanes(q, n, block.head, first).store(block.vectors + r &* D.width)
                r &+= 1
            }
            let products = block.merged { Self.times($0, $1) }
            E.Lanes.narrow(products, products).store(values + i, count: some)
            i &+= some
        }
        return true
    }

    func columns(_ p: UnsafePointer<E>, _ n: Int, pitch: Int, count: Int, _ scratch: UnsafeMutableRawPointer) {
        let products = scratch.table(0, Double.self)
        var r = 0
        while r < n {
            let q = p + r &* pitch
            var j = 0
            while j < count {
                let left = count &- j
                let whole = left >= D.width
                var product = r == 0 ? D(repeating: 1) : D.load(products + j)
                if whole && r &+ 8 <= n {
                    let a = Self.times(Self.load(q + j), Self.load(q + j + pitch))
                    let b = Self.times(Self.load(q + j + 2 &* pitch), Self.load(q + j + 3 &* pitch))
                    let c = Self.times(Self.load(q + j + 4 &* pitch), Self.load(q + j + 5 &* pitch))
                    let d = Self.times(Self.load(q + j + 6 &* pitch), Self.load(q + j + 7 &* pitch))
                    product = Self.times(product, Self.times(Self.times(a, b), Self.times(c, d)))
                } else {
                    let end = Swift.min(8, n &- r)
                    var k = 0
                    while k < end {
                        let t = q + j + k &* pitch
                        product = Self.times(product, whole ? Self.load(t) : Self.load(t, left))
                        k &+= 1
                    }
                }
                product.store(products + j)
                j &+= D.width
            }
            r &+= 8
        }
    }

    func column(_ scratch: UnsafeMutableRawPointer, _ j: Int, _ n: Int, first: Int) -> Partial {
        Partial(a: scratch.table(0, Double.self)[j])
    }

    func merge(_ x: Partial, _ y: Partial) -> Partial { Partial(a: x.a * y.a) }
    func finish(_ x: Partial) -> E { E(x.a) }
}
