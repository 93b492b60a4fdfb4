import CSpinetail

@c @implementation
public func spinetail_optimizer_sgd(
    _ parameters: Descriptor, _ parameterCount: Int, _ buffers: Descriptor, _ bufferCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double, _ momentum: Double, _ dampening: Double,
    _ scale: Double, _ bound: Double, _ l1: Double, _ decay: Double, _ flags: Int64
) -> spinetail_status {
    let p = TensorList(parameters, parameterCount)
    let b = TensorList(buffers, bufferCount)
    let g = TensorList(gradients, gradientCount)
    var status = p.check(1)
    if status == 0 { status = b.check(like: p, optional: true, 2) }
    if status == 0 { status = g.check(like: p, 3) }
    if status != 0 { return status }
    guard let memory = Scratch.take((parameterCount &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let rule = MomentumRule(
        p: p, b: b, g: g, lr: -lr, momentum: momentum, share: 1 - dampening,
        change: GradientChange(scale: scale, bound: bound, l1: l1, decay: decay),
        nesterov: flags & Int64(SPINETAIL_OPTIMIZER_NESTEROV) != 0,
        first: flags & Int64(SPINETAIL_OPTIMIZER_FIRST) != 0, rest: Rest(factor: momentum))
    return runStep(p, memory.assumingMemoryBound(to: Int.self), streams: b.isEmpty ? 2 : 4, rule)
}

private struct MomentumRule: StepRule {
    let p, b, g: TensorList
    let lr, momentum, share: Double
    let change: GradientChange
    let nesterov, first: Bool
    let rest: Rest

    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        typealias V = E.Lanes
        let p = self.p.pointer(tensor, start, type)
        let g = self.g.pointer(tensor, start, type)
        let hasBuffer = !self.b.isEmpty
        let b = hasBuffer ? self.b.pointer(tensor, start, type) : p
        let lr = V(repeating: E(self.lr))
        let momentum = V(repeating: E(self.momentum))
        let share = V(repeating: E(self.share))
        let change = self.change.lanes(V.self)
        let bound = V(repeating: rest.bound(type, reach: self.lr))
        let floor = V(repeating: E(Rest.floor(type)))

        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            let parameter = V.take(p + i, whole, rest)
            var gradient = change.apply(V.take(g + i, whole, rest), parameter)
            if hasBuffer {
                var buffer = gradient
                if first {
                    buffer.put(b + i, whole, rest)
                } else {
                    let held = V.take(b + i, whole, rest)
                    let rests = Rest.lanes(held, gradient: gradient, bound: bound, parameter: parameter, floor: floor)
                    buffer = V.fma(share, gradient, V.select(rests, .zero, held) * momentum)
                    V.select(rests, held, buffer).put(b + i, whole, rest)
                }
                gradient = nesterov ? V.fma(momentum, buffer, gradient) : buffer
            }
            V.fma(lr, gradient, parameter).put(p + i, whole, rest)
            i &+= V.width
        }
    }
}
