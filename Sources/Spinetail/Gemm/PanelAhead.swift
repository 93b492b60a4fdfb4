import CSpinetail

/// What a tile does between its own steps: something each round of them, and the rest at the end.
protocol TileAhead {
    /// How many rounds there are for it, spread over the tile's steps.
    var rounds: Int { get }
    mutating func round()
    mutating func end()
}

/// What a tile does for the next panel of B between its own steps. Rows that run along memory are copied into the panel:
/// fetched into the second-level cache only, rows whose distance is a power of two would push each other out. Of columns
/// that run along memory the tile fetches two lines at a time, `segment` times, and goes on `jump` elements behind the
/// first of them.
struct PanelAhead<E: Real>: TileAhead {
    /// Rows of B whose memory is asked for before the one that is copied: more would not fit into the first-level cache
    /// where they share its sets.
    @inline(__always) static var distance: Int { 8 }

    var from: UnsafePointer<E>
    var step: Int
    var panel: UnsafeMutablePointer<E>?
    var line: UnsafePointer<E>
    var segment: Int
    var rest: Int
    var jump: Int
    /// Rows or pairs of lines that are left for this tile, which takes one each round.
    var left: Int

    /// For one of `tiles` tiles: its share of the next panel, `next` with `columns` × `rows`.
    init(
        next: Matrix<E>, rows: Int, columns: Int, into panel: UnsafeMutablePointer<E>, tile: Int, tiles: Int
    ) {
        // A row every four steps is what memory keeps up with.
        let sharers = Swift.min(tiles, 4)
        var first = 0
        if next.columnStride == 1 {
            let share = pieces(rows, sharers)
            first = tile &* share
            self.panel = panel + first &* Tile<E>.columns
            step = next.rowStride
            segment = Int.max
            jump = 0
            left = Swift.max(0, Swift.min(share, rows &- first))
            line = next.base + first &* step
        } else {
            let share = pieces(columns, sharers)
            first = tile &* share
            self.panel = nil
            step = Tile<E>.columns
            segment = pieces(rows, Tile<E>.columns)
            jump = next.columnStride
            left = Swift.max(0, Swift.min(share, columns &- first)) &* segment
            line = next.base + first &* jump
        }
        from = line
        rest = segment
    }

    /// Only fetches `count` pairs of lines: the first `segment` are `step` elements apart.
    init(first: UnsafePointer<E>, step: Int, segment: Int, jump: Int, count: Int) {
        from = first
        line = first
        panel = nil
        self.step = step
        self.segment = segment
        rest = segment
        self.jump = jump
        left = count
    }

    @inline(__always) var rounds: Int { left }

    @inline(__always) mutating func round() {
        left &-= 1
        one()
    }

    /// What the rounds left.
    @inline(__always) mutating func end() {
        while left > 0 {
            one()
            left &-= 1
        }
    }

    @inline(__always) private mutating func one() {
        let width = E.Lanes.width
        if let panel {
            let far = from + Self.distance &* step
            spinetail_prefetch(far)
            if Tile<E>.isWide { spinetail_prefetch(far + width) }
            // NumPy's arrays begin anywhere, so the row may end in one more line.
            spinetail_prefetch(far + (2 &* width &- 1))
            E.Lanes.load(from).store(panel)
            E.Lanes.load(from + width).store(panel + width)
            self.panel = panel + 2 &* width
            from += step
        } else {
            spinetail_prefetch_far(from)
            spinetail_prefetch_far(from + width)
            from += step
            rest &-= 1
            if rest == 0 {
                line += jump
                from = line
                rest = segment
            }
        }
    }
}
