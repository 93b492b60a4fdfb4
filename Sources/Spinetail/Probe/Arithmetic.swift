import CSpinetail

/// Chains of multiply-adds that run side by side: two a cycle of latency 4 need eight, and 12 fit 16 registers with the
/// two constants.
private let chains = 12

@c @implementation
public func spinetail_probe_arithmetic(
    _ sums: Descriptor, _ operations: Descriptor, _ steps: Int64
)
    -> spinetail_status
{
    if sums.rank != 1 { return Status.shape(1) }
    if operations.dtype != Int32(SPINETAIL_FLOAT64) { return Status.dtype(2) }
    if !operations.hasShape(of: sums) { return Status.shape(2) }
    if !sums.isContiguous { return Status.layout(1) }
    if !operations.isContiguous { return Status.layout(2) }
    if steps < 0 || steps > 1_000_000 { return Status.parameter(3) }
    if sums.holds(Float.self) { return arithmetic(Float.self, sums, operations, steps) }
    if sums.holds(Double.self) { return arithmetic(Double.self, sums, operations, steps) }
    return Status.dtype(1)
}

private func arithmetic<E: Real>(
    _ type: E.Type, _ sums: Descriptor, _ operations: Descriptor, _ steps: Int64
)
    -> Int32
{
    guard let y = sums.pointer(type), let flops = operations.pointer(Double.self) else { return Status.ok }
    let steps = Int(truncatingIfNeeded: steps)
    let count = sums.extent(0)
    return parallel(count, cost: count &* steps &* 4, Arithmetic(sums: y, operations: flops, steps: steps))
}

private struct Arithmetic<E: Real>: ParallelTask {
    let sums: UnsafeMutablePointer<E>
    let operations: UnsafeMutablePointer<Double>
    let steps: Int

    func run(_ index: Int, worker: Int) {
        typealias V = E.Lanes
        let factor = V(repeating: E(0.999))
        let term = V(repeating: E(0.001))
        var a0 = V.ramp
        var (a1, a2, a3, a4, a5) = (a0 + term, a0 - term, a0 * term, a0 + a0, a0 * a0)
        var (b0, b1, b2) = (a1 + a1, a2 + a2, a3 + a3)
        var (b3, b4, b5) = (a4 + a4, a5 + a5, a0 + a5)
        var step = 0
        while step < steps {
            a0 = V.fma(a0, factor, term)
            a1 = V.fma(a1, factor, term)
            a2 = V.fma(a2, factor, term)
            a3 = V.fma(a3, factor, term)
            a4 = V.fma(a4, factor, term)
            a5 = V.fma(a5, factor, term)
            b0 = V.fma(b0, factor, term)
            b1 = V.fma(b1, factor, term)
            b2 = V.fma(b2, factor, term)
            b3 = V.fma(b3, factor, term)
            b4 = V.fma(b4, factor, term)
            b5 = V.fma(b5, factor, term)
            step &+= 1
        }
        let low = (a0 + a1) + (a2 + a3) + (a4 + a5)
        let high = (b0 + b1) + (b2 + b3) + (b4 + b5)
        sums[index] = (low + high).sum()
        operations[index] = Double(2 &* chains &* V.width &* steps)
    }
}
