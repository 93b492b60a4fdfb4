import CSpinetail

@c @implementation
public func spinetail_optimizer_lion(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double, _ beta1: Double, _ beta2: Double, _ scale: Double,
    _ bound: Double, _ l1: Double, _ decay: Double
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(averages, averageCount),
        second: TensorList(parameters, 0), steps: TensorList(parameters, 0), g: TensorList(gradients, gradientCount))
    let status = lists.check(states: 1, counts: false)
    if status != 0 { return status }
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: 0)
    let numbers = LionNumbers(lr: lr, beta1: beta1, beta2: beta2, keep: 1 - lr * decay)
    return runElements(Lion<FloatLanes>.self, Lion<DoubleLanes>.self, lists, change) { _, _ in numbers }
}

private struct LionNumbers { let lr, beta1, beta2, keep: Double }

private struct Lion<V: Lanes>: LaneRule {
    let rate, stepShare, share, keep: V

    @inline(__always) init(_ n: LionNumbers) {
        rate = V(repeating: V.Scalar(n.lr))
        stepShare = V(repeating: V.Scalar(1 - n.beta1))
        keep = V(repeating: V.Scalar(n.keep))
        share = V(repeating: V.Scalar(1 - n.beta2))
    }

    @inline(__always) func apply(_ x: inout Streams<V>) {
        let direction = V.fma(stepShare, x.gradient - x.first, x.first)
        // NaN has no sign, and makes the parameter NaN.
        let sign = V.select(V.equal(direction, direction), V.copysign(rate, direction), direction)
        x.parameter = x.parameter * keep - V.select(V.equal(direction, .zero), .zero, sign)
        x.first = V.fma(share, x.gradient - x.first, x.first)
    }
}
