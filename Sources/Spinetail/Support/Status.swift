import CSpinetail

/// Status codes with the argument (1-based) that they complain about.
enum Status {
    @inline(__always) static var ok: Int32 { Int32(SPINETAIL_OK) }
    @inline(__always) static var noMemory: Int32 { Int32(SPINETAIL_NO_MEMORY) }
    @inline(__always) static var interrupted: Int32 { Int32(SPINETAIL_INTERRUPTED) }
    @inline(__always) static func dtype(_ argument: Int32) -> Int32 { Int32(SPINETAIL_BAD_DTYPE) | (argument << 8) }
    @inline(__always) static func rank(_ argument: Int32) -> Int32 { Int32(SPINETAIL_BAD_RANK) | (argument << 8) }
    @inline(__always) static func shape(_ argument: Int32) -> Int32 { Int32(SPINETAIL_BAD_SHAPE) | (argument << 8) }
    @inline(__always) static func layout(_ argument: Int32) -> Int32 { Int32(SPINETAIL_BAD_LAYOUT) | (argument << 8) }
    @inline(__always) static func parameter(_ argument: Int32) -> Int32 {
        Int32(SPINETAIL_BAD_PARAMETER) | (argument << 8)
    }
    @inline(__always) static func index(_ argument: Int32) -> Int32 { Int32(SPINETAIL_BAD_INDEX) | (argument << 8) }
}
