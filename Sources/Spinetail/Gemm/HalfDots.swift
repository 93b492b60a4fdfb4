import CSpinetail

/// Some rows against a B that runs along depth in memory (a linear layer's forward): inner products, B read once where it
/// stands and widened in registers. A's rows are widened beforehand, first numbers of pairs apart from second ones.
extension HalfProduct {
    fileprivate static var dotColumns: Int { 64 }

    var prefersDots: Bool { rows <= 48 && depth > 0 && b.rowStride == 1 && a.columnStride == 1 }

    func runDots(workers: Int) -> Int32 {
        let padded = roundUp(depth, HalfPairs.width)
        let sums = rows &* Self.dotColumns
        guard let scratch = Scratch.take((rows &* padded &+ workers &* sums) &* 4) else { return Status.noMemory }
        defer { Scratch.give(scratch) }
        let x = scratch.assumingMemoryBound(to: Float.self)
        var row = 0
        while row < rows {
            split(a.base + row &* a.rowStride, into: x + row &* padded)
            row &+= 1
        }
        return parallel(
            pieces(columns, Self.dotColumns), cost: (rows &+ 3) &* columns / 64 &* depth, workers: workers,
            HalfDotColumns(product: self, x: UnsafePointer(x), xRow: padded, sums: x + rows &* padded))
    }

    /// A row or column widened, of each vector of pairs first the first numbers, then the second ones, zeros to the end.
    func split(_ p: UnsafePointer<UInt16>, into out: UnsafeMutablePointer<Float>) {
        let width = FloatLanes.width
        var k = 0
        while k < depth {
            let pairs = HalfPairs.load(p + k, left: depth &- k)
            H.first(pairs).store(out + k)
            H.second(pairs).store(out + (k &+ width))
            k &+= HalfPairs.width
        }
    }
}

/// Vectors of pairs of neighbours.
enum HalfPairs {
    @inline(__always) static var width: Int { 2 &* FloatLanes.width }

    /// Zeros where fewer are left.
    @inline(__always) static func load(_ p: UnsafePointer<UInt16>, left: Int) -> spinetail_u32 {
        if left >= width { return spinetail_load_pairs(p) }
        return spinetail_load_part_pairs(p, Int64(truncatingIfNeeded: left))
    }
}

private struct HalfDotColumns<H: HalfFormat>: ParallelTask {
    let product: HalfProduct<H>
    let x: UnsafePointer<Float>
    let xRow: Int
    /// A block for each worker, a row every `dotColumns`.
    let sums: UnsafeMutablePointer<Float>

    func run(_ index: Int, worker: Int) {
        let step = HalfProduct<H>.dotColumns
        let first = index &* step
        let count = Swift.min(step, product.columns &- first)
        let mine = sums + worker &* product.rows &* step
        let tiles = pieces(product.rows, Tile<Float>.isWide ? 6 : 2)
        var i = 0
        while i < count {
            let b = product.b.base + (first &+ i) &* product.b.columnStride
            var row = 0
            var tile = 0
            while tile < tiles {
                let height = pieces(product.rows &- row, tiles &- tile)
                let dots = HalfDots(
                    depth: product.depth, b: b, bColumn: product.b.columnStride, valid: count &- i,
                    x: x + row &* xRow, xRow: xRow, out: mine + (row &* step &+ i), outRow: step, tile: tile,
                    tiles: tiles)
                switch height {
                case 1: HalfDotTile<H, 1>.multiply(dots)
                case 2: HalfDotTile<H, 2>.multiply(dots)
                default:
                    if Tile<Float>.isWide {
                        switch height {
                        case 3: HalfDotTile<H, 3>.multiply(dots)
                        case 4: HalfDotTile<H, 4>.multiply(dots)
                        case 5: HalfDotTile<H, 5>.multiply(dots)
                        default: HalfDotTile<H, 6>.multiply(dots)
                        }
                    }
                }
                row &+= height
                tile &+= 1
            }
            i &+= 4
        }
        product.c.store(mine, sumsRow: step, row: 0, column: first, rows: product.rows, columns: count)
    }
}

/// Inner products of rows of x with four columns of B; where fewer are `valid`, the last one is repeated.
private struct HalfDots {
    let depth: Int
    let b: UnsafePointer<UInt16>
    let bColumn: Int
    let valid: Int
    let x: UnsafePointer<Float>
    let xRow: Int
    let out: UnsafeMutablePointer<Float>
    let outRow: Int
    /// The tiles of these columns share the fetching of the next four.
    let tile: Int
    let tiles: Int
}

/// `rows` × 4 inner products at once.
private enum HalfDotTile<H: HalfFormat, let rows: Int> {
    @inline(__always)
    static func multiply(_ p: HalfDots) {
        let step = p.bColumn
        let b0 = p.b
        let b1 = b0 + (p.valid > 1 ? step : 0)
        let b2 = b1 + (p.valid > 2 ? step : 0)
        let b3 = b2 + (p.valid > 3 ? step : 0)
        var s0 = InlineArray<rows, FloatLanes>(repeating: FloatLanes(repeating: 0))
        var s1 = InlineArray<rows, FloatLanes>(repeating: FloatLanes(repeating: 0))
        var s2 = InlineArray<rows, FloatLanes>(repeating: FloatLanes(repeating: 0))
        var s3 = InlineArray<rows, FloatLanes>(repeating: FloatLanes(repeating: 0))
        let pair = HalfPairs.width
        let each = p.tiles == 1 ? 4 : p.tiles < 4 ? 2 : 1
        let fetched = p.tile &* each < 4 ? each : 0
        // The next columns, if long into the second-level cache; a single tile fetches what is next in long rows.
        let isLong = p.depth > 2048
        let next = b0 + (p.tile &* each &* step &+ (isLong && p.tiles == 1 ? 1024 : 4 &* step))
        var k = 0
        while k &+ pair <= p.depth {
            var line = next + k
            var i = 0
            while i < fetched {
                if isLong && p.tiles > 1 { spinetail_prefetch_far(line) } else { spinetail_prefetch(line) }
                line += step
                i &+= 1
            }
            add(
                p.x + k, p.xRow, spinetail_load_pairs(b0 + k), spinetail_load_pairs(b1 + k),
                spinetail_load_pairs(b2 + k),
                spinetail_load_pairs(b3 + k), &s0, &s1, &s2, &s3)
            k &+= pair
        }
        if k < p.depth {
            let left = p.depth &- k
            add(
                p.x + k, p.xRow, HalfPairs.load(b0 + k, left: left), HalfPairs.load(b1 + k, left: left),
                HalfPairs.load(b2 + k, left: left), HalfPairs.load(b3 + k, left: left), &s0, &s1, &s2, &s3)
        }
        for r in 0..<rows {
            spinetail_sum_four(
                s0[unchecked: r], s1[unchecked: r], s2[unchecked: r], s3[unchecked: r], p.out + r &* p.outRow)
        }
    }

    @inline(__always)
    private static func add(
        _ x: UnsafePointer<Float>, _ xRow: Int, _ p0: spinetail_u32, _ p1: spinetail_u32, _ p2: spinetail_u32,
        _ p3: spinetail_u32, _ s0: inout InlineArray<rows, FloatLanes>, _ s1: inout InlineArray<rows, FloatLanes>,
        _ s2: inout InlineArray<rows, FloatLanes>, _ s3: inout InlineArray<rows, FloatLanes>
    ) {
        let u0 = H.first(p0)
        let u1 = H.first(p1)
        let u2 = H.first(p2)
        let u3 = H.first(p3)
        for r in 0..<rows {
            let value = FloatLanes.load(x + r &* xRow)
            s0[unchecked: r] = FloatLanes.fma(value, u0, s0[unchecked: r])
            s1[unchecked: r] = FloatLanes.fma(value, u1, s1[unchecked: r])
            s2[unchecked: r] = FloatLanes.fma(value, u2, s2[unchecked: r])
            s3[unchecked: r] = FloatLanes.fma(value, u3, s3[unchecked: r])
        }
        let v0 = H.second(p0)
        let v1 = H.second(p1)
        let v2 = H.second(p2)
        let v3 = H.second(p3)
        for r in 0..<rows {
            let value = FloatLanes.load(x + (r &* xRow &+ FloatLanes.width))
            s0[unchecked: r] = FloatLanes.fma(value, v0, s0[unchecked: r])
            s1[unchecked: r] = FloatLanes.fma(value, v1, s1[unchecked: r])
            s2[unchecked: r] = FloatLanes.fma(value, v2, s2[unchecked: r])
            s3[unchecked: r] = FloatLanes.fma(value, v3, s3[unchecked: r])
        }
    }
}
