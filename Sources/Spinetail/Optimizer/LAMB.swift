import CSpinetail

@c @implementation
public func spinetail_optimizer_lamb(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ squares: Descriptor, _ squareCount: Int, _ steps: Descriptor, _ stepCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double, _ beta1: Double, _ beta2: Double, _ eps: Double,
    _ mostTrust: Double, _ scale: Double, _ bound: Double, _ l1: Double, _ decay: Double
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(averages, averageCount),
        second: TensorList(squares, squareCount), steps: TensorList(steps, stepCount),
        g: TensorList(gradients, gradientCount))
    let status = lists.check()
    if status != 0 { return status }
    let count = parameterCount
    guard let memory = Scratch.take((count &* 4 &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let numbers = memory.assumingMemoryBound(to: Double.self)
    let pieces = TensorPieces(lists.p, (memory + count &* 24).assumingMemoryBound(to: Int.self))
    guard let partials = Scratch.take(pieces.count &* 16) else { return Status.noMemory }
    defer { Scratch.give(partials) }
    var i = 0
    while i < count {
        let step = lists.steps.advance(i)
        numbers[3 &* i] = 1 / (1 - pow(beta1, step))
        numbers[3 &* i &+ 1] = 1 / (1 - pow(beta2, step)).squareRoot()
        i &+= 1
    }
    let rule = LAMB(
        lists: lists, pieces: pieces, numbers: numbers, partial: partials.assumingMemoryBound(to: Double.self),
        beta1: beta1, beta2: beta2, eps: eps, decay: decay,
        change: GradientChange(scale: scale, bound: bound, l1: l1, decay: 0))
    let done = parallel(pieces.count, cost: pieces.elements &* 3 / 4, LAMBMoments(rule: rule))
    if done != 0 { return done }
    i = 0
    while i < count {
        numbers[3 &* i &+ 2] = lr * rule.trust(i, most: mostTrust)
        i &+= 1
    }
    return parallel(pieces.count, cost: pieces.elements / 2, LAMBUpdate(rule: rule))
}

/// A step's direction is Adam's with the decay; its length is the parameter's own, times the rate.
private struct LAMB {
    let lists: StepLists
    let pieces: TensorPieces
    /// For each tensor: the two corrections and, after the first pass, its rate.
    let numbers: UnsafeMutablePointer<Double>
    /// For each piece: the sums of squares of parameters and of directions.
    let partial: UnsafeMutablePointer<Double>
    let beta1, beta2, eps, decay: Double
    let change: GradientChange

    /// The norm of a tensor over the norm of its direction; 1 where either is 0.
    func trust(_ tensor: Int, most: Double) -> Double {
        var sizes = 0.0
        var directions = 0.0
        var piece = pieces.first[tensor]
        while piece < pieces.first[tensor &+ 1] {
            sizes += partial[2 &* piece]
            directions += partial[2 &* piece &+ 1]
            piece &+= 1
        }
        if sizes == 0 || directions == 0 { return 1 }
        return Swift.min((sizes / directions).squareRoot(), most)
    }

    @inline(__always) func moments<E: Real>(_ type: E.Type, _ index: Int) {
        typealias V = E.Lanes
        let (tensor, start, count) = pieces.piece(index)
        let p = lists.p.pointer(tensor, start, type)
        let m = lists.first.pointer(tensor, start, type)
        let v = lists.second.pointer(tensor, start, type)
        let g = lists.g.pointer(tensor, start, type)
        let direction = LAMBDirection<V>(self, tensor)
        let share = V(repeating: E(1 - beta1))
        let beta2 = V(repeating: E(self.beta2))
        let newSquare = V(repeating: E(1 - self.beta2))
        let change = self.change.lanes(V.self)
        var sizes = DoubleLanes(repeating: 0)
        var directions = DoubleLanes(repeating: 0)
        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            let parameter = V.take(p + i, whole, rest)
            let gradient = change.apply(V.take(g + i, whole, rest), parameter)
            let old = V.take(m + i, whole, rest)
            let average = V.fma(share, gradient - old, old)
            let square = V.fma(gradient * newSquare, gradient, V.take(v + i, whole, rest) * beta2)
            average.put(m + i, whole, rest)
            square.put(v + i, whole, rest)
            let r = direction.make(parameter, average, square)
            sizes = DoubleLanes.fma(parameter.low, parameter.low, sizes)
            sizes = DoubleLanes.fma(parameter.high, parameter.high, sizes)
            directions = DoubleLanes.fma(r.low, r.low, directions)
            directions = DoubleLanes.fma(r.high, r.high, directions)
            i &+= V.width
        }
        partial[2 &* index] = sizes.sum()
        partial[2 &* index &+ 1] = directions.sum()
    }

    @inline(__always) func update<E: Real>(_ type: E.Type, _ index: Int) {
        typealias V = E.Lanes
        let (tensor, start, count) = pieces.piece(index)
        let p = lists.p.pointer(tensor, start, type)
        let m = lists.first.pointer(tensor, start, type)
        let v = lists.second.pointer(tensor, start, type)
        let direction = LAMBDirection<V>(self, tensor)
        let rate = V(repeating: E(-numbers[3 &* tensor &+ 2]))
        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            let parameter = V.take(p + i, whole, rest)
            let r = direction.make(parameter, V.take(m + i, whole, rest), V.take(v + i, whole, rest))
            V.fma(rate, r, parameter).put(p + i, whole, rest)
            i &+= V.width
        }
    }

    func isSingle(_ index: Int) -> Bool { (lists.p.arrays + pieces.piece(index).tensor).holds(Float.self) }
}

private struct LAMBDirection<V: Lanes> {
    let averageScale, rootScale, eps, decay: V

    @inline(__always) init(_ rule: LAMB, _ tensor: Int) {
        averageScale = V(repeating: V.Scalar(rule.numbers[3 &* tensor]))
        rootScale = V(repeating: V.Scalar(rule.numbers[3 &* tensor &+ 1]))
        eps = V(repeating: V.Scalar(rule.eps))
        decay = V(repeating: V.Scalar(rule.decay))
    }

    @inline(__always) func make(_ parameter: V, _ average: V, _ square: V) -> V {
        V.fma(decay, parameter, average * averageScale / V.fma(V.sqrt(square), rootScale, eps))
    }
}

private struct LAMBMoments: ParallelTask {
    let rule: LAMB
    func run(_ index: Int, worker: Int) {
        if rule.isSingle(index) { rule.moments(Float.self, index) } else { rule.moments(Double.self, index) }
    }
}

private struct LAMBUpdate: ParallelTask {
    let rule: LAMB
    func run(_ index: Int, worker: Int) {
        if rule.isSingle(index) { rule.update(Float.self, index) } else { rule.update(Double.self, index) }
    }
}
