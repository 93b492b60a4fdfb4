import CSpinetail

/// Memory that a tile fetches into the second-level cache while it computes, one line for each step of depth: `segment`
/// lines `step` bytes apart, then again from `jump` bytes behind the segment's first line.
struct Prefetch {
    var first: UnsafeRawPointer
    var step: Int
    var segment: Int
    var jump: Int
}
