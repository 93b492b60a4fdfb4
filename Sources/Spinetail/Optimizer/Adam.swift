import CSpinetail

@c @implementation
public func spinetail_optimizer_adam(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ squares: Descriptor, _ squareCount: Int, _ largest: Descriptor, _ largestCount: Int,
    _ steps: Descriptor, _ stepCount: Int, _ gradients: Descriptor, _ gradientCount: Int,
    _ lr: Double, _ beta1: Double, _ beta2: Double, _ eps: Double, _ weightDecay: Double, _ flags: Int64
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

    guard let memory = Scratch.take((parameterCount &* 3 &+ 2) &* 8) else { return Status.noMemory }
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
    let decoupled = flags & Int64(SPINETAIL_OPTIMIZER_DECOUPLED) != 0
    let rule = AdamRule(
        p: p, m: m, v: v, top: top, g: g, corrections: corrections, beta1: beta1, beta2: beta2, eps: eps,
        keep: decoupled ? 1 - lr * weightDecay : 1, decay: decoupled ? 0 : weightDecay,
        sign: flags & Int64(SPINETAIL_OPTIMIZER_MAXIMIZE) != 0 ? -1 : 1, stuck: offsets + (parameterCount &+ 1))
    return runStep(p, offsets, streams: top.isEmpty ? 5 : 7, rule)
}

private struct AdamRule: StepRule {
    let p, m, v, top, g: TensorList
    /// For each tensor: lr/(1 - beta1^t) and 1/sqrt(1 - beta2^t).
    let corrections: UnsafePointer<Double>
    let beta1, beta2, eps, keep, decay, sign: Double
    /// The largest average, counted in the smallest number of its type, that rounding holds in its place when its
    /// gradient is zero: (1 - beta1) times it is less than half of that number.
    let stuck: UnsafeMutablePointer<Int>

    init(
        p: TensorList, m: TensorList, v: TensorList, top: TensorList, g: TensorList,
        corrections: UnsafeMutablePointer<Double>, beta1: Double, beta2: Double, eps: Double, keep: Double,
        decay: Double, sign: Double, stuck: UnsafeMutablePointer<Int>
    ) {
        self.p = p
        self.m = m
        self.v = v
        self.top = top
        self.g = g
        self.corrections = UnsafePointer(corrections)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.keep = keep
        self.decay = decay
        self.sign = sign
        self.stuck = stuck
        let share = Swift.max(1 - beta1, Double(Float(1 - beta1)))  // as the kernel of either type has it
        var count = 0
        while count < 4096 && Double(count &+ 1) * share < 0.5 { count &+= 1 }
        stuck.pointee = count
    }

    /// The bound of averages that are left as they are, or 0 where they could be seen in a parameter of at least `floor`.
    @inline(__always) private func resting<E: Real>(_ type: E.Type, _ stepSize: Double, floor: Double) -> E {
        let single = E.dtype == Int32(SPINETAIL_FLOAT32)
        let largest = Double(stuck.pointee) * (single ? 0x1p-149 : 0x1p-1074)
        let visible = floor * (single ? 0x1p-26 : 0x1p-55)
        if !(largest / eps * Swift.abs(stepSize) < visible && keep >= 0.5) { return E(0.0) }
        return UnsafeRawPointer(stuck).loadUnaligned(as: type)  // subnormal numbers count by their bits
    }

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
        let decay = V(repeating: E(self.decay))
        let sign = V(repeating: E(self.sign))
        let decays = self.decay != 0
        // A unit that no longer learns leaves averages that have decayed to the smallest numbers there are and stay
        // there. Arithmetic on those takes a hundred cycles and more, and changes nothing: it is done on zeros.
        let floor = E.dtype == Int32(SPINETAIL_FLOAT32) ? 0x1p-100 : 0x1p-996
        let bound = V(repeating: resting(type, corrections[2 &* tensor], floor: floor))
        let least = V(repeating: E(floor))
        let one = V(repeating: 1)
        let zero = V.zero

        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            var parameter = V.take(p + i, whole, rest)
            var gradient = V.take(g + i, whole, rest) * sign
            if decays { gradient = V.fma(decay, parameter, gradient) }
            let held = V.take(m + i, whole, rest)
            var size = V.select(V.equal(gradient, zero), V.abs(held), one)
            size = V.select(V.lessEqual(least, V.abs(parameter)), size, one)
            let rests = V.lessEqual(size, bound)
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
