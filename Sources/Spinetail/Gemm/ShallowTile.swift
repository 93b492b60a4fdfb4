import CSpinetail

/// The whole tile of a shallow product, 14 × 2 vectors, whose sums are variables of their own. As arrays they would begin
/// as zeros in memory and end there on their way to C: with so little depth, the processor would wait for those stores.
enum ShallowTile<E: Real> {
    static var rows: Int { 14 }

    /// c[0 ..< 14, 0 ..< Tile.columns] = a · b, with element (row, k) of a at a[k · 14 + row].
    @inline(__always)
    static func multiply(
        depth: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, bDepth: Int, c: UnsafeMutablePointer<E>, cRow: Int,
        prefetch: Prefetch
    ) {
        let zero = E.Lanes.zero
        var (x0, x1, x2, x3, x4, x5, x6) = (zero, zero, zero, zero, zero, zero, zero)
        var (x7, x8, x9, x10, x11, x12, x13) = (zero, zero, zero, zero, zero, zero, zero)
        var (y0, y1, y2, y3, y4, y5, y6) = (zero, zero, zero, zero, zero, zero, zero)
        var (y7, y8, y9, y10, y11, y12, y13) = (zero, zero, zero, zero, zero, zero, zero)
        var a = a
        var b = b
        var line = prefetch.first
        var p = line
        var rest = prefetch.segment
        var k = 0
        while k < depth {
            spinetail_prefetch_far(p)
            let b0 = E.Lanes.load(b)
            let b1 = E.Lanes.load(b + E.Lanes.width)
            add(a[0], b0, b1, &x0, &y0)
            add(a[1], b0, b1, &x1, &y1)
            add(a[2], b0, b1, &x2, &y2)
            add(a[3], b0, b1, &x3, &y3)
            add(a[4], b0, b1, &x4, &y4)
            add(a[5], b0, b1, &x5, &y5)
            add(a[6], b0, b1, &x6, &y6)
            add(a[7], b0, b1, &x7, &y7)
            add(a[8], b0, b1, &x8, &y8)
            add(a[9], b0, b1, &x9, &y9)
            add(a[10], b0, b1, &x10, &y10)
            add(a[11], b0, b1, &x11, &y11)
            add(a[12], b0, b1, &x12, &y12)
            add(a[13], b0, b1, &x13, &y13)
            p += prefetch.step
            rest &-= 1
            if rest == 0 {
                line += prefetch.jump
                p = line
                rest = prefetch.segment
            }
            a += rows
            b += bDepth
            k &+= 1
        }
        var c = c
        store(x0, y0, &c, cRow)
        store(x1, y1, &c, cRow)
        store(x2, y2, &c, cRow)
        store(x3, y3, &c, cRow)
        store(x4, y4, &c, cRow)
        store(x5, y5, &c, cRow)
        store(x6, y6, &c, cRow)
        store(x7, y7, &c, cRow)
        store(x8, y8, &c, cRow)
        store(x9, y9, &c, cRow)
        store(x10, y10, &c, cRow)
        store(x11, y11, &c, cRow)
        store(x12, y12, &c, cRow)
        store(x13, y13, &c, cRow)
    }

    @inline(__always)
    private static func add(_ a: E, _ b0: E.Lanes, _ b1: E.Lanes, _ x: inout E.Lanes, _ y: inout E.Lanes) {
        let value = E.Lanes(repeating: a)
        x = E.Lanes.fma(value, b0, x)
        y = E.Lanes.fma(value, b1, y)
    }

    @inline(__always)
    private static func store(_ x: E.Lanes, _ y: E.Lanes, _ c: inout UnsafeMutablePointer<E>, _ cRow: Int) {
        x.store(c)
        y.store(c + E.Lanes.width)
        c += cRow
    }
}
