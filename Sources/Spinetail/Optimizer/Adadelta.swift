import CSpinetail

@c @implementation
public func spinetail_optimizer_adadelta(
    _ parameters: Descriptor, _ parameterCount: Int, _ squares: Descriptor, _ squareCount: Int,
    _ deltas: Descriptor, _ deltaCount: Int, _ steps: Descriptor, _ stepCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double, _ rho: Double, _ eps: Double, _ scale: Double,
    _ bound: Double, _ l1: Double, _ decay: Double
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(squares, squareCount),
        second: TensorList(deltas, deltaCount), steps: TensorList(steps, stepCount),
        g: TensorList(gradients, gradientCount))
    let status = lists.check()
    if status != 0 { return status }
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: decay)
    let numbers = AdadeltaNumbers(lr: lr, rho: rho, eps: eps)
    return runElements(Adadelta<FloatLanes>.self, Adadelta<DoubleLanes>.self, lists, change) { _, _ in numbers }
}

private struct AdadeltaNumbers { let lr, rho, eps: Double }

private struct Adadelta<V: Lanes>: LaneRule {
    let rate, rho, share, eps: V

    @inline(__always) init(_ n: AdadeltaNumbers) {
        rate = V(repeating: V.Scalar(-n.lr))
        rho = V(repeating: V.Scalar(n.rho))
        share = V(repeating: V.Scalar(1 - n.rho))
        eps = V(repeating: V.Scalar(n.eps))
    }

    @inline(__always) func apply(_ x: inout Streams<V>) {
        x.first = V.fma(x.gradient * share, x.gradient, x.first * rho)
        let delta = V.sqrt(x.second + eps) / V.sqrt(x.first + eps) * x.gradient
        x.second = V.fma(delta * share, delta, x.second * rho)
        x.parameter = V.fma(rate, delta, x.parameter)
    }
}
