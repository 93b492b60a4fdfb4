import CSpinetail

/// The windows of stride 1 with one element of padding, where rows fill vectors well: down the plane a vector wide, so that
/// each row is loaded once for the three rows of results that see it. Units are rows.
struct RowWindows<E: Real>: Windows {
    private let extent: Space

    var units: Int { extent.h }

    init(_ extent: Space) { self.extent = extent }

    /// Whether rows waste less of their vectors than `FlatWindows` wastes on loading all nine.
    static func fit(_ extent: Space) -> Bool { extent.w > E.Lanes.width / 2 }

    @inline(__always)
    func feed<Sink: WindowSink>(_ plane: UnsafePointer<E>, _ first: Int, _ last: Int, _ sink: inout Sink)
    where Sink.E == E {
        let width = E.Lanes.width
        // A few kilobytes of rows at a time, while those that follow them are asked for line by line.
        let band = Swift.max(4, divide(4096, by: extent.w &* MemoryLayout<E>.size))
        let line = 64 / MemoryLayout<E>.size
        var start = first
        while start < last {
            let end = Swift.min(last, start &+ band)
            var ahead = (start &+ band) &* extent.w
            var x = 0
            while x < extent.w {
                let count = Swift.min(width, extent.w &- x)
                let all = (UInt32(1) << UInt32(truncatingIfNeeded: count)) &- 1
                let left = x == 0 ? all & ~1 : all
                let right = x &+ count == extent.w ? all >> 1 : all
                column(plane, x, start, end, left, all, right, count, ahead, &sink)
                ahead &+= line &* (end &- start)
                x &+= width
            }
            start = end
        }
    }

    /// Rows `start ..< end` of the results from column x on.
    @inline(__always)
    private func column<Sink: WindowSink>(
        _ plane: UnsafePointer<E>, _ x: Int, _ start: Int, _ end: Int, _ left: UInt32, _ all: UInt32, _ right: UInt32,
        _ count: Int, _ ahead: Int, _ sink: inout Sink
    ) where Sink.E == E {
        let w = extent.w
        let line = 64 / MemoryLayout<E>.size
        var ahead = ahead
        let whole = plane
        let plane = plane + x
        var window = InlineArray<9, E.Lanes>(repeating: .zero)
        if start > 0 { see(plane + (start &- 1) &* w, left, all, right, 3, &window) }
        see(plane + start &* w, left, all, right, 6, &window)
        var y = start
        while y < end {
            for j in 0..<6 { window[unchecked: j] = window[unchecked: 3 &+ j] }
            if y &+ 1 < extent.h {
                see(plane + (y &+ 1) &* w, left, all, right, 6, &window)
            } else {
                for j in 6..<9 { window[unchecked: j] = .zero }
            }
            spinetail_prefetch(whole + ahead)
            sink.fetch(ahead)
            ahead &+= line
            sink.take(window, y &* w &+ x, count: count)
            y &+= 1
        }
    }

    @inline(__always)
    private func see(
        _ p: UnsafePointer<E>, _ left: UInt32, _ all: UInt32, _ right: UInt32, _ first: Int,
        _ window: inout InlineArray<9, E.Lanes>
    ) {
        window[unchecked: first] = E.Lanes.zero.loaded(p - 1, bits: left)
        window[unchecked: first &+ 1] = E.Lanes.zero.loaded(p, bits: all)
        window[unchecked: first &+ 2] = E.Lanes.zero.loaded(p + 1, bits: right)
    }
}
