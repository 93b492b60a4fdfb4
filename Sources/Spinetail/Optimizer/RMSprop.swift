import CSpinetail

@c @implementation
public func spinetail_optimizer_rmsprop(
    _ parameters: Descriptor, _ parameterCount: Int, _ squares: Descriptor, _ squareCount: Int,
    _ averages: Descriptor, _ averageCount: Int, _ buffers: Descriptor, _ bufferCount: Int,
    _ steps: Descriptor, _ stepCount: Int, _ gradients: Descriptor, _ gradientCount: Int,
    _ lr: Double, _ alpha: Double, _ eps: Double, _ momentum: Double, _ scale: Double, _ bound: Double, _ l1: Double,
    _ decay: Double
) -> spinetail_status {
    let p = TensorList(parameters, parameterCount)
    let v = TensorList(squares, squareCount)
    let m = TensorList(averages, averageCount)
    let b = TensorList(buffers, bufferCount)
    let t = TensorList(steps, stepCount)
    let g = TensorList(gradients, gradientCount)
    var status = p.check(1)
    if status == 0 { status = v.check(like: p, 2) }
    if status == 0 { status = m.check(like: p, optional: true, 3) }
    if status == 0 { status = b.check(like: p, optional: true, 4) }
    if status == 0 { status = t.checkSteps(p, 5) }
    if status == 0 { status = g.check(like: p, 6) }
    if status != 0 { return status }
    guard let memory = Scratch.take((parameterCount &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    var i = 0
    while i < parameterCount {
        _ = t.advance(i)
        i &+= 1
    }
    let rule = RMSpropRule(
        p: p, v: v, m: m, b: b, g: g, lr: -lr, alpha: alpha, eps: eps, momentum: momentum,
        change: GradientChange(scale: scale, bound: bound, l1: l1, decay: decay), rest: Rest(factor: alpha),
        bufferRest: Rest(factor: momentum))
    let streams = 4 &+ (m.isEmpty ? 0 : 2) &+ (b.isEmpty ? 0 : 2)
    return runStep(p, memory.assumingMemoryBound(to: Int.self), streams: streams, rule)
}

private struct RMSpropRule: StepRule {
    let p, v, m, b, g: TensorList
    let lr, alpha, eps, momentum: Double
    let change: GradientChange
    let rest, bufferRest: Rest

    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        typealias V = E.Lanes
        let p = self.p.pointer(tensor, start, type)
        let v = self.v.pointer(tensor, start, type)
        let g = self.g.pointer(tensor, start, type)
        let centered = !self.m.isEmpty
        let hasBuffer = !self.b.isEmpty
        let m = centered ? self.m.pointer(tensor, start, type) : p
        let b = hasBuffer ? self.b.pointer(tensor, start, type) : p
        let lr = V(repeating: E(self.lr))
        let alpha = V(repeating: E(self.alpha))
        let share = V(repeating: E(1 - self.alpha))
        let eps = V(repeating: E(self.eps))
        let momentum = V(repeating: E(self.momentum))
        let change = self.change.lanes(V.self)
        // Without a gradient all that counts of the averages is that they leave no 0 to divide by.
        let bound = V(repeating: self.eps > 0 ? rest.bound(type, reach: 0) : E(0.0))
        let bufferBound = V(repeating: bufferRest.bound(type, reach: self.lr))
        let floor = V(repeating: E(Rest.floor(type)))

        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            let parameter = V.take(p + i, whole, rest)
            let gradient = change.apply(V.take(g + i, whole, rest), parameter)
            let held = V.take(v + i, whole, rest)
            var rests = Rest.lanes(held, gradient: gradient, bound: bound)
            let old = centered ? V.take(m + i, whole, rest) : .zero
            let oldRests = Rest.lanes(old, gradient: gradient, bound: bound)
            if centered {  // a square that rests beside a mean that does not would leave a negative variance
                rests = Rest.lanes(V.select(oldRests, held, .one), gradient: gradient, bound: bound)
            }
            let square = V.fma(gradient * share, gradient, V.select(rests, .zero, held) * alpha)
            V.select(rests, held, square).put(v + i, whole, rest)
            var variance = square
            if centered {
                let start = V.select(oldRests, .zero, old)
                let average = V.fma(share, gradient - start, start)
                V.select(oldRests, old, average).put(m + i, whole, rest)
                // Not fused: like the plain formula, it is exactly zero for a gradient that never changes sign or size.
                variance = square - average * average
            }
            var update = gradient / (V.sqrt(variance) + eps)
            if hasBuffer {
                let held = V.take(b + i, whole, rest)
                let rests = Rest.lanes(held, gradient: update, bound: bufferBound, parameter: parameter, floor: floor)
                update = V.fma(V.select(rests, .zero, held), momentum, update)
                V.select(rests, held, update).put(b + i, whole, rest)
            }
            V.fma(lr, update, parameter).put(p + i, whole, rest)
            i &+= V.width
        }
    }
}
