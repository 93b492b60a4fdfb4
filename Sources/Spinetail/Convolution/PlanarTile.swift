import CSpinetail

/// A register tile whose rows of B begin anywhere: `offsets[k]` elements behind `b`.
enum PlanarTile<E: Real> {
    static func multiply(
        height: Int, depth: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, offsets: UnsafePointer<Int>,
        c: UnsafeMutablePointer<E>, validRows: Int, epilogue: Epilogue<E>
    ) {
        if Tile<E>.isWide {
            switch height {
            case 14: run(RegisterTile<E, 14>.self, depth, a, b, offsets, c, validRows, epilogue)
            case 13: run(RegisterTile<E, 13>.self, depth, a, b, offsets, c, validRows, epilogue)
            case 12: run(RegisterTile<E, 12>.self, depth, a, b, offsets, c, validRows, epilogue)
            case 11: run(RegisterTile<E, 11>.self, depth, a, b, offsets, c, validRows, epilogue)
            case 10: run(RegisterTile<E, 10>.self, depth, a, b, offsets, c, validRows, epilogue)
            case 8: run(RegisterTile<E, 8>.self, depth, a, b, offsets, c, validRows, epilogue)
            case 6: run(RegisterTile<E, 6>.self, depth, a, b, offsets, c, validRows, epilogue)
            default: run(RegisterTile<E, 4>.self, depth, a, b, offsets, c, validRows, epilogue)
            }
        } else {
            switch height {
            case 6: run(RegisterTile<E, 6>.self, depth, a, b, offsets, c, validRows, epilogue)
            case 5: run(RegisterTile<E, 5>.self, depth, a, b, offsets, c, validRows, epilogue)
            default: run(RegisterTile<E, 4>.self, depth, a, b, offsets, c, validRows, epilogue)
            }
        }
    }

    @inline(never)
    private static func run<let rows: Int>(
        _ tile: RegisterTile<E, rows>.Type, _ depth: Int, _ a: UnsafePointer<E>, _ b: UnsafePointer<E>,
        _ offsets: UnsafePointer<Int>, _ c: UnsafeMutablePointer<E>, _ validRows: Int, _ epilogue: Epilogue<E>
    ) {
        tile.multiply(
            depth: depth, a: a, b: b, offsets: offsets, c: c, cRow: Tile<E>.columns, validRows: validRows,
            epilogue: epilogue)
    }
}

extension RegisterTile {
    /// A packed, B's rows at offsets, C in rows of `cRow`, all columns.
    @inline(__always)
    static func multiply(
        depth: Int, a: UnsafePointer<E>, b: UnsafePointer<E>, offsets: UnsafePointer<Int>, c: UnsafeMutablePointer<E>,
        cRow: Int, validRows: Int, epilogue: Epilogue<E>
    ) {
        var left = InlineArray<rows, E.Lanes> { _ in .zero }
        var right = InlineArray<rows, E.Lanes> { _ in .zero }
        var a = a
        var k = 0
        while k < depth {
            let p = b + offsets[k]
            step(&left, &right, a, 1, E.Lanes.load(p), E.Lanes.load(p + E.Lanes.width))
            a += rows
            k &+= 1
        }
        TileEnd(
            c: c, cRow: cRow, validRows: validRows, validColumns: Tile<E>.columns, accumulate: false,
            epilogue: epilogue
        ).store(left, right)
    }
}
