import CSpinetail

/// How a large product is cut. Depth is cut by the problem alone, so results do not depend on the number of threads.
/// A block of A (544 KiB) is meant to stay in the second-level cache together with two panels of B.
struct Blocking<E: Real> {
    /// Rows of a tile, its number in all and in a block of rows; blocks of rows.
    let height: Int
    let tiles: Int
    let tilesPerBlock: Int
    let rowBlocks: Int
    /// Depth of a block, their number, the depth of the whole product.
    let depth: Int
    let depthBlocks: Int
    let wholeDepth: Int
    /// Columns of a task, and of the whole product.
    let columns: Int
    let wholeColumns: Int
    /// Elements from one packed tile of A to the next.
    let tileElements: Int

    private static var blockElements: Int { (544 << 10) / MemoryLayout<E>.size }
    private static var shallow: Int { 512 &* 4 / MemoryLayout<E>.size }
    private static var deep: Int { 1024 &* 4 / MemoryLayout<E>.size }

    init(rows: Int, columns: Int, depth: Int, workers: Int) {
        wholeDepth = depth
        wholeColumns = columns
        height = PanelTile<E>.height(for: rows)
        tiles = pieces(rows, height)
        let block = Self.blockElements
        let longest = Swift.max(1, divide(block, by: Swift.min(Self.shallow, Swift.max(1, depth)) &* height))
        rowBlocks = pieces(tiles, longest)
        tilesPerBlock = pieces(tiles, rowBlocks)
        let fitting = divide(block, by: tilesPerBlock &* height)
        let deepest = Swift.max(Self.shallow, Swift.min(Self.deep, fitting))
        depthBlocks = Swift.max(1, pieces(depth, deepest))
        self.depth = depthBlocks == 1 ? depth : roundUp(pieces(depth, depthBlocks), E.Lanes.width)
        tileElements = roundUp(height &* self.depth &+ Packing<E>.slack, 64 / MemoryLayout<E>.size)
        // Sums do not depend on how columns are cut, so the number of threads may decide it. Each task packs a block of A
        // and its first panel of B while no sums are made, so tasks are as wide as the threads' balance allows.
        let panels = pieces(columns, Tile<E>.columns)
        let largest = Swift.max(1, divide(1 << 29, by: tilesPerBlock &* height &* depth &* Tile<E>.columns))
        let least = pieces(workers, rowBlocks)
        let balanced = workers == 1 ? 1 : Swift.min(4 &* least, Swift.max(least, panels / 6))
        let even = remainder(rowBlocks, by: workers) == 0
        let wanted = even ? balanced : roundUp(balanced, workers)
        let width = even ? pieces(panels, wanted) : Self.evenWidth(panels, wanted, rowBlocks, workers)
        self.columns = Swift.min(Swift.min(64, largest), width) &* Tile<E>.columns
    }

    /// The panels of a task, about `panels` / `wanted`, that keep the threads busy for the shortest time.
    private static func evenWidth(_ panels: Int, _ wanted: Int, _ rowBlocks: Int, _ workers: Int) -> Int {
        let least = pieces(panels, wanted)
        var best = least
        var shortest = Int.max
        var width = least
        while width <= 2 &* least {
            let time = pieces(rowBlocks &* pieces(panels, width), workers) &* width
            if time < shortest {
                shortest = time
                best = width
            }
            width &+= 1
        }
        return best
    }

    var groups: Int { pieces(wholeColumns, columns) }
    var tasks: Int { rowBlocks &* groups }

    @inline(__always) func depth(ofBlock d: Int) -> Int { Swift.min(depth, wholeDepth &- d &* depth) }
    @inline(__always) func tiles(ofBlock block: Int) -> Int {
        Swift.min(tilesPerBlock, tiles &- block &* tilesPerBlock)
    }

    // Neighbouring tasks share a block of rows. Two threads take tasks from both ends, so each keeps its blocks of A.
    func block(ofTask index: Int) -> Int { divide(index, by: groups) }
    func group(ofTask index: Int) -> Int { remainder(index, by: groups) }

    // Sums of the blocks of depth before the last, tile by tile, unless they would take too much memory.
    var sumElements: Int { height &* Tile<E>.columns }
    var sumBytes: Int {
        let bytes = tiles &* pieces(wholeColumns, Tile<E>.columns) &* sumElements &* MemoryLayout<E>.size
        return depthBlocks > 1 && bytes <= 32 << 20 ? bytes : 0
    }

    // A worker's memory: the number of the block of A that it holds, that block, two panels of B.
    var panelElements: Int {
        roundUp(depth &* Tile<E>.columns &+ Packing<E>.slack, 64 / MemoryLayout<E>.size)
    }
    var workerBytes: Int { 64 &+ (tilesPerBlock &* tileElements &+ 2 &* panelElements) &* MemoryLayout<E>.size }
}

/// The register tile in several heights, so that few rows, or a number of rows just above a multiple, waste little.
/// Both operands are packed, A in panels of `height` rows.
enum PanelTile<E: Real> {
    /// The height that cuts `rows` into as few tiles as the highest one, and evenly.
    static func height(for rows: Int) -> Int {
        let even = pieces(rows, Swift.max(1, pieces(rows, Tile<E>.rows)))
        if !Tile<E>.isWide { return Swift.max(4, even) }
        return even <= 8 ? 8 : even == 9 ? 10 : even
    }

    @inline(__always)
    static func multiply<Ahead: TileAhead>(_ work: borrowing PanelWork<E, Ahead>, height: Int) {
        if Tile<E>.isWide {
            switch height {
            case 14: work.run(RegisterTile<E, 14>.self)
            case 13: work.run(RegisterTile<E, 13>.self)
            case 12: work.run(RegisterTile<E, 12>.self)
            case 11: work.run(RegisterTile<E, 11>.self)
            case 10: work.run(RegisterTile<E, 10>.self)
            case 4: work.run(RegisterTile<E, 4>.self)
            default: work.run(RegisterTile<E, 8>.self)
            }
        } else {
            switch height {
            case 6: work.run(RegisterTile<E, 6>.self)
            case 5: work.run(RegisterTile<E, 5>.self)
            default: work.run(RegisterTile<E, 4>.self)
            }
        }
    }
}

/// A tile's operands: A in a panel of its height, B in one of Tile.columns.
struct PanelWork<E: Real, Ahead: TileAhead> {
    let depth: Int
    let a: UnsafePointer<E>
    let b: UnsafePointer<E>
    let c: UnsafeMutablePointer<E>
    let cRow: Int
    let validRows: Int
    let validColumns: Int
    let accumulate: Bool
    let epilogue: Epilogue<E>
    let ahead: Ahead
    /// What is added, where it is not what C holds.
    var sums: UnsafePointer<E>? = nil

    @inline(never) func run<let rows: Int>(_ tile: RegisterTile<E, rows>.Type) {
        var r = 0
        while r < validRows {
            spinetail_prefetch(c + r &* cRow)
            spinetail_prefetch(c + (r &* cRow &+ E.Lanes.width))
            if let sums {
                spinetail_prefetch(sums + r &* Tile<E>.columns)
                spinetail_prefetch(sums + (r &* Tile<E>.columns &+ E.Lanes.width))
            }
            r &+= 1
        }
        RegisterTile<E, rows>.multiply(
            depth: depth, a: a, aRow: 1, aDepth: rows, b: b, bDepth: Tile<E>.columns, c: c, cRow: cRow,
            validRows: validRows, validColumns: validColumns, accumulate: accumulate, epilogue: epilogue,
            ahead: ahead, sums: sums)
    }
}
