import CSpinetail

/// A panel of B, at most Tile.columns wide, against rows of A that are read where they stand. Tiles of one height follow
/// each other in one loop, for what a tile needs besides its sums costs as much as many steps of depth.
struct DirectPanel<E: Real> {
    let depth: Int
    let a: UnsafePointer<E>
    let aRow: Int
    let aDepth: Int
    var b: UnsafePointer<E>
    var bRow: Int
    let c: UnsafeMutablePointer<E>
    let cRow: Int
    let columns: Int
    let accumulate: Bool
    /// Without a bias for each row, and with nothing at all when accumulating.
    let epilogue: Epilogue<E>
    /// Whether tiles ask for the rows of A that the next one reads.
    let fetches: Bool

    @inline(__always) static var width: Int { E.Lanes.width }

    /// Cut into as few tiles as `highest` allows, whose heights differ by one at most. With `copy`, the first tile copies
    /// the panel there, and the others read it in whole lines.
    mutating func run(rows: Int, highest: Int, copy: UnsafeMutablePointer<E>?) {
        let tiles = pieces(rows, highest)
        let height = divide(rows, by: tiles)
        var higher = rows &- height &* tiles
        var others = tiles &- higher
        var row = 0
        if let copy {
            let first = higher > 0 ? height &+ 1 : height
            multiply(from: 0, height: first, tiles: 1, copy: copy)
            b = UnsafePointer(copy)
            bRow = Tile<E>.columns
            row = first
            if higher > 0 { higher &-= 1 } else { others &-= 1 }
        }
        if higher > 0 {
            multiply(from: row, height: height &+ 1, tiles: higher, copy: nil)
            row &+= higher &* (height &+ 1)
        }
        if others > 0 { multiply(from: row, height: height, tiles: others, copy: nil) }
    }

    /// The highest tile: one vector of columns leaves registers for more rows.
    @inline(__always) static func highest(columns: Int) -> Int {
        if !Tile<E>.isWide { return 6 }
        return columns <= width ? 16 : 13
    }

    private func multiply(from row: Int, height: Int, tiles: Int, copy: UnsafeMutablePointer<E>?) {
        if columns <= Self.width { return narrow(from: row, height: height, tiles: tiles) }
        switch height {
        case 1: wide(RegisterTile<E, 1>.self, row, tiles, copy)
        case 2: wide(RegisterTile<E, 2>.self, row, tiles, copy)
        case 3: wide(RegisterTile<E, 3>.self, row, tiles, copy)
        case 4: wide(RegisterTile<E, 4>.self, row, tiles, copy)
        case 5: wide(RegisterTile<E, 5>.self, row, tiles, copy)
        case 6: wide(RegisterTile<E, 6>.self, row, tiles, copy)
        default:
            if !Tile<E>.isWide { return }
            switch height {
            case 7: wide(RegisterTile<E, 7>.self, row, tiles, copy)
            case 8: wide(RegisterTile<E, 8>.self, row, tiles, copy)
            case 9: wide(RegisterTile<E, 9>.self, row, tiles, copy)
            case 10: wide(RegisterTile<E, 10>.self, row, tiles, copy)
            case 11: wide(RegisterTile<E, 11>.self, row, tiles, copy)
            case 12: wide(RegisterTile<E, 12>.self, row, tiles, copy)
            default: wide(RegisterTile<E, 13>.self, row, tiles, copy)
            }
        }
    }

    private func narrow(from row: Int, height: Int, tiles: Int) {
        switch height {
        case 1: narrow(RegisterTile<E, 1>.self, row, tiles)
        case 2: narrow(RegisterTile<E, 2>.self, row, tiles)
        case 3: narrow(RegisterTile<E, 3>.self, row, tiles)
        case 4: narrow(RegisterTile<E, 4>.self, row, tiles)
        case 5: narrow(RegisterTile<E, 5>.self, row, tiles)
        case 6: narrow(RegisterTile<E, 6>.self, row, tiles)
        default:
            if !Tile<E>.isWide { return }
            switch height {
            case 7: narrow(RegisterTile<E, 7>.self, row, tiles)
            case 8: narrow(RegisterTile<E, 8>.self, row, tiles)
            case 9: narrow(RegisterTile<E, 9>.self, row, tiles)
            case 10: narrow(RegisterTile<E, 10>.self, row, tiles)
            case 11: narrow(RegisterTile<E, 11>.self, row, tiles)
            case 12: narrow(RegisterTile<E, 12>.self, row, tiles)
            case 13: narrow(RegisterTile<E, 13>.self, row, tiles)
            case 14: narrow(RegisterTile<E, 14>.self, row, tiles)
            case 15: narrow(RegisterTile<E, 15>.self, row, tiles)
            default: narrow(RegisterTile<E, 16>.self, row, tiles)
            }
        }
    }
}
