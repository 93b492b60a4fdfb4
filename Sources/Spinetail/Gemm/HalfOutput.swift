import CSpinetail

/// Where a product of 16-bit numbers goes, into numbers of the same format or of float32, and how it ends.
struct HalfOutput<H: HalfFormat> {
    var base: UnsafeMutableRawPointer
    /// In numbers.
    var rowStride: Int
    var columnStride: Int
    var isFloat: Bool
    var finish: Finish<Float>

    var transposed: HalfOutput {
        var other = self
        other.rowStride = columnStride
        other.columnStride = rowStride
        other.finish.bias = finish.bias?.transposed
        return other
    }

    /// Finishes a block of sums where it stands, and stores it, rounded once.
    func store(
        _ sums: UnsafeMutablePointer<Float>, sumsRow: Int, row: Int, column: Int, rows: Int, columns: Int
    ) {
        if finish.bias != nil || finish.activation != Int(SPINETAIL_IDENTITY) {
            finish.apply(to: sums, cRow: sumsRow, row: row, column: column, rows: rows, columns: columns)
        }
        var r = 0
        while r < rows {
            let index = (row &+ r) &* rowStride &+ column &* columnStride
            store(sums + r &* sumsRow, at: index, count: columns)
            r &+= 1
        }
    }

    @inline(__always) private func store(_ sums: UnsafePointer<Float>, at index: Int, count: Int) {
        let floats = base.assumingMemoryBound(to: Float.self) + index
        let halves = base.assumingMemoryBound(to: UInt16.self) + index
        let step = columnStride == 1 ? FloatLanes.width : 1
        var i = 0
        while i < count {
            if columnStride != 1 {
                if isFloat {
                    floats[i &* columnStride] = sums[i]
                } else {
                    halves[i &* columnStride] = H.bits(sums[i])
                }
            } else if isFloat {
                FloatLanes.loadUpTo(sums + i, count &- i).storeUpTo(floats + i, count &- i)
            } else {
                H.store(.loadUpTo(sums + i, count &- i), halves + i, count: count &- i)
            }
            i &+= step
        }
    }
}
