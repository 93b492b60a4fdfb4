import CSpinetail

@c @implementation
public func spinetail_optimizer_radam(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ squares: Descriptor, _ squareCount: Int, _ steps: Descriptor, _ stepCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double, _ beta1: Double, _ beta2: Double, _ eps: Double,
    _ scale: Double, _ bound: Double, _ l1: Double, _ decay: Double, _ flags: Int64
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(averages, averageCount),
        second: TensorList(squares, squareCount), steps: TensorList(steps, stepCount),
        g: TensorList(gradients, gradientCount))
    let status = lists.check()
    if status != 0 { return status }
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: decay)
    let longest = 2 / (1 - beta2) - 1
    return runElements(
        RAdam<FloatLanes>.self, RAdam<DoubleLanes>.self, lists, change.decoupled(flags)
    ) { _, step in
        let power = pow(beta2, step)
        let length = longest - 2 * step * power / (1 - power)
        // Up to a length of 5 the variance cannot be corrected, and the step is that of momentum.
        let adapts = length > 5
        let top = (length - 4) * (length - 2) * longest
        let correction = adapts ? (top / ((longest - 4) * (longest - 2) * length)).squareRoot() : 1
        let root = adapts ? (1 - power).squareRoot() : 1
        return RAdamNumbers(
            rate: lr / (1 - pow(beta1, step)) * correction * root, beta1: beta1, beta2: beta2, eps: eps,
            keep: change.keep(lr, flags), adapts: adapts)
    }
}

private struct RAdamNumbers {
    let rate, beta1, beta2, eps, keep: Double
    let adapts: Bool
}

private struct RAdam<V: Lanes>: LaneRule {
    let rate, beta2, newSquare, eps, keep: V
    let adapts: Bool
    let mean: RunningMean<V>

    @inline(__always) init(_ n: RAdamNumbers) {
        rate = V(repeating: V.Scalar(-n.rate))
        beta2 = V(repeating: V.Scalar(n.beta2))
        newSquare = V(repeating: V.Scalar(1 - n.beta2))
        eps = V(repeating: V.Scalar(n.eps))
        keep = V(repeating: V.Scalar(n.keep))
        adapts = n.adapts
        let reach = n.adapts ? n.rate / n.eps : n.rate
        mean = RunningMean(share: 1 - n.beta1, reach: n.keep >= 0.5 ? reach : .infinity)
    }

    @inline(__always) func apply(_ x: inout Streams<V>) {
        let average = mean.update(&x.first, gradient: x.gradient, parameter: x.parameter)
        x.second = V.fma(x.gradient * newSquare, x.gradient, x.second * beta2)
        let step = adapts ? average / (V.sqrt(x.second) + eps) : average
        x.parameter = V.fma(rate, step, x.parameter * keep)
    }
}
