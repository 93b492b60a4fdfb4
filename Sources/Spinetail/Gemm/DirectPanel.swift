import CSpinetail

/// A panel of B, at most Tile.columns wide, against rows of A that are read where they stand. Tiles of one height follow
/// each other in one loop, for what a tile needs besides its sums costs as much as many steps of depth.
struct DirectPanel<E: Real> {
    let depth: Int
    var a: UnsafePointer<E>
    let aRow: Int
    let aDepth: Int
    var b: UnsafePointer<E>
    var bRow: Int
    var c: UnsafeMutablePointer<E>
    let cRow: Int
    let columns: Int
    let accumulate: Bool
    /// Without a bias for each row.
    let epilogue: Epilogue<E>
    /// Whether tiles ask for the rows of A that the next one reads, and for the lines from `ahead` on, one at each step.
    let fetches: Bool
    var ahead: UnsafePointer<E>
    var aheadEnd: UnsafePointer<E>
    /// Elements from C to what is added when accumulating, if that is not C itself.
    var apart = 0
    /// Whether tiles ask for their part of C before they make its sums.
    var fetchesC = false
    /// With the epilogue's relu, what results are at most.
    var most = E.infinity
    /// After each `segment` steps of depth, A goes on `jump` elements further.
    var segment = Int.max
    var jump = 0
    /// Elements from one tile's operands to the next one's.
    var aTile = 0
    var bTile = 0
    var cTile = 0

    @inline(__always) static var width: Int { E.Lanes.width }
    @inline(__always) static var highest: Int { Tile<E>.isWide ? 13 : 6 }
    /// One vector of columns leaves registers for more rows.
    @inline(__always) static var highestNarrow: Int { Tile<E>.isWide ? 16 : 6 }

    /// With `copy`, the first tile copies the panel there, and the others read it in whole lines.
    mutating func run(_ cut: RowCut, copy: UnsafeMutablePointer<E>?) {
        var higher = cut.higher
        var others = cut.others
        if let copy {
            multiply(height: higher > 0 ? cut.height &+ 1 : cut.height, tiles: 1, copy: copy)
            b = UnsafePointer(copy)
            bRow = Tile<E>.columns
            if higher > 0 { higher &-= 1 } else { others &-= 1 }
        }
        if higher > 0 { multiply(height: cut.height &+ 1, tiles: higher, copy: nil) }
        if others > 0 { multiply(height: cut.height, tiles: others, copy: nil) }
    }

    /// Products of one tile each.
    mutating func run(rows: Int, products: Int, aStep: Int, bStep: Int, cStep: Int) {
        aTile = aStep
        bTile = bStep
        cTile = cStep
        tiles(products, height: rows, copy: nil)
    }

    /// Tiles one below the other.
    private mutating func multiply(height: Int, tiles count: Int, copy: UnsafeMutablePointer<E>?) {
        aTile = height &* aRow
        cTile = height &* cRow
        tiles(count, height: height, copy: copy)
        a += count &* aTile
        c += count &* cTile
        if copy == nil { ahead += Swift.min(aheadEnd - ahead, count &* depth &* (64 / MemoryLayout<E>.size)) }
    }

    private func tiles(_ count: Int, height: Int, copy: UnsafeMutablePointer<E>?) {
        if columns <= Self.width { return narrow(count, height: height) }
        switch height {
        case 1: wide(RegisterTile<E, 1>.self, count, copy)
        case 2: wide(RegisterTile<E, 2>.self, count, copy)
        case 3: wide(RegisterTile<E, 3>.self, count, copy)
        case 4: wide(RegisterTile<E, 4>.self, count, copy)
        case 5: wide(RegisterTile<E, 5>.self, count, copy)
        case 6: wide(RegisterTile<E, 6>.self, count, copy)
        default:
            if !Tile<E>.isWide { return }
            switch height {
            case 7: wide(RegisterTile<E, 7>.self, count, copy)
            case 8: wide(RegisterTile<E, 8>.self, count, copy)
            case 9: wide(RegisterTile<E, 9>.self, count, copy)
            case 10: wide(RegisterTile<E, 10>.self, count, copy)
            case 11: wide(RegisterTile<E, 11>.self, count, copy)
            case 12: wide(RegisterTile<E, 12>.self, count, copy)
            default: wide(RegisterTile<E, 13>.self, count, copy)
            }
        }
    }

    private func narrow(_ count: Int, height: Int) {
        switch height {
        case 1: narrow(RegisterTile<E, 1>.self, count)
        case 2: narrow(RegisterTile<E, 2>.self, count)
        case 3: narrow(RegisterTile<E, 3>.self, count)
        case 4: narrow(RegisterTile<E, 4>.self, count)
        case 5: narrow(RegisterTile<E, 5>.self, count)
        case 6: narrow(RegisterTile<E, 6>.self, count)
        default:
            if !Tile<E>.isWide { return }
            switch height {
            case 7: narrow(RegisterTile<E, 7>.self, count)
            case 8: narrow(RegisterTile<E, 8>.self, count)
            case 9: narrow(RegisterTile<E, 9>.self, count)
            case 10: narrow(RegisterTile<E, 10>.self, count)
            case 11: narrow(RegisterTile<E, 11>.self, count)
            case 12: narrow(RegisterTile<E, 12>.self, count)
            case 13: narrow(RegisterTile<E, 13>.self, count)
            case 14: narrow(RegisterTile<E, 14>.self, count)
            case 15: narrow(RegisterTile<E, 15>.self, count)
            default: narrow(RegisterTile<E, 16>.self, count)
            }
        }
    }
}
