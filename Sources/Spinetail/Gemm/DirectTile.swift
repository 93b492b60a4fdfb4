import CSpinetail

/// The loops over a panel's tiles of one height. What is known of a panel is asked outside the loops over depth.
extension DirectPanel {
    @_optimize(speed)
    @inline(never)
    func wide<let rows: Int>(
        _ tile: RegisterTile<E, rows>.Type, _ tiles: Int, _ copy: UnsafeMutablePointer<E>?
    ) {
        // Masks cost wide vectors nothing: one loop serves panels of any width.
        if !Tile<E>.isWide && columns == Tile<E>.columns {
            wide(tile, tiles, copy, whole: true)
        } else {
            wide(tile, tiles, copy, whole: false)
        }
    }

    @inline(__always)
    private func wide<let rows: Int>(
        _ tile: RegisterTile<E, rows>.Type, _ tiles: Int, _ copy: UnsafeMutablePointer<E>?, whole: Bool
    ) {
        let width = Self.width
        let count = columns &- width
        let depth = self.depth
        let aRow = self.aRow
        let aDepth = self.aDepth
        let steps = RowSteps(bytes: aRow &* MemoryLayout<E>.size)
        let bRow = self.bRow
        var a = self.a
        var base = self.b
        var c = self.c
        var ahead = self.ahead
        let aheadEnd = self.aheadEnd
        var left = tiles
        while left > 0 {
            var x = InlineArray<rows, E.Lanes> { _ in .zero }
            var y = InlineArray<rows, E.Lanes> { _ in .zero }
            var p = a
            var b = base
            var k = depth
            if fetchesC { fetchC(rows, c) }
            if var copy {
                while k > 0 {
                    let b0 = E.Lanes.load(b)
                    let b1 = second(b + width, count, whole: whole)
                    b0.store(copy)
                    b1.store(copy + width)
                    steps.add(&x, &y, p, b0, b1)
                    copy += 2 &* width
                    p += aDepth
                    b += bRow
                    k &-= 1
                }
            } else if fetches {
                var lines = TileLines(a + aTile, step: aRow, count: rows)
                while k > 0 {
                    var some = Swift.min(k, segment)
                    k &-= some
                    repeat {
                        lines.fetch(step: aRow, count: rows)
                        spinetail_prefetch_far(ahead)
                        ahead = Swift.min(aheadEnd, ahead + 64 / MemoryLayout<E>.size)
                        steps.add(&x, &y, p, E.Lanes.load(b), second(b + width, count, whole: whole))
                        p += aDepth
                        b += bRow
                        some &-= 1
                    } while some > 0
                    p += jump
                }
            } else {
                while k > 0 {
                    steps.add(&x, &y, p, E.Lanes.load(b), second(b + width, count, whole: whole))
                    p += aDepth
                    b += bRow
                    k &-= 1
                }
            }
            end(x, into: c, bias: 0, width, whole: true)
            end(y, into: c + width, bias: width, count, whole: whole)
            a += aTile
            base += bTile
            c += cTile
            left &-= 1
        }
    }

    @_optimize(speed)
    @inline(never)
    func narrow<let rows: Int>(_ tile: RegisterTile<E, rows>.Type, _ tiles: Int) {
        let depth = self.depth
        let aRow = self.aRow
        let aDepth = self.aDepth
        let steps = RowSteps(bytes: aRow &* MemoryLayout<E>.size)
        let bRow = self.bRow
        let count = columns
        var a = self.a
        var base = self.b
        var c = self.c
        var ahead = self.ahead
        let aheadEnd = self.aheadEnd
        var left = tiles
        while left > 0 {
            var x = InlineArray<rows, E.Lanes> { _ in .zero }
            var p = a
            var b = base
            var k = depth
            if fetchesC { fetchC(rows, c) }
            if fetches {
                var lines = TileLines(a + aTile, step: aRow, count: rows)
                while k > 0 {
                    var some = Swift.min(k, segment)
                    k &-= some
                    repeat {
                        lines.fetch(step: aRow, count: rows)
                        spinetail_prefetch_far(ahead)
                        ahead = Swift.min(aheadEnd, ahead + 64 / MemoryLayout<E>.size)
                        steps.add(&x, p, second(b, count, whole: false))
                        p += aDepth
                        b += bRow
                        some &-= 1
                    } while some > 0
                    p += jump
                }
            } else {
                while k > 0 {
                    steps.add(&x, p, second(b, count, whole: false))
                    p += aDepth
                    b += bRow
                    k &-= 1
                }
            }
            end(x, into: c, bias: 0, count, whole: false)
            a += aTile
            base += bTile
            c += cTile
            left &-= 1
        }
    }

    /// Asks for a tile of C, or of what is added to it, which are needed when all else is done; for both at once the core
    /// has too few line buffers.
    @inline(__always) private func fetchC(_ rows: Int, _ c: UnsafeMutablePointer<E>) {
        var p = c
        var left = rows
        while left > 0 {
            if apart != 0 {
                spinetail_prefetch(p + apart)
                spinetail_prefetch(p + (apart &+ columns &- 1))
            } else {
                spinetail_prefetch_write(p)
                spinetail_prefetch_write(p + (columns &- 1))
            }
            p += cRow
            left &-= 1
        }
    }

    /// A vector of B that may be the last of its row; wide vectors have masks for that, which need no branch.
    @inline(__always) private func second(_ p: UnsafePointer<E>, _ count: Int, whole: Bool) -> E.Lanes {
        if whole { return E.Lanes.load(p) }
        return Tile<E>.isWide ? E.Lanes.load(p, count: count, fill: 0) : E.Lanes.loadUpTo(p, count)
    }

    /// A column of a tile's sums. Loops of half the rows: LLVM unrolls each fully, and only then do the sums stay in
    /// registers.
    @inline(__always) private func end<let rows: Int>(
        _ x: InlineArray<rows, E.Lanes>, into c: UnsafeMutablePointer<E>, bias first: Int, _ count: Int, whole: Bool
    ) {
        let half = rows >> 1
        // max and min take their second operand where one is NaN, so a NaN sum stays NaN; -Inf and Inf leave all as it is, as
        // -0 does.
        let least = E.Lanes(repeating: epilogue.relu ? 0 : -E.infinity)
        let most = E.Lanes(repeating: most)
        var bias = E.Lanes(repeating: -0.0)
        if let values = epilogue.values { bias = get(values + first, count, whole) }
        if epilogue.isNothing && !accumulate {
            for r in 0..<half { put(x[unchecked: r], c + r &* cRow, count, whole) }
            for r in half..<rows { put(x[unchecked: r], c + r &* cRow, count, whole) }
            return
        }
        // Without anything to add, masks that are all off look at B: pages that C may not have yet would cost them dear.
        let old = accumulate ? UnsafePointer(c + apart) : b
        let oldRow = accumulate ? cRow : 0
        for r in 0..<half {
            let sum = x[unchecked: r] + before(old + r &* oldRow, count, whole)
            put(E.Lanes.min(most, E.Lanes.max(least, sum + bias)), c + r &* cRow, count, whole)
        }
        for r in half..<rows {
            let sum = x[unchecked: r] + before(old + r &* oldRow, count, whole)
            put(E.Lanes.min(most, E.Lanes.max(least, sum + bias)), c + r &* cRow, count, whole)
        }
    }

    /// What sums are added to: -0 where that is nothing.
    @inline(__always) private func before(_ p: UnsafePointer<E>, _ count: Int, _ whole: Bool) -> E.Lanes {
        if Tile<E>.isWide {
            return E.Lanes.load(p, count: accumulate ? (whole ? Self.width : count) : 0, fill: -0.0)
        }
        return accumulate ? get(p, count, whole) : E.Lanes(repeating: -0.0)
    }

    @inline(__always) private func get(_ p: UnsafePointer<E>, _ count: Int, _ whole: Bool) -> E.Lanes {
        second(p, count, whole: whole)
    }

    @inline(__always) private func put(_ x: E.Lanes, _ p: UnsafeMutablePointer<E>, _ count: Int, _ whole: Bool) {
        if whole {
            x.store(p)
        } else if Tile<E>.isWide {
            x.store(p, count: count)
        } else {
            x.storeUpTo(p, count)
        }
    }
}

/// The lines of memory in a tile's rows of A, one for each step of depth: the first of every row, then the second.
private struct TileLines<E: Real> {
    var first: UnsafePointer<E>
    var next: UnsafePointer<E>
    var left: Int

    @inline(__always) init(_ first: UnsafePointer<E>, step: Int, count: Int) {
        self.first = first
        next = first
        left = count
    }

    @inline(__always) mutating func fetch(step: Int, count: Int) {
        spinetail_prefetch(next)
        next += step
        left &-= 1
        if left == 0 {
            first += 64 / MemoryLayout<E>.size
            next = first
            left = count
        }
    }
}
