import CSpinetail

/// An elementwise function and its gradient. The functions are types, so that any kernel (the loops of this folder, the
/// epilogue of a matrix product) can be generic over them and have them inlined.
protocol Activation {
    /// f(x). `alpha` and `beta` are the parameters of the functions that have some.
    static func value<L: Lanes>(_ x: L, _ alpha: L, _ beta: L) -> L
    /// The same of four vectors, where that is more than each of them.
    static func values<L: Lanes>(_ x: Strip<L>, _ alpha: L, _ beta: L) -> Strip<L>
    static var takesStrips: Bool { get }
    /// grad · f', from the function's output where `savesOutput`, else from its input.
    static func gradient<L: Lanes>(_ grad: L, _ saved: L, _ alpha: L, _ beta: L) -> L
    /// Picoseconds for one float32 element whose memory is in the second cache, roughly: decides when threads pay.
    static var cost: Int { get }
    static var gradientCost: Int { get }
}

extension Activation {
    @inline(__always) static func values<L: Lanes>(_ x: Strip<L>, _ alpha: L, _ beta: L) -> Strip<L> { x }
    @inline(__always) static var takesStrips: Bool { false }
    /// What a few operations on two inputs cost.
    static var gradientCost: Int { 150 }
}

/// Elements that one piece of elementwise work covers.
let elementwiseGrain = 16_384

/// Bytes from an element to those that are asked for meanwhile: the processor itself looks ahead only within a page.
let elementwiseAhead = 4096

@c @implementation
public func spinetail_activation_forward(
    _ output: Descriptor, _ input: Descriptor, _ function: Int64, _ alpha: Double, _ beta: Double
) -> spinetail_status {
    if output.dtype != input.dtype { return Status.dtype(1) }
    if !output.hasShape(of: input) { return Status.shape(1) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    if input.holds(Float.self) {
        return select(function, Forward<Float>(output, input, alpha, beta))
    }
    if input.holds(Double.self) {
        return select(function, Forward<Double>(output, input, alpha, beta))
    }
    return Status.dtype(2)
}

@c @implementation
public func spinetail_activation_backward(
    _ dinput: Descriptor, _ doutput: Descriptor, _ saved: Descriptor, _ function: Int64, _ alpha: Double,
    _ beta: Double
) -> spinetail_status {
    if dinput.dtype != saved.dtype { return Status.dtype(1) }
    if doutput.dtype != saved.dtype { return Status.dtype(2) }
    if !dinput.hasShape(of: saved) { return Status.shape(1) }
    if !doutput.hasShape(of: saved) { return Status.shape(2) }
    if !dinput.isContiguous { return Status.layout(1) }
    if !doutput.isContiguous { return Status.layout(2) }
    if !saved.isContiguous { return Status.layout(3) }
    if saved.holds(Float.self) {
        return select(function, Backward<Float>(dinput, doutput, saved, alpha, beta))
    }
    if saved.holds(Double.self) {
        return select(function, Backward<Double>(dinput, doutput, saved, alpha, beta))
    }
    return Status.dtype(3)
}

/// Something to do once the function code has become a type.
private protocol Selection {
    func run<F: Activation>(_ function: F.Type) -> Int32
}

@inline(__always) private func select<S: Selection>(_ function: Int64, _ action: S) -> Int32 {
    switch Int(truncatingIfNeeded: function) {
    case Int(SPINETAIL_IDENTITY): return action.run(Identity.self)
    case Int(SPINETAIL_RELU): return action.run(Relu.self)
    case Int(SPINETAIL_LEAKY_RELU): return action.run(LeakyRelu.self)
    case Int(SPINETAIL_ELU): return action.run(Elu.self)
    case Int(SPINETAIL_SELU): return action.run(Selu.self)
    case Int(SPINETAIL_GELU): return action.run(Gelu.self)
    case Int(SPINETAIL_GELU_TANH): return action.run(GeluTanh.self)
    case Int(SPINETAIL_SILU): return action.run(Silu.self)
    case Int(SPINETAIL_MISH): return action.run(Mish.self)
    case Int(SPINETAIL_SIGMOID): return action.run(Sigmoid.self)
    case Int(SPINETAIL_LOGSIGMOID): return action.run(LogSigmoid.self)
    case Int(SPINETAIL_TANH): return action.run(Tanh.self)
    case Int(SPINETAIL_SOFTPLUS): return action.run(Softplus.self)
    case Int(SPINETAIL_SOFTSIGN): return action.run(Softsign.self)
    case Int(SPINETAIL_HARDTANH): return action.run(Hardtanh.self)
    case Int(SPINETAIL_HARDSIGMOID): return action.run(Hardsigmoid.self)
    case Int(SPINETAIL_HARDSWISH): return action.run(Hardswish.self)
    case Int(SPINETAIL_TANHSHRINK): return action.run(Tanhshrink.self)
    case Int(SPINETAIL_SOFTSHRINK): return action.run(Softshrink.self)
    case Int(SPINETAIL_HARDSHRINK): return action.run(Hardshrink.self)
    case Int(SPINETAIL_THRESHOLD): return action.run(Threshold.self)
    case Int(SPINETAIL_EXP): return action.run(Exp.self)
    case Int(SPINETAIL_EXPM1): return action.run(Expm1.self)
    case Int(SPINETAIL_LOG): return action.run(Log.self)
    case Int(SPINETAIL_LOG1P): return action.run(Log1p.self)
    case Int(SPINETAIL_ERF): return action.run(Erf.self)
    case Int(SPINETAIL_SIN): return action.run(Sine.self)
    case Int(SPINETAIL_COS): return action.run(Cosine.self)
    case Int(SPINETAIL_RSQRT): return action.run(InverseRoot.self)
    default: return Status.parameter(0)
    }
}

private struct Forward<E: Real>: Selection {
    let y: UnsafeMutablePointer<E>?
    let x: UnsafeMutablePointer<E>?
    let count: Int
    let alpha: E
    let beta: E

    @inline(__always) init(_ output: Descriptor, _ input: Descriptor, _ alpha: Double, _ beta: Double) {
        y = output.pointer(E.self)
        x = input.pointer(E.self)
        count = input.count
        self.alpha = E(alpha)
        self.beta = E(beta)
    }

    @inline(__always) func run<F: Activation>(_ function: F.Type) -> Int32 {
        guard let y, let x else { return Status.ok }
        let task = ForwardTask<E, F>(y: y, x: UnsafePointer(x), count: count, alpha: alpha, beta: beta)
        return parallel(
            pieces(count, elementwiseGrain), cost: elementwiseCost(count, of: E.self, F.cost, arrays: 2), task)
    }
}

private struct Backward<E: Real>: Selection {
    let dx: UnsafeMutablePointer<E>?
    let dy: UnsafeMutablePointer<E>?
    let saved: UnsafeMutablePointer<E>?
    let count: Int
    let alpha: E
    let beta: E

    @inline(__always) init(
        _ dinput: Descriptor, _ doutput: Descriptor, _ saved: Descriptor, _ alpha: Double, _ beta: Double
    ) {
        dx = dinput.pointer(E.self)
        dy = doutput.pointer(E.self)
        self.saved = saved.pointer(E.self)
        count = saved.count
        self.alpha = E(alpha)
        self.beta = E(beta)
    }

    @inline(__always) func run<F: Activation>(_ function: F.Type) -> Int32 {
        guard let dx, let dy, let saved else { return Status.ok }
        let task = BackwardTask<E, F>(
            dx: dx, dy: UnsafePointer(dy), saved: UnsafePointer(saved), count: count, alpha: alpha, beta: beta)
        return parallel(
            pieces(count, elementwiseGrain), cost: elementwiseCost(count, of: E.self, F.gradientCost, arrays: 3), task)
    }
}

/// Nanoseconds for `count` elements; wider elements take longer in proportion, and arrays that the caches of one core do
/// not hold take some 30 ps for each byte.
@inline(__always)
func elementwiseCost<E: Real>(_ count: Int, of type: E.Type, _ picoseconds: Int, arrays: Int) -> Int {
    let bytes = arrays &* MemoryLayout<E>.size
    let time = picoseconds &* (MemoryLayout<E>.size >> 2)
    return (count >> 10) &* (count &* bytes > 1_048_576 ? Swift.max(time, 30 &* bytes) : time)
}

private struct ForwardTask<E: Real, F: Activation>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let count: Int
    let alpha: E
    let beta: E

    func run(_ index: Int, worker: Int) {
        let alpha = E.Lanes(repeating: alpha), beta = E.Lanes(repeating: beta)
        var i = index &* elementwiseGrain
        let end = Swift.min(count, i &+ elementwiseGrain)
        if F.takesStrips {
            while i &+ Strip<E.Lanes>.width <= end {
                Strip<E.Lanes>.fetch(x + (i &+ elementwiseAhead / MemoryLayout<E>.size))
                F.values(Strip<E.Lanes>.load(x + i), alpha, beta).store(y + i)
                i &+= Strip<E.Lanes>.width
            }
        }
        while i &+ E.Lanes.width <= end {
            spinetail_prefetch(UnsafeRawPointer(x + i) + elementwiseAhead)
            F.value(E.Lanes.load(x + i), alpha, beta).store(y + i)
            i &+= E.Lanes.width
        }
        if i < end {
            let part = E.Lanes.load(x + i, count: end &- i, fill: 0)
            F.value(part, alpha, beta).store(y + i, count: end &- i)
        }
    }
}

private struct BackwardTask<E: Real, F: Activation>: ParallelTask {
    let dx: UnsafeMutablePointer<E>
    let dy: UnsafePointer<E>
    let saved: UnsafePointer<E>
    let count: Int
    let alpha: E
    let beta: E

    func run(_ index: Int, worker: Int) {
        let alpha = E.Lanes(repeating: alpha), beta = E.Lanes(repeating: beta)
        var i = index &* elementwiseGrain
        let end = Swift.min(count, i &+ elementwiseGrain)
        while i &+ E.Lanes.width <= end {
            spinetail_prefetch(UnsafeRawPointer(dy + i) + elementwiseAhead)
            spinetail_prefetch(UnsafeRawPointer(saved + i) + elementwiseAhead)
            F.gradient(E.Lanes.load(dy + i), E.Lanes.load(saved + i), alpha, beta).store(dx + i)
            i &+= E.Lanes.width
        }
        if i < end {
            let grad = E.Lanes.load(dy + i, count: end &- i, fill: 0)
            let part = E.Lanes.load(saved + i, count: end &- i, fill: 0)
            F.gradient(grad, part, alpha, beta).store(dx + i, count: end &- i)
        }
    }
}
