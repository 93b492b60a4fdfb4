import CSpinetail

/// The tile for a fixed number of rows, so that all sums have a register of their own. A may have any strides here;
/// where B's rows end at `validColumns` in memory, `paddedB: false` keeps reads inside them; `narrow` tiles have one vector
/// of columns at most.
enum RegisterTile<E: Real, let rows: Int> {
    @inline(__always)
    static func multiply(
        depth: Int, a: UnsafePointer<E>, aRow: Int, aDepth: Int, b: UnsafePointer<E>, bDepth: Int,
        c: UnsafeMutablePointer<E>, cRow: Int, validRows: Int, validColumns: Int, accumulate: Bool,
        epilogue: Epilogue<E>, paddedB: Bool = true, narrow: Bool = false, prefetch: Prefetch? = nil
    ) {
        multiply(
            depth: depth, a: a, aRow: aRow, aDepth: aDepth, b: b, bDepth: bDepth, c: c, cRow: cRow,
            validRows: validRows, validColumns: validColumns, accumulate: accumulate, epilogue: epilogue,
            paddedB: paddedB, narrow: narrow, ahead: nil as PanelAhead<E>?, prefetch: prefetch)
    }

    @inline(__always)
    static func multiply<Ahead: TileAhead>(
        depth: Int, a: UnsafePointer<E>, aRow: Int, aDepth: Int, b: UnsafePointer<E>, bDepth: Int,
        c: UnsafeMutablePointer<E>, cRow: Int, validRows: Int, validColumns: Int, accumulate: Bool,
        epilogue: Epilogue<E>, paddedB: Bool = true, narrow: Bool = false, ahead: Ahead?, prefetch: Prefetch? = nil,
        sums: UnsafePointer<E>? = nil
    ) {
        var left = InlineArray<rows, E.Lanes> { _ in .zero }
        var right = InlineArray<rows, E.Lanes> { _ in .zero }
        let width = E.Lanes.width
        // How many lanes of each vector of B there are.
        let count0 = Swift.min(width, validColumns)
        let count1 = Swift.max(0, Swift.min(width, validColumns &- width))
        var a = a
        var b = b
        var k = 0
        if var ahead {
            // What is done for the next panel is spread over the steps, at most one of its rows before each; then the rest.
            var rounds = Swift.min(ahead.rounds, depth)
            let steps = divide(depth, by: rounds)
            k = rounds &* steps
            while rounds > 0 {
                ahead.round()
                var count = steps
                repeat {
                    fetchedStep(&left, &right, &a, aRow, aDepth, &b, bDepth)
                    count &-= 1
                } while count > 0
                rounds &-= 1
            }
            while k < depth {
                fetchedStep(&left, &right, &a, aRow, aDepth, &b, bDepth)
                k &+= 1
            }
            ahead.end()
        } else if let prefetch {
            var line = prefetch.first
            var p = line
            var rest = prefetch.segment
            while k < depth {
                spinetail_prefetch_far(p)
                step(&left, &right, a, aRow, E.Lanes.load(b), E.Lanes.load(b + width))
                p += prefetch.step
                rest &-= 1
                if rest == 0 {
                    line += prefetch.jump
                    p = line
                    rest = prefetch.segment
                }
                a += aDepth
                b += bDepth
                k &+= 1
            }
        } else {
            while k < depth {
                if narrow {
                    step(&left, a, aRow, loadPart(b, count0))
                } else {
                    let b0 = paddedB ? E.Lanes.load(b) : loadPart(b, count0)
                    let b1 = paddedB ? E.Lanes.load(b + width) : loadPart(b + width, count1)
                    step(&left, &right, a, aRow, b0, b1)
                }
                a += aDepth
                b += bDepth
                k &+= 1
            }
        }
        let end = TileEnd(
            c: c, cRow: cRow, validRows: validRows, validColumns: validColumns, accumulate: accumulate,
            epilogue: epilogue, sums: sums)
        end.store(left, right)
    }

    /// A step through packed panels, which come from the second-level cache: the processor's own fetching lags.
    @inline(__always)
    private static func fetchedStep(
        _ left: inout InlineArray<rows, E.Lanes>, _ right: inout InlineArray<rows, E.Lanes>,
        _ a: inout UnsafePointer<E>, _ aRow: Int, _ aDepth: Int, _ b: inout UnsafePointer<E>, _ bDepth: Int
    ) {
        let width = E.Lanes.width
        if Tile<E>.isWide {
            spinetail_prefetch(a + 8 &* aDepth)
            spinetail_prefetch(b + 8 &* bDepth)
            spinetail_prefetch(b + (8 &* bDepth &+ width))
        }
        step(&left, &right, a, aRow, E.Lanes.load(b), E.Lanes.load(b + width))
        a += aDepth
        b += bDepth
    }

    @inline(__always)
    static func step(
        _ left: inout InlineArray<rows, E.Lanes>, _ right: inout InlineArray<rows, E.Lanes>, _ a: UnsafePointer<E>,
        _ aRow: Int, _ b0: E.Lanes, _ b1: E.Lanes
    ) {
        // Two short loops: LLVM unrolls each fully, and only then do the sums stay in registers.
        let half = rows >> 1
        for r in 0..<half {
            let value = E.Lanes(repeating: a[r &* aRow])
            left[unchecked: r] = E.Lanes.fma(value, b0, left[unchecked: r])
            right[unchecked: r] = E.Lanes.fma(value, b1, right[unchecked: r])
        }
        for r in half..<rows {
            let value = E.Lanes(repeating: a[r &* aRow])
            left[unchecked: r] = E.Lanes.fma(value, b0, left[unchecked: r])
            right[unchecked: r] = E.Lanes.fma(value, b1, right[unchecked: r])
        }
    }

    /// The same for a single vector of B.
    @inline(__always)
    private static func step(
        _ left: inout InlineArray<rows, E.Lanes>, _ a: UnsafePointer<E>, _ aRow: Int, _ b0: E.Lanes
    ) {
        let half = rows >> 1
        for r in 0..<half {
            left[unchecked: r] = E.Lanes.fma(E.Lanes(repeating: a[r &* aRow]), b0, left[unchecked: r])
        }
        for r in half..<rows {
            left[unchecked: r] = E.Lanes.fma(E.Lanes(repeating: a[r &* aRow]), b0, left[unchecked: r])
        }
    }

    /// `count` lanes (0 ... width); wide vectors have masks for that, which need no branch.
    @inline(__always) private static func loadPart(_ p: UnsafePointer<E>, _ count: Int) -> E.Lanes {
        Tile<E>.isWide ? E.Lanes.load(p, count: count, fill: 0) : E.Lanes.loadUpTo(p, count)
    }
}
