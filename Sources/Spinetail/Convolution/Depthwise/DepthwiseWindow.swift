import CSpinetail

/// Takes what the nine positions of a 3×3 kernel see for one vector of results: `count` of them, from element `place` of
/// the plane on. Lanes beyond `count` and those that see padding are zero.
protocol WindowSink {
    associatedtype E: Real
    mutating func take(_ window: InlineArray<9, E.Lanes>, _ place: Int, count: Int)
    /// Asks for its own memory at the place, which windows that come soon will need.
    func fetch(_ place: Int)
}

/// Gives a sink the windows of one plane, of `first ..< last` out of `units` pieces.
protocol Windows {
    associatedtype E: Real
    var units: Int { get }
    func feed<Sink: WindowSink>(_ plane: UnsafePointer<E>, _ first: Int, _ last: Int, _ sink: inout Sink)
    where Sink.E == E
}

/// The windows of stride 1 with one element of padding: the plane as one long row, so that vectors reach across the ends
/// of rows and small planes waste few lanes. Lanes that would see another row's end are masked where they are loaded,
/// which also keeps loads within the array. Units are vectors.
struct FlatWindows<E: Real>: Windows {
    private let extent: Space
    private let rows: UnsafeMutablePointer<UInt32>  // for each vector and kernel row the lanes that see the plane
    private let columns: UnsafeMutablePointer<UInt32>  // the same to the left and to the right, for `period` vectors
    private let period: Int
    private let inner: (first: Int, last: Int)  // vectors whose kernel rows all lie within the plane

    var units: Int { pieces(extent.h &* extent.w, E.Lanes.width) }

    static func bytes(_ extent: Space) -> Int {
        (pieces(extent.h &* extent.w, E.Lanes.width) &* 3 &+ extent.w &* 2) &* MemoryLayout<UInt32>.size
    }

    init(_ extent: Space, _ memory: UnsafeMutableRawPointer) {
        self.extent = extent
        let width = E.Lanes.width
        let w = extent.w
        let count = extent.h &* w
        columns = memory.assumingMemoryBound(to: UInt32.self)
        rows = columns + 2 &* w
        period = divide(w, by: Swift.min(width, w & (0 &- w)))
        let innerFirst = pieces(w, width)
        inner = (innerFirst, Swift.max(innerFirst, divide(count &- w, by: width)))
        var column = 0
        var v = 0
        while v < period {
            var left: UInt32 = 0
            var right: UInt32 = 0
            var lane = 0
            while lane < width {
                let bit = UInt32(1) << UInt32(truncatingIfNeeded: lane)
                if column > 0 { left |= bit }
                column &+= 1
                if column == w { column = 0 } else { right |= bit }
                lane &+= 1
            }
            (columns + 2 &* v).initialize(to: left)
            (columns + (2 &* v &+ 1)).initialize(to: right)
            v &+= 1
        }
        v = 0
        while v < units {
            if v == inner.first { v = inner.last }
            if v >= units { break }
            let place = v &* width
            for i in 0..<3 {
                let shift = (i &- 1) &* w
                let to = Self.lanes(below: Swift.min(count, count &- shift) &- place)
                (rows + (3 &* v &+ i)).initialize(to: to & ~Self.lanes(below: 0 &- shift &- place))
            }
            v &+= 1
        }
    }

    private static func lanes(below count: Int) -> UInt32 {
        (UInt32(1) << UInt32(truncatingIfNeeded: Swift.max(0, Swift.min(E.Lanes.width, count)))) &- 1
    }

    @inline(__always)
    func feed<Sink: WindowSink>(_ plane: UnsafePointer<E>, _ first: Int, _ last: Int, _ sink: inout Sink)
    where Sink.E == E {
        let width = E.Lanes.width
        let w = extent.w
        var v = first
        var phase = first == 0 ? 0 : remainder(first, by: period)
        edge(plane, &v, Swift.min(last, inner.first), &phase, &sink)
        let end = Swift.min(last, inner.last)
        while v < end {
            let p = plane + v &* width
            let left = columns[2 &* phase]
            let right = columns[2 &* phase &+ 1]
            var window = InlineArray<9, E.Lanes>(repeating: .zero)
            for i in 0..<3 {
                let q = p + (i &- 1) &* w
                window[unchecked: 3 &* i] = E.Lanes.zero.loaded(q - 1, bits: left)
                window[unchecked: 3 &* i &+ 1] = .load(q)
                window[unchecked: 3 &* i &+ 2] = E.Lanes.zero.loaded(q + 1, bits: right)
            }
            sink.take(window, v &* width, count: width)
            phase &+= 1
            if phase == period { phase = 0 }
            v &+= 1
        }
        edge(plane, &v, last, &phase, &sink)
    }

    @inline(__always)
    private func edge<Sink: WindowSink>(
        _ plane: UnsafePointer<E>, _ v: inout Int, _ last: Int, _ phase: inout Int, _ sink: inout Sink
    ) where Sink.E == E {
        let width = E.Lanes.width
        let w = extent.w
        while v < last {
            let p = plane + v &* width
            let left = columns[2 &* phase]
            let right = columns[2 &* phase &+ 1]
            var window = InlineArray<9, E.Lanes>(repeating: .zero)
            for i in 0..<3 {
                let q = p + (i &- 1) &* w
                let bits = rows[3 &* v &+ i]
                window[unchecked: 3 &* i] = E.Lanes.zero.loaded(q - 1, bits: bits & left)
                window[unchecked: 3 &* i &+ 1] = E.Lanes.zero.loaded(q, bits: bits)
                window[unchecked: 3 &* i &+ 2] = E.Lanes.zero.loaded(q + 1, bits: bits & right)
            }
            sink.take(window, v &* width, count: Swift.min(width, extent.h &* w &- v &* width))
            phase &+= 1
            if phase == period { phase = 0 }
            v &+= 1
        }
    }
}
