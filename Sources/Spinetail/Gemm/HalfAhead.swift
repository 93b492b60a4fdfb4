import CSpinetail

/// What a tile does for the next panel of a B of 16-bit numbers, between its own steps: rows that run along memory are
/// widened into the panel, of columns that do it fetches the lines. See PanelAhead.swift.
struct HalfAhead<H: HalfFormat>: TileAhead {
    private var from: UnsafePointer<UInt16>
    private var step: Int
    private var panel: UnsafeMutablePointer<Float>?
    private var left: Int
    /// Two 16-bit numbers take the room of one float.
    private var fetch: PanelAhead<Float>

    /// For one of `tiles` tiles: its share of the next panel, `next` with `columns` × `rows`.
    init(
        next: Matrix<UInt16>, rows: Int, columns: Int, into panel: UnsafeMutablePointer<Float>, tile: Int, tiles: Int
    ) {
        let base = UnsafeRawPointer(next.base).assumingMemoryBound(to: Float.self)
        let isCopied = next.columnStride == 1
        let lines = next.rowStride == 1 && !isCopied && tile == 0 ? pieces(rows, 4 &* FloatLanes.width) : 0
        fetch = PanelAhead(
            first: base, step: 2 &* FloatLanes.width, segment: Swift.max(1, lines), jump: next.columnStride / 2,
            count: columns &* lines)
        let sharers = Swift.min(tiles, 4)
        let share = pieces(rows, sharers)
        let first = tile &* share
        step = next.rowStride
        from = next.base + first &* step
        self.panel = isCopied ? panel + first &* Tile<Float>.columns : nil
        left = isCopied ? Swift.max(0, Swift.min(share, rows &- first)) : 0
    }

    @inline(__always) var rounds: Int { panel == nil ? fetch.rounds : left }

    @inline(__always) mutating func round() {
        if panel == nil { return fetch.round() }
        left &-= 1
        one()
    }

    @inline(__always) mutating func end() {
        if panel == nil { return fetch.end() }
        while left > 0 {
            one()
            left &-= 1
        }
    }

    @inline(__always) private mutating func one() {
        guard let panel else { return }
        let width = FloatLanes.width
        let far = from + PanelAhead<Float>.distance &* step
        // NumPy's arrays begin anywhere, so the row may end in one more line.
        spinetail_prefetch(far)
        spinetail_prefetch(far + (2 &* width &- 1))
        H.load(from).store(panel)
        H.load(from + width).store(panel + width)
        self.panel = panel + 2 &* width
        from += step
    }
}
