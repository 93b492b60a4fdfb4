import CSpinetail

@c @implementation
public func spinetail_optimizer_power_sums(
    _ totals: Descriptor, _ gradients: Descriptor, _ gradientCount: Int, _ order: Double
) -> spinetail_status {
    let g = TensorList(gradients, gradientCount)
    if !totals.holds(Double.self) { return Status.dtype(1) }
    if !totals.hasShape(gradientCount) { return Status.shape(1) }
    if !totals.isContiguous { return Status.layout(1) }
    if !(order > 0) { return Status.parameter(3) }
    let status = g.check(2)
    if status != 0 { return status }
    guard let result = totals.pointer(Double.self) else { return Status.ok }

    // One partial result for each piece of each tensor, so that nothing depends on who computes what.
    guard let memory = Scratch.take((gradientCount &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let pieces = TensorPieces(g, memory.assumingMemoryBound(to: Int.self))
    guard let partials = Scratch.take(pieces.count &* 8) else { return Status.noMemory }
    defer { Scratch.give(partials) }
    let partial = partials.assumingMemoryBound(to: Double.self)
    let done = parallel(
        pieces.count, cost: pieces.elements / 8, PowerSum(g: g, pieces: pieces, partial: partial, order: order))
    if done != 0 { return done }
    let largest = order == Double.infinity
    var i = 0
    while i < gradientCount {
        var sum = 0.0
        var piece = pieces.first[i]
        while piece < pieces.first[i &+ 1] {
            let value = partial[piece]
            // A NaN, once there, stays: no comparison with it holds.
            if !largest { sum += value } else if !(value <= sum) && !sum.isNaN { sum = value }
            piece &+= 1
        }
        result[i] = sum
        i &+= 1
    }
    return Status.ok
}

private struct PowerSum: ParallelTask {
    let g: TensorList
    let pieces: TensorPieces
    let partial: UnsafeMutablePointer<Double>
    let order: Double

    func run(_ index: Int, worker: Int) {
        let (tensor, start, count) = pieces.piece(index)
        partial[index] =
            (g.arrays + tensor).holds(Float.self)
            ? total(g.pointer(tensor, start, Float.self), count) : total(g.pointer(tensor, start, Double.self), count)
    }

    private func total<E: Real>(_ g: UnsafePointer<E>, _ count: Int) -> Double {
        typealias V = E.Lanes
        let isLargest = order == Double.infinity
        if order != 2 && order != 1 && !isLargest {
            var sum = 0.0
            var i = 0
            while i < count {
                sum += pow(abs(g[i].double), order)
                i &+= 1
            }
            return sum
        }
        var low = DoubleLanes(repeating: 0)
        var high = DoubleLanes(repeating: 0)
        var i = 0
        while i < count {
            let rest = count &- i
            let value = V.abs(V.take(g + i, rest >= V.width, rest))
            let a = value.low
            let b = value.high
            if isLargest {
                // The larger value on the right wins over NaN nowhere: NaN is added back below.
                low = DoubleLanes.max(low, a)
                high = DoubleLanes.max(high, b)
            } else if order == 2 {
                low = DoubleLanes.fma(a, a, low)
                high = DoubleLanes.fma(b, b, high)
            } else {
                low = low + a
                high = high + b
            }
            i &+= V.width
        }
        if !isLargest { return (low + high).sum() }
        return largestOrNaN(g, count, Swift.max(low.largest(), high.largest()))
    }

    /// max(NaN, x) keeps x in vector code, so a second look decides whether there was one.
    private func largestOrNaN<E: Real>(_ g: UnsafePointer<E>, _ count: Int, _ found: Double) -> Double {
        var i = 0
        while i < count {
            if g[i].isNaN { return .nan }
            i &+= 1
        }
        return found
    }
}

@c @implementation
public func spinetail_optimizer_scale(_ gradients: Descriptor, _ count: Int, _ factor: Double) -> spinetail_status {
    let g = TensorList(gradients, count)
    let status = g.check(1)
    if status != 0 { return status }
    guard let memory = Scratch.take((count &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    return runStep(g, memory.assumingMemoryBound(to: Int.self), streams: 2, ScaleRule(g: g, factor: factor))
}

private struct ScaleRule: StepRule {
    let g: TensorList
    let factor: Double
    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        typealias V = E.Lanes
        let g = self.g.pointer(tensor, start, type)
        let factor = V(repeating: E(self.factor))
        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            (V.take(g + i, whole, rest) * factor).put(g + i, whole, rest)
            i &+= V.width
        }
    }
}

@c @implementation
public func spinetail_optimizer_clamp(
    _ gradients: Descriptor, _ count: Int, _ low: Double, _ high: Double
) -> spinetail_status {
    let g = TensorList(gradients, count)
    let status = g.check(1)
    if status != 0 { return status }
    guard let memory = Scratch.take((count &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    return runStep(g, memory.assumingMemoryBound(to: Int.self), streams: 2, ClampRule(g: g, low: low, high: high))
}

private struct ClampRule: StepRule {
    let g: TensorList
    let low, high: Double
    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        typealias V = E.Lanes
        let g = self.g.pointer(tensor, start, type)
        let low = V(repeating: E(self.low))
        let high = V(repeating: E(self.high))
        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            // min and max give their second argument where one is NaN.
            V.min(high, V.max(low, V.take(g + i, whole, rest))).put(g + i, whole, rest)
            i &+= V.width
        }
    }
}
