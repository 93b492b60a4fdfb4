import CSpinetail

@c @implementation
public func spinetail_optimizer_adamax(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ largest: Descriptor, _ largestCount: Int, _ steps: Descriptor, _ stepCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double, _ beta1: Double, _ beta2: Double, _ eps: Double,
    _ scale: Double, _ bound: Double, _ l1: Double, _ decay: Double
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(averages, averageCount),
        second: TensorList(largest, largestCount), steps: TensorList(steps, stepCount),
        g: TensorList(gradients, gradientCount))
    let status = lists.check()
    if status != 0 { return status }
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: decay)
    return runElements(Adamax<FloatLanes>.self, Adamax<DoubleLanes>.self, lists, change) { _, step in
        AdamaxNumbers(rate: lr / (1 - pow(beta1, step)), beta1: beta1, beta2: beta2, eps: eps)
    }
}

private struct AdamaxNumbers { let rate, beta1, beta2, eps: Double }

private struct Adamax<V: Lanes>: LaneRule {
    let rate, beta2, eps: V
    let mean: RunningMean<V>

    @inline(__always) init(_ n: AdamaxNumbers) {
        rate = V(repeating: V.Scalar(-n.rate))
        beta2 = V(repeating: V.Scalar(n.beta2))
        eps = V(repeating: V.Scalar(n.eps))
        mean = RunningMean(share: 1 - n.beta1, reach: n.rate / n.eps)
    }

    @inline(__always) func apply(_ x: inout Streams<V>) {
        let average = mean.update(&x.first, gradient: x.gradient, parameter: x.parameter)
        // max gives its second argument where one is NaN: a gradient's NaN stays.
        x.second = V.max(x.second * beta2, V.abs(x.gradient) + eps)
        x.parameter = V.fma(rate, average / x.second, x.parameter)
    }
}
