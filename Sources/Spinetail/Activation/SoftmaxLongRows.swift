// Rows that the first cache does not hold are read once, block by block: exponentials are those of the distance from the
// largest element so far, and what has been written is scaled where a later one is more than 1 above it.

/// Elements of a block, and of the shortest row that is cut into some.
private let blockSize = momentBlock
let longRow = 4 * momentBlock

struct SoftmaxLongRows<E: Real>: ParallelTask {
    let rows: SoftmaxRows<E>

    func run(_ index: Int, worker: Int) {
        var (line, end) = rows.work.range(index)
        while line < end {
            let start = line &* rows.work.size
            if !finish(rows.x + start, rows.y + start) { rows.rows(line, line &+ 1) }
            line &+= 1
        }
    }

    /// False where the row rises so often, or begins so low, that finding its largest element first is better.
    @inline(__always) private func finish(_ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>) -> Bool {
        let size = rows.work.size
        let fetch = RowFetch(single: blockSize)
        var base = rowLargest(x, blockSize)
        if !(base > -E.infinity && base < E.infinity) { return false }
        var top = base
        var sum = 0.0
        var rises = 0
        var i = 0
        while i < size {
            let some = Swift.min(blockSize, size &- i)
            let largest = rowLargest(x + i, some)
            if largest > top { top = largest }
            if largest > base + 1 {
                if rises == 2 { return false }
                rises &+= 1
                let factor = E.Lanes.exp(E.Lanes(repeating: base - largest)).largest()
                if !rows.logarithm { rowScale(y, i, factor) }
                sum *= factor.double
                base = largest
            }
            let part =
                rows.logarithm
                ? rowExponentialSum(x + i, y + i, some, base, fetch) : rowExponentials(x + i, y + i, some, base, fetch)
            sum += part.double
            i &+= some
        }
        if rows.logarithm {
            let factor = E.Lanes.exp(E.Lanes(repeating: base - top)).largest()
            rowSubtract(x, y, size, top, logarithm: E(sum) * factor)
        } else {
            rowScale(y, size, E(1 / sum))
        }
        return true
    }
}
