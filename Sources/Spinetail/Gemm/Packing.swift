import CSpinetail

/// A matrix in memory: element (row, column) at base[row · rowStride + column · columnStride].
struct Matrix<E> {
    var base: UnsafePointer<E>
    var rowStride: Int
    var columnStride: Int

    @inline(__always) func advanced(rows: Int, columns: Int) -> Matrix<E> {
        Matrix(
            base: base + (rows &* rowStride &+ columns &* columnStride), rowStride: rowStride,
            columnStride: columnStride)
    }

    @inline(__always) var transposed: Matrix<E> {
        Matrix(base: base, rowStride: columnStride, columnStride: rowStride)
    }
}

enum Packing<E: Real> {
    /// Packs `rows` × `depth` of A into panels of Tile.rows, depth-major: element (row, k) of panel p at
    /// [p · Tile.rows · depth + k · Tile.rows + row % Tile.rows]; missing rows of the last panel become zeros.
    static func packRows(_ a: Matrix<E>, rows: Int, depth: Int, into out: UnsafeMutablePointer<E>) {
        pack(a, count: rows, depth: depth, panel: Tile<E>.rows, into: out)
    }

    /// Packs `depth` × `columns` of B into panels of Tile.columns, likewise.
    static func packColumns(_ b: Matrix<E>, depth: Int, columns: Int, into out: UnsafeMutablePointer<E>) {
        pack(b.transposed, count: columns, depth: depth, panel: Tile<E>.columns, into: out)
    }

    /// Panels of `panel` rows of m, depth (m's columns) outermost within a panel, `distance` elements from one to the next
    /// or without a gap. Up to `slack` elements behind the last panel are written too.
    static func pack(
        _ m: Matrix<E>, count: Int, depth: Int, panel: Int, distance: Int? = nil, into out: UnsafeMutablePointer<E>
    ) {
        let distance = distance ?? panel &* depth
        if m.rowStride == 1 {
            return packAlong(m, count: count, depth: depth, panel: panel, distance: distance, into: out)
        }
        var first = 0
        var place = out
        while first < count {
            let valid = Swift.min(panel, count &- first)
            let source = m.advanced(rows: first, columns: 0)
            if m.columnStride == 1 {
                packAcross(source, valid: valid, depth: depth, panel: panel, into: place)
            } else {
                packAny(source, valid: valid, depth: depth, panel: panel, into: place)
            }
            first &+= panel
            place += distance
        }
    }

    /// Neighbours in the panel are neighbours in memory: copy vectors, one line of memory after the other, so that
    /// reads run through all panels at once. The hardware does not foresee rows that are far apart.
    private static func packAlong(
        _ m: Matrix<E>, count: Int, depth: Int, panel: Int, distance: Int, into out: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        let ahead = 8 &* m.columnStride
        var k = 0
        while k < depth {
            var p = m.base + k &* m.columnStride
            var q = out + k &* panel
            var left = count
            while left > 0 {
                let valid = Swift.min(panel, left)
                var i = 0
                while i &+ width <= valid {
                    spinetail_prefetch(p + (ahead &+ i))
                    E.Lanes.load(p + i).store(q + i)
                    i &+= width
                }
                spinetail_prefetch(p + (ahead &+ valid &- 1))
                if i < valid {
                    E.Lanes.load(p + i, count: valid &- i, fill: 0).store(q + i, count: valid &- i)
                    i = valid
                }
                while i < panel {
                    q[i] = 0
                    i &+= 1
                }
                p += panel
                q += distance
                left &-= panel
            }
            k &+= 1
        }
    }

    /// Neighbours in depth are neighbours in memory: transpose block by block. A block is as wide as a vector, so its
    /// stores may run past the panel's rows into what the next step of depth writes (or the slack behind the last panel,
    /// see `slack`): blocks are therefore done from the last rows to the first.
    private static func packAcross(
        _ m: Matrix<E>, valid: Int, depth: Int, panel: Int, into out: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        var k = 0
        while k &+ width <= depth {
            var first = roundUp(panel, width) &- width
            while first >= 0 {
                let rows = Swift.max(0, valid &- first)
                E.Lanes.transpose(
                    m.base + (Swift.min(first, valid &- 1) &* m.rowStride &+ k), stride: m.rowStride, valid: rows,
                    into: out + (k &* panel &+ first), outStride: panel)
                first &-= width
            }
            k &+= width
        }
        if k < depth {
            packAny(
                m.advanced(rows: 0, columns: k), valid: valid, depth: depth &- k, panel: panel, into: out + k &* panel)
        }
    }

    /// Elements behind the last packed panel that may be written.
    static var slack: Int { E.Lanes.width }

    private static func packAny(
        _ m: Matrix<E>, valid: Int, depth: Int, panel: Int, into out: UnsafeMutablePointer<E>
    ) {
        var k = 0
        while k < depth {
            var r = 0
            while r < valid {
                out[k &* panel &+ r] = m.base[r &* m.rowStride &+ k &* m.columnStride]
                r &+= 1
            }
            k &+= 1
        }
        clear(from: valid, depth: depth, panel: panel, into: out)
    }

    private static func clear(from valid: Int, depth: Int, panel: Int, into out: UnsafeMutablePointer<E>) {
        if valid == panel { return }
        var k = 0
        while k < depth {
            var r = valid
            while r < panel {
                out[k &* panel &+ r] = 0
                r &+= 1
            }
            k &+= 1
        }
    }
}
