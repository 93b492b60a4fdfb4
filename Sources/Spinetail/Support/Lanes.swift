import CSpinetail

/// One hardware vector. Generic kernels see only these operations, and each of them is one instruction or a few.
protocol Lanes: VectorMath {
    associatedtype Scalar: Real where Scalar.Lanes == Self
    associatedtype Mask
    static var width: Int { get }
    init(repeating value: Scalar)
    /// 0, 1, 2, …
    static var ramp: Self { get }

    static func + (a: Self, b: Self) -> Self
    static func - (a: Self, b: Self) -> Self
    static func * (a: Self, b: Self) -> Self
    static func / (a: Self, b: Self) -> Self

    /// a·b + c with one rounding where the CPU level has a fused multiply-add.
    static func fma(_ a: Self, _ b: Self, _ c: Self) -> Self
    /// a < b ? a : b, so b where either is NaN.
    static func min(_ a: Self, _ b: Self) -> Self
    /// a > b ? a : b, so b where either is NaN.
    static func max(_ a: Self, _ b: Self) -> Self
    static func sqrt(_ a: Self) -> Self
    static func abs(_ a: Self) -> Self
    static func negate(_ a: Self) -> Self
    static func round(_ a: Self) -> Self
    static func copysign(_ a: Self, _ sign: Self) -> Self
    /// 2 to the whole number a, for results that are normal numbers.
    static func exp2Whole(_ a: Self) -> Self
    /// The same for a = `shifted` - `shift`, where `shift` is a number that leaves no fraction to a sum with it, and
    /// whose last bits are the exponent's bias.
    static func exp2(shifted: Self) -> Self
    static var shift: Self { get }
    /// e⁻ˣ, its square and their inverses are normal numbers up to here; the second: of tanh GELU's exponent.
    static var gateNear: Scalar { get }
    static var geluTanhNear: Scalar { get }
    /// `exp2(_:)` takes no less than this.
    static var exp2Low: Scalar { get }
    /// a times 2 to the whole number `power`, rounded once or twice where the result is not a normal number.
    static func scale(_ a: Self, _ power: Self) -> Self
    /// m and k with a = m · 2ᵏ and m in [2/3, 4/3), for positive normal a.
    static func mantissa(_ a: Self) -> Self
    static func exponent(_ a: Self) -> Self
    /// y = log(x) where x is positive and finite, else the limit of log at x.
    static func logLimits(_ x: Self, _ y: Self) -> Self

    /// Whether the magnitude of any lane is above the limit, or a lane is NaN.
    static func anyBeyond(_ a: Self, _ limit: Scalar) -> Bool
    /// Whether any lane is below the limit.
    static func anyBelow(_ a: Self, _ limit: Scalar) -> Bool
    /// Lanes where the whole number k is odd, and a with the sign changed where k is 2 or 3 modulo 4, from the `turns` of
    /// `quarterTurns`.
    static func odd(_ turns: Self) -> Mask
    static func turn(_ a: Self, _ turns: Self) -> Self

    static func less(_ a: Self, _ b: Self) -> Mask
    static func lessEqual(_ a: Self, _ b: Self) -> Mask
    static func equal(_ a: Self, _ b: Self) -> Mask
    static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self
    /// a > b, or a is NaN and b is not.
    static func beats(_ a: Self, _ b: Self) -> Mask
    /// The number of the first lane that is set, or `width`.
    static func firstLane(_ mask: Mask) -> Int
    /// Lanes whose 32 random bits are at least the threshold.
    static func atLeast(_ words: UnsafePointer<UInt32>, _ threshold: UInt32) -> Mask
    /// Masks as bytes 0 and 1; when read, any byte but 0 is set.
    static func storeMask(_ mask: Mask, _ p: UnsafeMutablePointer<UInt8>)
    static func loadMask(_ p: UnsafePointer<UInt8>) -> Mask

    static func load(_ p: UnsafePointer<Scalar>) -> Self
    func store(_ p: UnsafeMutablePointer<Scalar>)
    /// The first `count` (0 ..< width) lanes from memory, `fill` in the others.
    static func load(_ p: UnsafePointer<Scalar>, count: Int, fill: Scalar) -> Self
    func store(_ p: UnsafeMutablePointer<Scalar>, count: Int)

    /// out[k · outStride + i] = p[i · stride + k] for a block of width × width, zeros where i >= valid.
    static func transpose(
        _ p: UnsafePointer<Scalar>, stride: Int, valid: Int, into out: UnsafeMutablePointer<Scalar>, outStride: Int)
    /// The lower and the upper half of the lanes in float64; for float64 lanes all of them, and zeros.
    var low: DoubleLanes { get }
    var high: DoubleLanes { get }
    /// As many elements from p on as there are float64 lanes, in float64.
    static func loadWide(_ p: UnsafePointer<Scalar>) -> DoubleLanes
    /// a₀ b₀ a₁ b₁ … of the lower halves of the lanes, and of the upper ones.
    static func zipLow(_ a: Self, _ b: Self) -> Self
    static func zipHigh(_ a: Self, _ b: Self) -> Self
    /// Lanes 0, 2, … of a and then of b, and lanes 1, 3, ….
    static func unzipEven(_ a: Self, _ b: Self) -> Self
    static func unzipOdd(_ a: Self, _ b: Self) -> Self
    /// The sums of four vectors, to four places.
    static func storeSums(_ p: UnsafeMutablePointer<Scalar>, _ a: Self, _ b: Self, _ c: Self, _ d: Self)
    /// The opposite of `low` and `high`.
    static func narrow(_ low: DoubleLanes, _ high: DoubleLanes) -> Self
    /// Every second element from p on, nothing read beyond the last of them; with `count` only so many, zeros after.
    static func loadSecond(_ p: UnsafePointer<Scalar>) -> Self
    static func loadSecond(_ p: UnsafePointer<Scalar>, count: Int) -> Self
    /// Lanes p[places[lane]]: for places below two vectors, all of which are read; and for any, 0 where they are negative.
    static func pick(_ p: UnsafePointer<Scalar>, _ places: UnsafePointer<Int32>) -> Self
    static func gather(_ p: UnsafePointer<Scalar>, _ places: UnsafePointer<Int32>) -> Self
    /// Places of lanes, as many as there are lanes, in the type of a mask; the lanes there, those of b counted from the
    /// width on; and those of one vector, 0 where the place is negative.
    static func places(_ p: UnsafePointer<Int32>) -> Mask
    static func arrange(_ a: Self, _ places: Mask) -> Self
    static func permute(_ a: Self, _ b: Self, _ places: Mask) -> Self
    /// Lanes whose bit is set from memory, p[lane] or p[2 · lane], the others as they are.
    func loaded(_ p: UnsafePointer<Scalar>, bits: UInt32) -> Self
    func loadedSecond(_ p: UnsafePointer<Scalar>, bits: UInt32) -> Self
    /// p[i] = lane i, a whole number, + base + i · step, for the first `count` (0 ... width) lanes.
    func storeIndices(_ p: UnsafeMutablePointer<Int32>, base: Int, step: Int, count: Int)
    /// The opposite, rounded where it is no small number: lane i = p[i] - base - i · step.
    static func loadIndices(_ p: UnsafePointer<Int32>, base: Int, step: Int, count: Int) -> Self

    func sum() -> Scalar
    func largest() -> Scalar
    func smallest() -> Scalar
}

extension Lanes {
    @inline(__always) static var zero: Self { Self(repeating: 0) }
}

typealias FloatLanes = spinetail_f32
typealias DoubleLanes = spinetail_f64

extension FloatLanes: Lanes {
    typealias Mask = spinetail_i32
    @inline(__always) static var width: Int { MemoryLayout<Self>.size / 4 }
    @inline(__always) static var ramp: Self { spinetail_ramp_f32() }
    @inline(__always) static func fma(_ a: Self, _ b: Self, _ c: Self) -> Self { spinetail_fma_f32(a, b, c) }
    @inline(__always) static func min(_ a: Self, _ b: Self) -> Self { spinetail_min_f32(a, b) }
    @inline(__always) static func max(_ a: Self, _ b: Self) -> Self { spinetail_max_f32(a, b) }
    @inline(__always) static func sqrt(_ a: Self) -> Self { spinetail_sqrt_f32(a) }
    @inline(__always) static func abs(_ a: Self) -> Self { spinetail_abs_f32(a) }
    @inline(__always) static func negate(_ a: Self) -> Self { spinetail_negate_f32(a) }
    @inline(__always) static func round(_ a: Self) -> Self { spinetail_round_f32(a) }
    @inline(__always) static func copysign(_ a: Self, _ sign: Self) -> Self { spinetail_copysign_f32(a, sign) }
    @inline(__always) static func exp2Whole(_ a: Self) -> Self { spinetail_exp2_whole_f32(a) }
    @inline(__always) static func exp2(shifted: Self) -> Self { spinetail_exp2_shifted_f32(shifted) }
    @inline(__always) static var shift: Self { Self(repeating: 12_583_039) }
    @inline(__always) static func scale(_ a: Self, _ power: Self) -> Self { spinetail_scale_f32(a, power) }
    @inline(__always) static func anyBeyond(_ a: Self, _ limit: Float) -> Bool {
        spinetail_any_beyond_f32(a, limit) != 0
    }
    @inline(__always) static func anyBelow(_ a: Self, _ limit: Float) -> Bool { spinetail_any_below_f32(a, limit) != 0 }
    @inline(__always) static func odd(_ turns: Self) -> Mask { spinetail_odd_f32(turns) }
    @inline(__always) static func turn(_ a: Self, _ turns: Self) -> Self { spinetail_turn_f32(a, turns) }
    @inline(__always) static func mantissa(_ a: Self) -> Self { spinetail_mantissa_f32(a) }
    @inline(__always) static func exponent(_ a: Self) -> Self { spinetail_exponent_f32(a) }
    @inline(__always) static func logLimits(_ x: Self, _ y: Self) -> Self { spinetail_log_limits_f32(x, y) }
    @inline(__always) static func less(_ a: Self, _ b: Self) -> Mask { spinetail_less_f32(a, b) }
    @inline(__always) static func lessEqual(_ a: Self, _ b: Self) -> Mask { spinetail_less_equal_f32(a, b) }
    @inline(__always) static func equal(_ a: Self, _ b: Self) -> Mask { spinetail_equal_f32(a, b) }
    @inline(__always) static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self {
        spinetail_select_f32(mask, a, b)
    }
    @inline(__always) static func beats(_ a: Self, _ b: Self) -> Mask { spinetail_beats_f32(a, b) }
    @inline(__always) static func firstLane(_ mask: Mask) -> Int { Int(truncatingIfNeeded: spinetail_first_f32(mask)) }
    @inline(__always) static func atLeast(_ words: UnsafePointer<UInt32>, _ threshold: UInt32) -> Mask {
        spinetail_at_least_f32(words, threshold)
    }
    @inline(__always) static func storeMask(_ mask: Mask, _ p: UnsafeMutablePointer<UInt8>) {
        spinetail_store_mask_f32(p, mask)
    }
    @inline(__always) static func loadMask(_ p: UnsafePointer<UInt8>) -> Mask { spinetail_load_mask_f32(p) }
    @inline(__always) static func load(_ p: UnsafePointer<Float>) -> Self { spinetail_load_f32(p) }
    @inline(__always) func store(_ p: UnsafeMutablePointer<Float>) { spinetail_store_f32(p, self) }
    @inline(__always) static func load(_ p: UnsafePointer<Float>, count: Int, fill: Float) -> Self {
        spinetail_load_part_f32(p, Int64(truncatingIfNeeded: count), fill)
    }
    @inline(__always) func store(_ p: UnsafeMutablePointer<Float>, count: Int) {
        spinetail_store_part_f32(p, self, Int64(truncatingIfNeeded: count))
    }
    @inline(__always) static func transpose(
        _ p: UnsafePointer<Float>, stride: Int, valid: Int, into out: UnsafeMutablePointer<Float>, outStride: Int
    ) {
        spinetail_transpose_f32(p, stride, Int64(truncatingIfNeeded: valid), out, outStride)
    }
    @inline(__always) var low: DoubleLanes { spinetail_low_f32(self) }
    @inline(__always) var high: DoubleLanes { spinetail_high_f32(self) }
    @inline(__always) static func narrow(_ low: DoubleLanes, _ high: DoubleLanes) -> Self {
        spinetail_narrow_f32(low, high)
    }
    @inline(__always) static func loadWide(_ p: UnsafePointer<Float>) -> DoubleLanes { spinetail_load_wide_f32(p) }
    @inline(__always) static func zipLow(_ a: Self, _ b: Self) -> Self { spinetail_zip_low_f32(a, b) }
    @inline(__always) static func zipHigh(_ a: Self, _ b: Self) -> Self { spinetail_zip_high_f32(a, b) }
    @inline(__always) static func unzipEven(_ a: Self, _ b: Self) -> Self { spinetail_unzip_even_f32(a, b) }
    @inline(__always) static func unzipOdd(_ a: Self, _ b: Self) -> Self { spinetail_unzip_odd_f32(a, b) }
    @inline(__always) static func storeSums(
        _ p: UnsafeMutablePointer<Float>, _ a: Self, _ b: Self, _ c: Self, _ d: Self
    ) { spinetail_store_sums_f32(p, a, b, c, d) }
    @inline(__always) static func loadSecond(_ p: UnsafePointer<Float>) -> Self { spinetail_load_second_f32(p) }
    @inline(__always) static func loadSecond(_ p: UnsafePointer<Float>, count: Int) -> Self {
        spinetail_load_second_part_f32(p, Int64(truncatingIfNeeded: count))
    }
    @inline(__always) static func pick(_ p: UnsafePointer<Float>, _ places: UnsafePointer<Int32>) -> Self {
        spinetail_pick_f32(p, places)
    }
    @inline(__always) static func gather(_ p: UnsafePointer<Float>, _ places: UnsafePointer<Int32>) -> Self {
        spinetail_gather_f32(p, places)
    }
    @inline(__always) static func places(_ p: UnsafePointer<Int32>) -> Mask { spinetail_places_f32(p) }
    @inline(__always) static func arrange(_ a: Self, _ places: Mask) -> Self { spinetail_arrange_f32(a, places) }
    @inline(__always) static func permute(_ a: Self, _ b: Self, _ places: Mask) -> Self {
        spinetail_permute_f32(a, b, places)
    }
    @inline(__always) func loaded(_ p: UnsafePointer<Float>, bits: UInt32) -> Self {
        spinetail_load_bits_f32(self, p, bits)
    }
    @inline(__always) func loadedSecond(_ p: UnsafePointer<Float>, bits: UInt32) -> Self {
        spinetail_load_second_bits_f32(self, p, bits)
    }
    @inline(__always) func storeIndices(_ p: UnsafeMutablePointer<Int32>, base: Int, step: Int, count: Int) {
        spinetail_store_indices_f32(
            p, self, Int32(truncatingIfNeeded: base), Int32(truncatingIfNeeded: step),
            Int64(truncatingIfNeeded: count))
    }
    @inline(__always)
    static func loadIndices(_ p: UnsafePointer<Int32>, base: Int, step: Int, count: Int) -> Self {
        spinetail_load_indices_f32(
            p, Int32(truncatingIfNeeded: base), Int32(truncatingIfNeeded: step), Int64(truncatingIfNeeded: count))
    }
    @inline(__always) func sum() -> Float { spinetail_sum_f32(self) }
    @inline(__always) func largest() -> Float { spinetail_largest_f32(self) }
    @inline(__always) func smallest() -> Float { spinetail_smallest_f32(self) }
}

extension DoubleLanes: Lanes {
    typealias Mask = spinetail_i64
    @inline(__always) static var width: Int { MemoryLayout<Self>.size / 8 }
    @inline(__always) static var ramp: Self { spinetail_ramp_f64() }
    @inline(__always) static func fma(_ a: Self, _ b: Self, _ c: Self) -> Self { spinetail_fma_f64(a, b, c) }
    @inline(__always) static func min(_ a: Self, _ b: Self) -> Self { spinetail_min_f64(a, b) }
    @inline(__always) static func max(_ a: Self, _ b: Self) -> Self { spinetail_max_f64(a, b) }
    @inline(__always) static func sqrt(_ a: Self) -> Self { spinetail_sqrt_f64(a) }
    @inline(__always) static func abs(_ a: Self) -> Self { spinetail_abs_f64(a) }
    @inline(__always) static func negate(_ a: Self) -> Self { spinetail_negate_f64(a) }
    @inline(__always) static func round(_ a: Self) -> Self { spinetail_round_f64(a) }
    @inline(__always) static func copysign(_ a: Self, _ sign: Self) -> Self { spinetail_copysign_f64(a, sign) }
    @inline(__always) static func exp2Whole(_ a: Self) -> Self { spinetail_exp2_whole_f64(a) }
    @inline(__always) static func exp2(shifted: Self) -> Self { spinetail_exp2_shifted_f64(shifted) }
    @inline(__always) static var shift: Self { Self(repeating: 6_755_399_441_056_767) }
    @inline(__always) static func scale(_ a: Self, _ power: Self) -> Self { spinetail_scale_f64(a, power) }
    @inline(__always) static func anyBeyond(_ a: Self, _ limit: Double) -> Bool {
        spinetail_any_beyond_f64(a, limit) != 0
    }
    @inline(__always) static func anyBelow(_ a: Self, _ limit: Double) -> Bool {
        spinetail_any_below_f64(a, limit) != 0
    }
    @inline(__always) static func odd(_ turns: Self) -> Mask { spinetail_odd_f64(turns) }
    @inline(__always) static func turn(_ a: Self, _ turns: Self) -> Self { spinetail_turn_f64(a, turns) }
    @inline(__always) static func mantissa(_ a: Self) -> Self { spinetail_mantissa_f64(a) }
    @inline(__always) static func exponent(_ a: Self) -> Self { spinetail_exponent_f64(a) }
    @inline(__always) static func logLimits(_ x: Self, _ y: Self) -> Self { spinetail_log_limits_f64(x, y) }
    @inline(__always) static func less(_ a: Self, _ b: Self) -> Mask { spinetail_less_f64(a, b) }
    @inline(__always) static func lessEqual(_ a: Self, _ b: Self) -> Mask { spinetail_less_equal_f64(a, b) }
    @inline(__always) static func equal(_ a: Self, _ b: Self) -> Mask { spinetail_equal_f64(a, b) }
    @inline(__always) static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self {
        spinetail_select_f64(mask, a, b)
    }
    @inline(__always) static func beats(_ a: Self, _ b: Self) -> Mask { spinetail_beats_f64(a, b) }
    @inline(__always) static func firstLane(_ mask: Mask) -> Int { Int(truncatingIfNeeded: spinetail_first_f64(mask)) }
    @inline(__always) static func atLeast(_ words: UnsafePointer<UInt32>, _ threshold: UInt32) -> Mask {
        spinetail_at_least_f64(words, threshold)
    }
    @inline(__always) static func storeMask(_ mask: Mask, _ p: UnsafeMutablePointer<UInt8>) {
        spinetail_store_mask_f64(p, mask)
    }
    @inline(__always) static func loadMask(_ p: UnsafePointer<UInt8>) -> Mask { spinetail_load_mask_f64(p) }
    @inline(__always) static func load(_ p: UnsafePointer<Double>) -> Self { spinetail_load_f64(p) }
    @inline(__always) func store(_ p: UnsafeMutablePointer<Double>) { spinetail_store_f64(p, self) }
    @inline(__always) static func load(_ p: UnsafePointer<Double>, count: Int, fill: Double) -> Self {
        spinetail_load_part_f64(p, Int64(truncatingIfNeeded: count), fill)
    }
    @inline(__always) func store(_ p: UnsafeMutablePointer<Double>, count: Int) {
        spinetail_store_part_f64(p, self, Int64(truncatingIfNeeded: count))
    }
    @inline(__always) static func transpose(
        _ p: UnsafePointer<Double>, stride: Int, valid: Int, into out: UnsafeMutablePointer<Double>, outStride: Int
    ) {
        spinetail_transpose_f64(p, stride, Int64(truncatingIfNeeded: valid), out, outStride)
    }
    @inline(__always) var low: DoubleLanes { self }
    @inline(__always) var high: DoubleLanes { DoubleLanes(repeating: 0) }
    @inline(__always) static func narrow(_ low: DoubleLanes, _ high: DoubleLanes) -> Self { low }
    @inline(__always) static func loadWide(_ p: UnsafePointer<Double>) -> DoubleLanes { spinetail_load_f64(p) }
    @inline(__always) static func zipLow(_ a: Self, _ b: Self) -> Self { spinetail_zip_low_f64(a, b) }
    @inline(__always) static func zipHigh(_ a: Self, _ b: Self) -> Self { spinetail_zip_high_f64(a, b) }
    @inline(__always) static func unzipEven(_ a: Self, _ b: Self) -> Self { spinetail_unzip_even_f64(a, b) }
    @inline(__always) static func unzipOdd(_ a: Self, _ b: Self) -> Self { spinetail_unzip_odd_f64(a, b) }
    @inline(__always) static func storeSums(
        _ p: UnsafeMutablePointer<Double>, _ a: Self, _ b: Self, _ c: Self, _ d: Self
    ) { spinetail_store_sums_f64(p, a, b, c, d) }
    @inline(__always) static func loadSecond(_ p: UnsafePointer<Double>) -> Self { spinetail_load_second_f64(p) }
    @inline(__always) static func loadSecond(_ p: UnsafePointer<Double>, count: Int) -> Self {
        spinetail_load_second_part_f64(p, Int64(truncatingIfNeeded: count))
    }
    @inline(__always) static func pick(_ p: UnsafePointer<Double>, _ places: UnsafePointer<Int32>) -> Self {
        spinetail_pick_f64(p, places)
    }
    @inline(__always) static func gather(_ p: UnsafePointer<Double>, _ places: UnsafePointer<Int32>) -> Self {
        spinetail_gather_f64(p, places)
    }
    @inline(__always) static func places(_ p: UnsafePointer<Int32>) -> Mask { spinetail_places_f64(p) }
    @inline(__always) static func arrange(_ a: Self, _ places: Mask) -> Self { spinetail_arrange_f64(a, places) }
    @inline(__always) static func permute(_ a: Self, _ b: Self, _ places: Mask) -> Self {
        spinetail_permute_f64(a, b, places)
    }
    @inline(__always) func loaded(_ p: UnsafePointer<Double>, bits: UInt32) -> Self {
        spinetail_load_bits_f64(self, p, bits)
    }
    @inline(__always) func loadedSecond(_ p: UnsafePointer<Double>, bits: UInt32) -> Self {
        spinetail_load_second_bits_f64(self, p, bits)
    }
    @inline(__always) func storeIndices(_ p: UnsafeMutablePointer<Int32>, base: Int, step: Int, count: Int) {
        spinetail_store_indices_f64(
            p, self, Int32(truncatingIfNeeded: base), Int32(truncatingIfNeeded: step),
            Int64(truncatingIfNeeded: count))
    }
    @inline(__always)
    static func loadIndices(_ p: UnsafePointer<Int32>, base: Int, step: Int, count: Int) -> Self {
        spinetail_load_indices_f64(
            p, Int32(truncatingIfNeeded: base), Int32(truncatingIfNeeded: step), Int64(truncatingIfNeeded: count))
    }
    @inline(__always) func sum() -> Double { spinetail_sum_f64(self) }
    @inline(__always) func largest() -> Double { spinetail_largest_f64(self) }
    @inline(__always) func smallest() -> Double { spinetail_smallest_f64(self) }
}
