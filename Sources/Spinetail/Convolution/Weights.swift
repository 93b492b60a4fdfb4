import CSpinetail

/// Register tiles of several heights, so that few rows, or a number of rows just above a multiple, waste little.
enum TileHeight<E: Real> {
    /// The height that covers `rows` at the least cost.
    static func best(for rows: Int) -> Int {
        if !Tile<E>.isWide { return cheapest(rows, 6, 4, 4, 4, 4) }
        return cheapest(rows, 14, 13, 11, 8, 4)
    }

    private static func cheapest(_ rows: Int, _ a: Int, _ b: Int, _ c: Int, _ d: Int, _ e: Int) -> Int {
        var best = a
        if cost(rows, b) < cost(rows, best) { best = b }
        if cost(rows, c) < cost(rows, best) { best = c }
        if cost(rows, d) < cost(rows, best) { best = d }
        if cost(rows, e) < cost(rows, best) { best = e }
        return best
    }

    private static func cost(_ rows: Int, _ height: Int) -> Int { pieces(rows, height) &* (10 &* height &+ 7) }

    /// A height that the compiler knows.
    struct Height<let rows: Int> {}
}

/// The weights as a product's left operand: element (row, channel, tap) of a group at
/// base[group · groupStride + row · rowStride + channel · channelStride + tap.place].
struct Weights<E: Real> {
    var base: UnsafePointer<E>
    var groupStride: Int
    var rowStride: Int
    var channelStride: Int
}

/// Packs one panel of `height` rows of one group: out[(channel · taps + tap) · height + row], zeros below the last.
struct PackWeights<E: Real>: ParallelTask {
    let weights: Weights<E>
    /// nil: all of them in their order.
    let taps: UnsafePointer<Tap>?
    let tapCount: Int
    let channels: Int
    let rows: Int
    let height: Int
    let panelElements: Int
    let out: UnsafeMutablePointer<E>

    func run(_ index: Int, worker: Int) {
        let panels = pieces(rows, height)
        let group = divide(index, by: panels)
        let first = remainder(index, by: panels) &* height
        let valid = Swift.min(height, rows &- first)
        let from = weights.base + (group &* weights.groupStride &+ first &* weights.rowStride)
        let panel = out + index &* panelElements
        // All taps of all channels, as they lie in memory: the forward convolution.
        if weights.channelStride == tapCount || channels == 1 && inOrder {
            return Packing<E>.pack(
                Matrix(base: from, rowStride: weights.rowStride, columnStride: 1), count: valid,
                depth: tapCount &* channels, panel: height, into: panel)
        }
        var q = panel
        var c = 0
        while c < channels {
            let channel = from + c &* weights.channelStride
            var t = 0
            while t < tapCount {
                var p = channel + (taps.map { $0[t].place } ?? t)
                var r = 0
                while r < valid {
                    q[r] = p.pointee
                    p += weights.rowStride
                    r &+= 1
                }
                while r < height {
                    q[r] = 0
                    r &+= 1
                }
                q += height
                t &+= 1
            }
            c &+= 1
        }
    }

    private var inOrder: Bool {
        tapCount > 0 && (taps.map { $0[tapCount &- 1].place } ?? tapCount &- 1) == tapCount &- 1
    }
}
