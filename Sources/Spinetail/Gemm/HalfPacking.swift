import CSpinetail

/// Packs matrices of 16-bit numbers into the float32 panels that `Packing<Float>` describes.
enum HalfPacking<H: HalfFormat> {
    /// Floats that `block` must hold.
    static var blockSize: Int { 2 &* FloatLanes.width &* FloatLanes.width }

    /// Panels of `panel` rows of m, depth (m's columns) outermost within a panel; as many floats as in one vector may be
    /// written behind the last.
    static func pack(
        _ m: Matrix<UInt16>, count: Int, depth: Int, panel: Int, into out: UnsafeMutablePointer<Float>,
        block: UnsafeMutablePointer<Float>
    ) {
        if m.rowStride == 1 { return packAlong(m, count: count, depth: depth, panel: panel, into: out) }
        var first = 0
        while first < count {
            let valid = Swift.min(panel, count &- first)
            let source = m.advanced(rows: first, columns: 0)
            let target = out + first &* depth
            if m.columnStride == 1 {
                packAcross(source, valid: valid, depth: depth, panel: panel, into: target, block: block)
            } else {
                packAny(source, valid: valid, depth: depth, panel: panel, into: target)
            }
            first &+= panel
        }
    }

    /// Neighbours in the panel are neighbours in memory: reads run through all panels at once.
    private static func packAlong(
        _ m: Matrix<UInt16>, count: Int, depth: Int, panel: Int, into out: UnsafeMutablePointer<Float>
    ) {
        let width = FloatLanes.width
        var k = 0
        while k < depth {
            var p = m.base + k &* m.columnStride
            var q = out + k &* panel
            var left = count
            while left > 0 {
                let valid = Swift.min(panel, left)
                var i = 0
                while i < panel {
                    let count = Swift.min(width, valid &- i)
                    let lanes = count > 0 ? H.load(p + i, count: count) : FloatLanes(repeating: 0)
                    if i &+ width <= panel { lanes.store(q + i) } else { lanes.store(q + i, count: panel &- i) }
                    i &+= width
                }
                p += panel
                q += panel &* depth
                left &-= panel
            }
            k &+= 1
        }
    }

    /// Neighbours in depth are neighbours in memory: blocks of width × 2·width are transposed as pairs, which halves the
    /// shuffles. As in `Packing`, a store may run into what the next step writes.
    private static func packAcross(
        _ m: Matrix<UInt16>, valid: Int, depth: Int, panel: Int, into out: UnsafeMutablePointer<Float>,
        block: UnsafeMutablePointer<Float>
    ) {
        let width = FloatLanes.width
        let copy = block + width &* width
        let isEven = m.rowStride & 1 == 0
        var k = 0
        while k < depth {
            let steps = Swift.min(2 &* width, depth &- k)
            var first = roundUp(panel, width) &- width
            while first >= 0 {
                let rows = Swift.max(0, Swift.min(width, valid &- first))
                let source = m.advanced(rows: Swift.min(first, valid &- 1), columns: k)
                prefetch(source, rows: rows)
                if isEven && steps == 2 &* width {
                    FloatLanes.transpose(
                        UnsafeRawPointer(source.base).assumingMemoryBound(to: Float.self), stride: m.rowStride >> 1,
                        valid: rows, into: block, outStride: width)
                } else {
                    gather(source, rows: rows, steps: steps, into: copy)
                    FloatLanes.transpose(copy, stride: width, valid: rows, into: block, outStride: width)
                }
                var i = 0
                while i < steps {
                    let pairs = spinetail_load_pairs(block + (i >> 1) &* width)
                    let to = out + ((k &+ i) &* panel &+ first)
                    H.first(pairs).store(to)
                    if i &+ 1 < steps { H.second(pairs).store(to + panel) }
                    i &+= 2
                }
                first &-= width
            }
            k &+= 2 &* width
        }
    }

    /// What is read a few blocks later.
    @inline(__always) private static func prefetch(_ m: Matrix<UInt16>, rows: Int) {
        var p = m.base + 8 &* FloatLanes.width
        var r = 0
        while r < rows {
            spinetail_prefetch(p)
            p += m.rowStride
            r &+= 1
        }
    }

    /// `steps` numbers of each row, zeros up to 2·width.
    private static func gather(_ m: Matrix<UInt16>, rows: Int, steps: Int, into copy: UnsafeMutablePointer<Float>) {
        let out = UnsafeMutableRawPointer(copy).assumingMemoryBound(to: UInt16.self)
        let all = 2 &* FloatLanes.width
        var r = 0
        while r < rows {
            var i = 0
            while i < all {
                out[r &* all &+ i] = i < steps ? m.base[r &* m.rowStride &+ i] : 0
                i &+= 1
            }
            r &+= 1
        }
    }

    private static func packAny(
        _ m: Matrix<UInt16>, valid: Int, depth: Int, panel: Int, into out: UnsafeMutablePointer<Float>
    ) {
        var k = 0
        while k < depth {
            var r = 0
            while r < panel {
                let value = r < valid ? H.float(m.base[r &* m.rowStride &+ k &* m.columnStride]) : 0
                out[k &* panel &+ r] = value
                r &+= 1
            }
            k &+= 1
        }
    }
}
