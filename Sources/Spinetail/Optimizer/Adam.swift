import CSpinetail

@c @implementation
public func spinetail_optimizer_adam(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ squares: Descriptor, _ squareCount: Int, _ largest: Descriptor, _ largestCount: Int,
    _ steps: Descriptor, _ stepCount: Int, _ gradients: Descriptor, _ gradientCount: Int,
    _ lr: Double, _ beta1: Double, _ beta2: Double, _ eps: Double, _ scale: Double, _ bound: Double, _ l1: Double,
    _ decay: Double, _ flags: Int64
) -> spinetail_status {
    let p = TensorList(parameters, parameterCount)
    let m = TensorList(averages, averageCount)
    let v = TensorList(squares, squareCount)
    let top = TensorList(largest, largestCount)
    let t = TensorList(steps, stepCount)
    let g = TensorList(gradients, gradientCount)
    var status = p.check(1)
    if status == 0 { status = m.check(like: p, 2) }
    if status == 0 { status = v.check(like: p, 3) }
    if status == 0 { status = top.check(like: p, optional: true, 4) }
    if status == 0 { status = t.checkSteps(p, 5) }
    if status == 0 { status = g.check(like: p, 6) }
    if status != 0 { return status }

    guard let memory = Scratch.take((parameterCount &* 3 &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let corrections = memory.assumingMemoryBound(to: Double.self)
    var lastStep = -1.0
    var stepSize = 0.0
    var rootScale = 0.0
    var i = 0
    while i < parameterCount {
        let step = t.advance(i)
        if step != lastStep {
            lastStep = step
            stepSize = lr / (1 - pow(beta1, step))
            rootScale = 1 / (1 - pow(beta2, step)).squareRoot()
        }
        corrections[2 &* i] = stepSize
        corrections[2 &* i &+ 1] = rootScale
        i &+= 1
    }
    let offsets = (memory + parameterCount &* 16).assumingMemoryBound(to: Int.self)
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: decay)
    let rule = AdamRule(
        p: p, m: m, v: v, top: top, g: g, corrections: UnsafePointer(corrections), beta1: beta1, beta2: beta2, eps: eps,
        keep: change.keep(lr, flags), change: change.decoupled(flags), rest: Rest(factor: beta1))
    return runStep(p, offsets, streams: top.isEmpty ? 5 : 7, rule)
}

private struct AdamRule: StepRule {
    let p, m, v, top, g: TensorList
    /// For each tensor: lr/(1 - beta1^t) and 1/sqrt(1 - beta2^t).
    let corrections: UnsafePointer<Double>
    let beta1, beta2, eps, keep: Double
    let change: GradientChange
    let rest: Rest

    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        typealias V = E.Lanes
        let p = self.p.pointer(tensor, start, type)
        let m = self.m.pointer(tensor, start, type)
        let v = self.v.pointer(tensor, start, type)
        let g = self.g.pointer(tensor, start, type)
        let amsgrad = !self.top.isEmpty
        let top = amsgrad ? self.top.pointer(tensor, start, type) : p
        let stepSize = V(repeating: E(-corrections[2 &* tensor]))
        let rootScale = V(repeating: E(corrections[2 &* tensor &+ 1]))
        let newShare = V(repeating: E(1 - beta1))
        let beta2 = V(repeating: E(self.beta2))
        let newSquare = V(repeating: E(1 - self.beta2))
        let eps = V(repeating: E(self.eps))
        let keep = V(repeating: E(self.keep))
        let change = self.change.lanes(V.self)
        let reach = self.keep >= 0.5 ? corrections[2 &* tensor] / self.eps : .infinity
        let bound = V(repeating: rest.bound(type, reach: reach))
        let floor = V(repeating: E(Rest.floor(type)))
        let zero = V.zero

        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            var parameter = V.take(p + i, whole, rest)
            let gradient = change.apply(V.take(g + i, whole, rest), parameter)
            let held = V.take(m + i, whole, rest)
            let rests = Rest.lanes(held, gradient: gradient, bound: bound, parameter: parameter, floor: floor)
            let oldAverage = V.select(rests, zero, held)
            let average = V.fma(newShare, gradient - oldAverage, oldAverage)
            let square = V.fma(gradient * newSquare, gradient, V.take(v + i, whole, rest) * beta2)
            V.select(rests, held, average).put(m + i, whole, rest)
            square.put(v + i, whole, rest)
            var root = square
            if amsgrad {
                root = V.max(V.take(top + i, whole, rest), square)
                root.put(top + i, whole, rest)
            }
            let denominator = V.fma(V.sqrt(root), rootScale, eps)
            parameter = V.fma(stepSize, average / denominator, parameter * keep)
            parameter.put(p + i, whole, rest)
            i &+= V.width
        }
    }
}
