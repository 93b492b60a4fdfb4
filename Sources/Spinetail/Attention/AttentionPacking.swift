import CSpinetail

/// Copies into the layouts that the attention tiles read.
enum AttentionPacking<E: Real> {
    /// Rows along the lanes: out[k · AttentionBlock.queries + i] = factor · rows[i · row + k]; lanes without a row
    /// become 0. Only `vectors` of the lanes are written.
    @inline(never)
    static func transpose(
        _ rows: UnsafePointer<E>, row: Int, count: Int, depth: Int, vectors: Int, factor: E,
        into out: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        let stride = AttentionBlock<E>.queries
        let scale = E.Lanes(repeating: factor)
        var first = 0
        while first < vectors &* width {
            let valid = Swift.min(width, count &- first)
            let source = rows + first &* row
            let target = out + first
            var k = 0
            while k &+ width <= depth {
                E.Lanes.transpose(source + k, stride: row, valid: valid, into: target + k &* stride, outStride: stride)
                k &+= width
            }
            var done = 0
            while done < k {
                let p = target + done &* stride
                (E.Lanes.load(p) * scale).store(p)
                done &+= 1
            }
            while k < depth {
                let p = target + k &* stride
                var i = 0
                while i < valid {
                    p[i] = source[i &* row &+ k] * factor
                    i &+= 1
                }
                while i < width {
                    p[i] = 0
                    i &+= 1
                }
                k &+= 1
            }
            first &+= width
        }
    }

    /// Rows of `width` elements to rows of `paddedWidth`, a multiple of a vector; the padding becomes 0.
    @inline(never)
    static func pad(
        _ rows: UnsafePointer<E>, row: Int, count: Int, width: Int, paddedWidth: Int, into out: UnsafeMutablePointer<E>
    ) {
        let lanes = E.Lanes.width
        var r = 0
        while r < count {
            let p = rows + r &* row
            let q = out + r &* paddedWidth
            var i = 0
            while i &+ lanes <= width {
                E.Lanes.load(p + i).store(q + i)
                i &+= lanes
            }
            if i < width { E.Lanes.load(p + i, count: width &- i, fill: 0).store(q + i) }
            r &+= 1
        }
    }
}

/// One head's rows as an operand of SumTile: vectors may be loaded up to the padded width. Rows whose width is whole
/// vectors are read in place, others are copied block by block.
struct PaddedRows<E: Real> {
    let base: UnsafePointer<E>
    let row: Int

    init(base: UnsafePointer<E>, row: Int) {
        self.base = base
        self.row = row
    }

    @inline(__always)
    init(
        _ rows: UnsafePointer<E>, row: Int, count: Int, width: Int, paddedWidth: Int, buffer: UnsafeMutablePointer<E>
    ) {
        if width == paddedWidth {
            base = rows
            self.row = row
        } else {
            AttentionPacking<E>.pad(
                rows, row: row, count: count, width: width, paddedWidth: paddedWidth, into: buffer)
            base = UnsafePointer(buffer)
            self.row = paddedWidth
        }
    }
}
