import CSpinetail

@c @implementation
public func spinetail_optimizer_asgd(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ rates: Descriptor, _ rateCount: Int, _ shares: Descriptor, _ shareCount: Int,
    _ steps: Descriptor, _ stepCount: Int, _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double,
    _ lambda: Double, _ alpha: Double, _ begin: Double, _ scale: Double, _ bound: Double, _ l1: Double,
    _ decay: Double
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(averages, averageCount),
        second: TensorList(parameters, 0), steps: TensorList(steps, stepCount), g: TensorList(gradients, gradientCount))
    let rates = TensorList(rates, rateCount)
    let shares = TensorList(shares, shareCount)
    var status = rates.checkSteps(lists.p, 3)
    if status == 0 { status = shares.checkSteps(lists.p, 4) }
    if status == 0 { status = lists.check(states: 1, extra: 2) }
    if status != 0 { return status }
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: decay)
    return runElements(ASGD<FloatLanes>.self, ASGD<DoubleLanes>.self, lists, change) { tensor, step in
        let rate = rates.exchange(tensor, lr / pow(1 + lambda * lr * step, alpha))
        let share = shares.exchange(tensor, 1 / Swift.max(1, step - begin))
        return ASGDNumbers(rate: rate, keep: 1 - lambda * rate, share: share)
    }
}

private struct ASGDNumbers { let rate, keep, share: Double }

private struct ASGD<V: Lanes>: LaneRule {
    let rate, keep, share: V
    let copies: Bool

    @inline(__always) init(_ n: ASGDNumbers) {
        rate = V(repeating: V.Scalar(-n.rate))
        keep = V(repeating: V.Scalar(n.keep))
        share = V(repeating: V.Scalar(n.share))
        copies = n.share == 1
    }

    @inline(__always) func apply(_ x: inout Streams<V>) {
        x.parameter = V.fma(rate, x.gradient, x.parameter * keep)
        x.first = copies ? x.parameter : V.fma(share, x.parameter - x.first, x.first)
    }
}
