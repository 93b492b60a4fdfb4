import CSpinetail

/// A block of a moment, and of what codes share: a scale.
let packedBlock = 256

/// How Adam's moments are kept in one or two bytes. Codes are rounded up or down at random, so that moments are right in
/// the mean: a share of 1 - beta2 of a square is less than half a code, and would never be seen.
protocol MomentFormat {
    associatedtype Code
    /// The first `count` (0 ... width) lanes.
    static func average(_ p: UnsafePointer<Code>, _ count: Int, scale: Float) -> FloatLanes
    static func square(_ p: UnsafePointer<Code>, _ count: Int, scale: Float) -> FloatLanes
    static func putAverage(
        _ x: FloatLanes, _ p: UnsafeMutablePointer<Code>, _ count: Int, scale: Float, _ words: UnsafePointer<UInt32>)
    static func putSquare(
        _ x: FloatLanes, _ p: UnsafeMutablePointer<Code>, _ count: Int, scale: Float, _ words: UnsafePointer<UInt32>)
}

/// bfloat16, which needs no scale.
enum BrainMoments: MomentFormat {
    @inline(__always) static func average(_ p: UnsafePointer<UInt16>, _ count: Int, scale: Float) -> FloatLanes {
        BrainFloat.load(p, count: count)
    }

    @inline(__always) static func square(_ p: UnsafePointer<UInt16>, _ count: Int, scale: Float) -> FloatLanes {
        BrainFloat.load(p, count: count)
    }

    @inline(__always) static func putAverage(
        _ x: FloatLanes, _ p: UnsafeMutablePointer<UInt16>, _ count: Int, scale: Float, _ words: UnsafePointer<UInt32>
    ) { put(spinetail_dither_bf16(x, words, 0), p, count) }

    @inline(__always) static func putSquare(
        _ x: FloatLanes, _ p: UnsafeMutablePointer<UInt16>, _ count: Int, scale: Float, _ words: UnsafePointer<UInt32>
    ) { put(spinetail_dither_bf16(x, words, 1), p, count) }

    @inline(__always)
    private static func put(_ bits: spinetail_u16, _ p: UnsafeMutablePointer<UInt16>, _ count: Int) {
        if count >= FloatLanes.width {
            spinetail_store_u16(p, bits)
        } else {
            spinetail_store_part_u16(p, bits, Int64(truncatingIfNeeded: count))
        }
    }
}

/// Bytes. An average is ±scale·(c/127)², c in 0 ... 127; a square is scale·(c/255)⁴ with c in 0 ... 255. A square that is
/// not 0 stays above it, or a step would divide by eps alone.
enum ByteMoments: MomentFormat {
    @inline(__always) static func average(_ p: UnsafePointer<Int8>, _ count: Int, scale: Float) -> FloatLanes {
        let code = load(p, count)
        return code * FloatLanes.abs(code) * all(scale / 16129)
    }

    @inline(__always) static func square(_ p: UnsafePointer<Int8>, _ count: Int, scale: Float) -> FloatLanes {
        let signed = load(p, count)
        let wrapped = FloatLanes.select(FloatLanes.less(signed, all(0)), all(256), all(0))
        let root = (signed + wrapped) * all(1 / 255)
        let square = root * root
        return square * square * all(scale)
    }

    @inline(__always) static func putAverage(
        _ x: FloatLanes, _ p: UnsafeMutablePointer<Int8>, _ count: Int, scale: Float, _ words: UnsafePointer<UInt32>
    ) {
        let value = FloatLanes.abs(x) * all(scale > 0 ? 16129 / scale : 0)
        let low = FloatLanes.min(spinetail_floor_f32(FloatLanes.sqrt(value)), all(127))
        // The next code's value is 2·low + 1 more.
        let gap = FloatLanes.fma(low, all(2), all(1))
        let up = FloatLanes.less(spinetail_random_f32(words, 0) * gap, value - low * low)
        let code = FloatLanes.min(all(127), low + FloatLanes.select(up, all(1), all(0)))
        spinetail_store_i8(p, FloatLanes.copysign(code, x), Int64(truncatingIfNeeded: count))
    }

    @inline(__always) static func putSquare(
        _ x: FloatLanes, _ p: UnsafeMutablePointer<Int8>, _ count: Int, scale: Float, _ words: UnsafePointer<UInt32>
    ) {
        let value = x * all(scale > 0 ? 1 / scale : 0)
        let root = FloatLanes.sqrt(FloatLanes.sqrt(value)) * all(255)
        let low = FloatLanes.min(spinetail_floor_f32(root), all(255))
        let below = fourth(low)
        let gap = fourth(low + all(1)) - below
        let up = FloatLanes.less(spinetail_random_f32(words, 1) * gap, value - below)
        let code = low + FloatLanes.select(up, all(1), all(0))
        let least = FloatLanes.select(FloatLanes.less(all(0), value), all(1), all(0))
        let kept = FloatLanes.min(all(255), FloatLanes.max(least, code))
        let wrapped = FloatLanes.select(
            FloatLanes.less(all(127), kept), all(256), all(0))
        spinetail_store_i8(p, kept - wrapped, Int64(truncatingIfNeeded: count))
    }

    @inline(__always) private static func load(_ p: UnsafePointer<Int8>, _ count: Int) -> FloatLanes {
        count >= FloatLanes.width ? spinetail_load_i8(p) : spinetail_load_part_i8(p, Int64(truncatingIfNeeded: count))
    }

    @inline(__always) private static func fourth(_ code: FloatLanes) -> FloatLanes {
        let root = code * all(1 / 255)
        return (root * root) * (root * root)
    }
}

@inline(__always) private func all(_ value: Float) -> FloatLanes { FloatLanes(repeating: value) }
