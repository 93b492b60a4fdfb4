import CSpinetail

/// What the arrays hold: what is computed with; or 16 bits, or bytes and a scale for each row, that are widened to
/// float32 as they are read. Results of 16 bits are rounded once as they are stored.
enum AttentionStorage {
    case own, bfloat16, float16, bytes

    init(_ array: Descriptor) {
        switch Int(array.dtype) {
        case Int(SPINETAIL_BFLOAT16): self = .bfloat16
        case Int(SPINETAIL_FLOAT16): self = .float16
        case Int(SPINETAIL_INT8): self = .bytes
        default: self = .own
        }
    }
}

extension HeadRows {
    /// `count` rows from `first` on, of one run, as an operand of the products: where they stand if they hold E, in
    /// `buffer` if not or if rows of `paddedWidth` are wanted and theirs are narrower.
    @inline(__always)
    func operand(
        _ batch: Int, _ head: Int, first: Int, count: Int, width: Int, paddedWidth: Int,
        buffer: UnsafeMutablePointer<E>
    ) -> PaddedRows<E> {
        if storage == .own {
            return PaddedRows(
                address(batch, head, first).assumingMemoryBound(to: E.self), row: row, count: count, width: width,
                paddedWidth: paddedWidth, buffer: buffer)
        }
        widen(
            batch, head, first: first, count: count, width: width, paddedWidth: paddedWidth, into: buffer)
        return PaddedRows(base: UnsafePointer(buffer), row: paddedWidth)
    }

    /// Rows of one run to rows of whole vectors.
    func copy(_ batch: Int, _ head: Int, first: Int, count: Int, width: Int, into out: UnsafeMutablePointer<E>) {
        let padded = roundUp(width, E.Lanes.width)
        if storage == .own {
            AttentionPacking<E>.pad(
                address(batch, head, first).assumingMemoryBound(to: E.self), row: row, count: count, width: width,
                paddedWidth: padded, into: out)
        } else {
            widen(batch, head, first: first, count: count, width: width, paddedWidth: padded, into: out)
        }
    }

    @inline(never)
    private func widen(
        _ batch: Int, _ head: Int, first: Int, count: Int, width: Int, paddedWidth: Int,
        into out: UnsafeMutablePointer<E>
    ) {
        let from = address(batch, head, first)
        let to = UnsafeMutableRawPointer(out).assumingMemoryBound(to: Float.self)
        switch storage {
        case .bfloat16: WidenedRows<BrainFloat>.widen(from, row, count, width, paddedWidth, scales: nil, into: to)
        case .float16: WidenedRows<HalfFloat>.widen(from, row, count, width, paddedWidth, scales: nil, into: to)
        default:
            let scales = scales(batch, head, first).map { UnsafeRawPointer($0).assumingMemoryBound(to: Float.self) }
            WidenedRows<SignedBytes>.widen(from, row, count, width, paddedWidth, scales: scales, into: to)
        }
    }

    /// Stores one row, factor · from.
    @inline(__always)
    func store(
        _ batch: Int, _ head: Int, _ number: Int, _ from: UnsafeMutablePointer<E>, width: Int, factor: E
    ) {
        if storage == .own {
            let to = rows(batch, head) + number &* row
            let scale = E.Lanes(repeating: factor)
            var i = 0
            while i &+ E.Lanes.width <= width {
                (E.Lanes.load(from + i) * scale).store(to + i)
                i &+= E.Lanes.width
            }
            if i < width {
                (E.Lanes.load(from + i, count: width &- i, fill: 0) * scale).store(to + i, count: width &- i)
            }
        } else {
            narrow(batch, head, number, from, width: width, factor: factor)
        }
    }

    @inline(never)
    private func narrow(
        _ batch: Int, _ head: Int, _ number: Int, _ from: UnsafeMutablePointer<E>, width: Int, factor: E
    ) {
        let to = address(batch, head, number).assumingMemoryBound(to: UInt16.self)
        let numbers = UnsafeMutableRawPointer(from).assumingMemoryBound(to: Float.self)
        let scale = Float(factor.double)
        if storage == .bfloat16 {
            HalfRows<BrainFloat>.narrow(numbers, width: width, factor: scale, into: to)
        } else {
            HalfRows<HalfFloat>.narrow(numbers, width: width, factor: scale, into: to)
        }
    }
}

/// Rows of narrower numbers, widened to float32 and padded with zeros.
private enum WidenedRows<S: SweepSource<Float>> {
    static func widen(
        _ from: UnsafeRawPointer, _ row: Int, _ count: Int, _ width: Int, _ paddedWidth: Int,
        scales: UnsafePointer<Float>?, into out: UnsafeMutablePointer<Float>
    ) {
        var r = 0
        while r < count {
            let p = from.assumingMemoryBound(to: S.Number.self) + r &* row
            let q = out + r &* paddedWidth
            let scale = FloatLanes(repeating: scales?[r] ?? 1)
            var i = 0
            while i < paddedWidth {
                (S.load(p + i, count: Swift.min(FloatLanes.width, width &- i)) * scale).store(q + i)
                i &+= FloatLanes.width
            }
            r &+= 1
        }
    }
}

/// Rows of 16-bit numbers from float32.
private enum HalfRows<H: HalfFormat> {
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
