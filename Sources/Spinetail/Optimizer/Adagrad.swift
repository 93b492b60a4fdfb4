import CSpinetail

@c @implementation
public func spinetail_optimizer_adagrad(
    _ parameters: Descriptor, _ parameterCount: Int, _ sums: Descriptor, _ sumCount: Int,
    _ steps: Descriptor, _ stepCount: Int, _ gradients: Descriptor, _ gradientCount: Int,
    _ lr: Double, _ lrDecay: Double, _ eps: Double, _ scale: Double, _ bound: Double, _ l1: Double, _ decay: Double
) -> spinetail_status {
    let p = TensorList(parameters, parameterCount)
    let s = TensorList(sums, sumCount)
    let t = TensorList(steps, stepCount)
    let g = TensorList(gradients, gradientCount)
    var status = p.check(1)
    if status == 0 { status = s.check(like: p, 2) }
    if status == 0 { status = t.checkSteps(p, 3) }
    if status == 0 { status = g.check(like: p, 4) }
    if status != 0 { return status }
    guard let memory = Scratch.take((parameterCount &* 2 &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let rates = memory.assumingMemoryBound(to: Double.self)
    var i = 0
    while i < parameterCount {
        rates[i] = -lr / (1 + (t.advance(i) - 1) * lrDecay)
        i &+= 1
    }
    let rule = AdagradRule(
        p: p, s: s, g: g, rates: rates, eps: eps,
        change: GradientChange(scale: scale, bound: bound, l1: l1, decay: decay))
    return runStep(p, (memory + parameterCount &* 8).assumingMemoryBound(to: Int.self), streams: 4, rule)
}

private struct AdagradRule: StepRule {
    let p, s, g: TensorList
    let rates: UnsafeMutablePointer<Double>
    let eps: Double
    let change: GradientChange

    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        typealias V = E.Lanes
        let p = self.p.pointer(tensor, start, type)
        let s = self.s.pointer(tensor, start, type)
        let g = self.g.pointer(tensor, start, type)
        let rate = V(repeating: E(rates[tensor]))
        let eps = V(repeating: E(self.eps))
        let change = self.change.lanes(V.self)

        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            let parameter = V.take(p + i, whole, rest)
            let gradient = change.apply(V.take(g + i, whole, rest), parameter)
            let sum = V.fma(gradient, gradient, V.take(s + i, whole, rest))
            sum.put(s + i, whole, rest)
            V.fma(rate, gradient / (V.sqrt(sum) + eps), parameter).put(p + i, whole, rest)
            i &+= V.width
        }
    }
}
