import CSpinetail

/// What the arrays hold: what is computed with, or 16 bits that are widened to float32 a block at a time as they are
/// packed, and rounded once as results are stored.
enum AttentionStorage {
    case own, bfloat16, float16

    init(_ array: Descriptor) {
        let dtype = Int(array.dtype)
        self =
            dtype == Int(SPINETAIL_BFLOAT16)
            ? .bfloat16 : dtype == Int(SPINETAIL_FLOAT16) ? .float16 : .own
    }
}

extension HeadRows {
    /// `count` rows from `first` on as an operand of the products: where they stand if they hold E, in `buffer` if not
    /// or if rows of `paddedWidth` are wanted and theirs are narrower.
    @inline(__always)
    func operand(
        _ batch: Int, _ head: Int, first: Int, count: Int, width: Int, paddedWidth: Int,
        buffer: UnsafeMutablePointer<E>
    ) -> PaddedRows<E> {
        if storage == .own {
            return PaddedRows(
                rows(batch, head) + first &* row, row: row, count: count, width: width,
                paddedWidth: paddedWidth,
                buffer: buffer)
        }
        widen(
            batch, head, first: first, count: count, width: width, paddedWidth: paddedWidth, into: buffer)
        return PaddedRows(base: UnsafePointer(buffer), row: paddedWidth)
    }

    @inline(never)
    private func widen(
        _ batch: Int, _ head: Int, first: Int, count: Int, width: Int, paddedWidth: Int,
        into out: UnsafeMutablePointer<E>
    ) {
        let from = halves(batch, head) + first &* row
        let to = UnsafeMutableRawPointer(out).assumingMemoryBound(to: Float.self)
        if storage == .bfloat16 {
            HalfRows<BrainFloat>.widen(
                from, row: row, count: count, width: width, paddedWidth: paddedWidth, into: to)
        } else {
            HalfRows<HalfFloat>.widen(
                from, row: row, count: count, width: width, paddedWidth: paddedWidth, into: to)
        }
    }

    /// Stores one row, factor · from.
    @inline(__always)
    func store(
        _ batch: Int, _ head: Int, _ number: Int, _ from: UnsafeMutablePointer<E>, width: Int, factor: E
    ) {
        if storage == .own {
            copyRows(
                from, row: 0, rows: 1, width: width, factor: factor, to: rows(batch, head) + number &* row,
                row: 0)
        } else {
            narrow(batch, head, number, from, width: width, factor: factor)
        }
    }

    @inline(never)
    private func narrow(
        _ batch: Int, _ head: Int, _ number: Int, _ from: UnsafeMutablePointer<E>, width: Int, factor: E
    ) {
        let to = halves(batch, head) + number &* row
        let numbers = UnsafeMutableRawPointer(from).assumingMemoryBound(to: Float.self)
        let scale = Float(factor.double)
        if storage == .bfloat16 {
            HalfRows<BrainFloat>.narrow(numbers, width: width, factor: scale, into: to)
        } else {
            HalfRows<HalfFloat>.narrow(numbers, width: width, factor: scale, into: to)
        }
    }

    private func halves(_ batch: Int, _ head: Int) -> UnsafeMutablePointer<UInt16> {
        UnsafeMutableRawPointer(base).assumingMemoryBound(to: UInt16.self)
            + (batch &* self.batch &+ head &* self.head)
    }
}

/// Rows of 16-bit numbers from and to float32.
private enum HalfRows<H: HalfFormat> {
    static func widen(
        _ from: UnsafePointer<UInt16>, row: Int, count: Int, width: Int, paddedWidth: Int,
        into out: UnsafeMutablePointer<Float>
    ) {
        var r = 0
        while r < count {
            let p = from + r &* row
            let q = out + r &* paddedWidth
            var i = 0
            while i < paddedWidth {
                H.load(p + i, count: Swift.min(FloatLanes.width, width &- i)).store(q + i)
                i &+= FloatLanes.width
            }
            r &+= 1
        }
    }

    static func narrow(
        _ from: UnsafePointer<Float>, width: Int, factor: Float, into out: UnsafeMutablePointer<UInt16>
    ) {
        let scale = FloatLanes(repeating: factor)
        var i = 0
        while i < width {
            H.store(FloatLanes.load(from + i) * scale, out + i, count: width &- i)
            i &+= FloatLanes.width
        }
    }
}
