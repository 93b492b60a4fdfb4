import CSpinetail

@c @implementation
public func spinetail_running_product_backward(
    _ dinput: Descriptor, _ doutput: Descriptor, _ output: Descriptor, _ input: Descriptor, _ axis: Int64
) -> spinetail_status {
    if dinput.dtype != input.dtype { return Status.dtype(1) }
    if doutput.dtype != input.dtype { return Status.dtype(2) }
    if output.dtype != input.dtype { return Status.dtype(3) }
    if !dinput.hasShape(of: input) { return Status.shape(1) }
    if !doutput.hasShape(of: input) { return Status.shape(2) }
    if !output.hasShape(of: input) { return Status.shape(3) }
    if !dinput.isContiguous { return Status.layout(1) }
    if !doutput.isContiguous { return Status.layout(2) }
    if !output.isContiguous { return Status.layout(3) }
    if !input.isContiguous { return Status.layout(4) }
    if axis < 0 || axis >= Int64(truncatingIfNeeded: Swift.max(1, input.rank)) { return Status.parameter(5) }
    let plan = RunningLines(input, Int(truncatingIfNeeded: axis), reverse: true)
    if input.holds(Float.self) { return slopes(Float.self, dinput, doutput, output, input, plan) }
    if input.holds(Double.self) { return slopes(Double.self, dinput, doutput, output, input, plan) }
    return Status.dtype(4)
}

private func slopes<E: Real>(
    _ type: E.Type, _ dinput: Descriptor, _ doutput: Descriptor, _ output: Descriptor, _ input: Descriptor,
    _ plan: RunningLines
) -> Int32 {
    guard plan.size > 0, let dx = dinput.pointer(type), let dy = doutput.pointer(type), let y = output.pointer(type),
        let x = input.pointer(type)
    else { return Status.ok }
    let task = RunningSlopes<E>(
        dx: dx, dy: UnsafePointer(dy), y: UnsafePointer(y), x: UnsafePointer(x), plan: plan)
    return plan.run(task, cost: 3)
}

/// From the end of a line to its start: s = dy[i] + x[i + 1] · s, and dx[i] = y[i - 1] · s. No division, so zeros are
/// elements like others.
private struct RunningSlopes<E: Real>: ParallelTask {
    typealias D = DoubleLanes
    typealias V = E.Lanes
    let dx: UnsafeMutablePointer<E>
    let dy, y, x: UnsafePointer<E>
    let plan: RunningLines

    func run(_ index: Int, worker: Int) {
        let (first, end, from, count) = plan.piece(index)
        var i = first
        while i < end {
            let start = i &* plan.n &* plan.inner &+ from
            if plan.inner == 1 {
                row(start)
            } else {
                var j = 0
                while j < count {
                    columns(start &+ j, count &- j)
                    j &+= D.width
                }
            }
            i &+= 1
        }
    }

    private func row(_ start: Int) {
        var s = 0.0
        var r = plan.n
        while r > 0 {
            r &-= 1
            let at = start &+ r
            s = r == plan.n &- 1 ? dy[at].double : dy[at].double + x[at &+ 1].double * s
            dx[at] = r == 0 ? E(s) : E(y[at &- 1].double * s)
        }
    }

    @inline(__always) private func load(_ p: UnsafePointer<E>, _ count: Int) -> D {
        count >= D.width ? V.loadWide(p) : V.load(p, count: count, fill: 0).low
    }

    private func columns(_ start: Int, _ count: Int) {
        var s = D(repeating: 0)
        var r = plan.n
        while r > 0 {
            r &-= 1
            let at = start &+ r &* plan.inner
            let slope = load(dy + at, count)
            s = r == plan.n &- 1 ? slope : D.fma(load(x + (at &+ plan.inner), count), s, slope)
            let d = r == 0 ? s : spinetail_multiply_f64(load(y + (at &- plan.inner), count), s)
            V.narrow(d, d).store(dx + at, count: Swift.min(count, D.width))
        }
    }
}
