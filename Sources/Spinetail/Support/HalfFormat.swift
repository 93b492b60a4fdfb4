import CSpinetail

/// A 16-bit floating point format: storage only, its numbers are float32 in registers.
protocol HalfFormat: SweepSource where Sum == Float, Number == UInt16 {
    static func widen(_ bits: spinetail_u16) -> FloatLanes
    /// Rounds to nearest, ties to even.
    static func narrow(_ lanes: FloatLanes) -> spinetail_u16
    /// What stands first and second in lanes of two neighbours each.
    static func first(_ pairs: spinetail_u32) -> FloatLanes
    static func second(_ pairs: spinetail_u32) -> FloatLanes
}

enum BrainFloat: HalfFormat {
    @inline(__always) static func widen(_ bits: spinetail_u16) -> FloatLanes { spinetail_widen_bf16(bits) }
    @inline(__always) static func narrow(_ lanes: FloatLanes) -> spinetail_u16 { spinetail_narrow_bf16(lanes) }
    @inline(__always) static func first(_ pairs: spinetail_u32) -> FloatLanes { spinetail_first_bf16(pairs) }
    @inline(__always) static func second(_ pairs: spinetail_u32) -> FloatLanes { spinetail_second_bf16(pairs) }

    // One instruction widens 16 numbers of pairs, two those that stand side by side.
    @inline(__always) static var isSplit: Bool { true }
    @inline(__always) static func loadTwo(_ p: UnsafePointer<UInt16>, left: Int) -> (FloatLanes, FloatLanes) {
        let pairs = HalfPairs.load(p, left: left)
        return (first(pairs), second(pairs))
    }
}

enum HalfFloat: HalfFormat {
    @inline(__always) static func widen(_ bits: spinetail_u16) -> FloatLanes { spinetail_widen_f16(bits) }
    @inline(__always) static func narrow(_ lanes: FloatLanes) -> spinetail_u16 { spinetail_narrow_f16(lanes) }
    @inline(__always) static func first(_ pairs: spinetail_u32) -> FloatLanes { spinetail_first_f16(pairs) }
    @inline(__always) static func second(_ pairs: spinetail_u32) -> FloatLanes { spinetail_second_f16(pairs) }
}

extension HalfFormat {
    @inline(__always) static func load(_ p: UnsafePointer<UInt16>) -> FloatLanes { widen(spinetail_load_u16(p)) }

    /// The first `count` (0 ... width) lanes, zeros in the others.
    @inline(__always) static func load(_ p: UnsafePointer<UInt16>, count: Int) -> FloatLanes {
        if count >= FloatLanes.width { return load(p) }
        return widen(spinetail_load_part_u16(p, Int64(truncatingIfNeeded: count)))
    }

    @inline(__always) static func store(_ lanes: FloatLanes, _ p: UnsafeMutablePointer<UInt16>, count: Int) {
        if count >= FloatLanes.width {
            spinetail_store_u16(p, narrow(lanes))
        } else {
            spinetail_store_part_u16(p, narrow(lanes), Int64(truncatingIfNeeded: count))
        }
    }

    @inline(__always) static func float(_ bits: UInt16) -> Float { widen(spinetail_u16(repeating: bits))[0] }
    @inline(__always) static func bits(_ value: Float) -> UInt16 { narrow(FloatLanes(repeating: value))[0] }
}
