import CSpinetail

// Batch norm of (batch, channels): neighbours in memory are different channels, so a vector holds channels.

/// Rows whose sums are made in the lanes' own precision before they go to float64.
private let rowBlock = 256

/// Pieces of `vectorsAtOnce` vectors of channels each.
@inline(__always) func columnPieces<E: Real>(_ type: E.Type, _ columns: Int) -> Int {
    (columns &+ pieceWidth(type) &- 1) / pieceWidth(type)
}

@inline(__always) private func pieceWidth<E: Real>(_ type: E.Type) -> Int { 4 &* E.Lanes.width }

/// Statistics and output of some channels.
struct ColumnsForward<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let statistics: Statistics<E>
    let weight, bias: UnsafeMutablePointer<E>?
    let rows, columns: Int

    func run(_ index: Int, worker: Int) {
        var column = index &* pieceWidth(E.self)
        let end = Swift.min(columns, column &+ pieceWidth(E.self))
        while column < end {
            gather(column)
            column &+= E.Lanes.width
        }
        let apply = ColumnsApply(
            y: y, x: x, mean: statistics.mean, scale: statistics.scale, weight: weight, bias: bias, rows: rows,
            columns: columns)
        apply.run(index, worker: worker)
    }

    @inline(__always) private func gather(_ column: Int) {
        typealias V = E.Lanes
        let rest = columns &- column
        let whole = rest >= V.width
        var low = LaneMoments()
        var high = LaneMoments()
        var row = 0
        while row < rows {
            let end = Swift.min(rows, row &+ rowBlock)
            let p = x + column
            var total = V.zero
            var i = row
            while i < end {
                total = total + V.take(p + i &* columns, whole, rest)
                i &+= 1
            }
            let guess = total * V(repeating: E(1 / Double(end &- row)))
            var first = V.zero
            var second = V.zero
            i = row
            while i < end {
                let d = V.take(p + i &* columns, whole, rest) - guess
                first = first + d
                second = V.fma(d, d, second)
                i &+= 1
            }
            low.merge(Double(end &- row), guess.low, first.low, second.low)
            high.merge(Double(end &- row), guess.high, first.high, second.high)
            row = end
        }
        var lane = 0
        let halfWidth = DoubleLanes.width
        while lane < Swift.min(rest, V.width) {
            let moments = lane < halfWidth ? low.lane(lane) : high.lane(lane &- halfWidth)
            statistics.save(column &+ lane, moments)
            lane &+= 1
        }
    }
}

/// Moments of several channels at once, in float64.
private struct LaneMoments {
    var count = 0.0
    var mean = DoubleLanes(repeating: 0)
    var spread = DoubleLanes(repeating: 0)

    /// Adds `more` numbers: guess + first/more is their mean, and second the sum of squares around guess.
    @inline(__always)
    mutating func merge(_ more: Double, _ guess: DoubleLanes, _ first: DoubleLanes, _ second: DoubleLanes) {
        let total = count + more
        let shift = first * DoubleLanes(repeating: 1 / more)
        let delta = guess + shift - mean
        mean = mean + delta * DoubleLanes(repeating: more / total)
        spread = spread + second - shift * first + delta * delta * DoubleLanes(repeating: count * more / total)
        count = total
    }

    @inline(__always) func lane(_ index: Int) -> Moments {
        var moments = Moments()
        moments.count = count
        moments.mean = DoubleLanes.element(mean, index)
        moments.spread = DoubleLanes.element(spread, index)
        return moments
    }
}

extension DoubleLanes {
    @inline(__always) static func element(_ lanes: Self, _ index: Int) -> Double {
        spinetail_element_f64(lanes, Int64(truncatingIfNeeded: index))
    }
}

/// y = (x - mean)·scale·weight + bias for some channels.
struct ColumnsApply<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let mean, scale: UnsafeMutablePointer<E>
    let weight, bias: UnsafeMutablePointer<E>?
    let rows, columns: Int

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        var column = index &* pieceWidth(E.self)
        let end = Swift.min(columns, column &+ pieceWidth(E.self))
        while column < end {
            let rest = columns &- column
            let whole = rest >= V.width
            let middle = V.take(mean + column, whole, rest)
            var factor = V.take(scale + column, whole, rest)
            if let weight { factor = factor * V.take(weight + column, whole, rest) }
            var shift = V.zero
            if let bias { shift = V.take(bias + column, whole, rest) }
            var place = column
            var row = 0
            while row < rows {
                V.fma(V.take(x + place, whole, rest) - middle, factor, shift).put(y + place, whole, rest)
                place &+= columns
                row &+= 1
            }
            column &+= V.width
        }
    }
}

/// The gradients of some channels.
struct ColumnsBackward<E: Real>: ParallelTask {
    let of: ChannelGradient<E>
    init(of gradient: ChannelGradient<E>) { of = gradient }

    func run(_ index: Int, worker: Int) {
        var column = index &* pieceWidth(E.self)
        let end = Swift.min(of.channels, column &+ pieceWidth(E.self))
        while column < end {
            one(column)
            column &+= E.Lanes.width
        }
    }

    @inline(__always) private func one(_ column: Int) {
        typealias V = E.Lanes
        let rest = of.channels &- column
        let whole = rest >= V.width
        let mean = V.take(of.mean + column, whole, rest)
        let scale = V.take(of.scale + column, whole, rest)
        var totalLow = DoubleLanes(repeating: 0)
        var totalHigh = DoubleLanes(repeating: 0)
        var productLow = DoubleLanes(repeating: 0)
        var productHigh = DoubleLanes(repeating: 0)
        var row = 0
        while row < of.batch {
            let end = Swift.min(of.batch, row &+ rowBlock)
            var a = V.zero
            var b = V.zero
            while row < end {
                let place = row &* of.channels &+ column
                let g = V.take(of.g + place, whole, rest)
                a = a + g
                b = V.fma(g, V.take(of.x + place, whole, rest) - mean, b)
                row &+= 1
            }
            totalLow = totalLow + a.low
            totalHigh = totalHigh + a.high
            productLow = productLow + b.low
            productHigh = productHigh + b.high
        }
        let total = V.narrow(totalLow, totalHigh)
        let product = V.narrow(productLow, productHigh)
        if let dweight = of.dweight { (product * scale).put(dweight + column, whole, rest) }
        if let dbias = of.dbias { total.put(dbias + column, whole, rest) }
        guard let dx = of.dx else { return }
        var factor = scale
        if let weight = of.weight { factor = scale * V.take(weight + column, whole, rest) }
        let share = V(repeating: of.training ? E(-1 / Double(of.batch)) : 0) * factor
        let slope = share * scale * scale * product
        let offset = share * total
        row = 0
        while row < of.batch {
            let place = row &* of.channels &+ column
            let deviation = V.take(of.x + place, whole, rest) - mean
            let g = V.take(of.g + place, whole, rest)
            V.fma(g, factor, V.fma(deviation, slope, offset)).put(dx + place, whole, rest)
            row &+= 1
        }
    }
}
