import CSpinetail

@c @implementation
public func spinetail_optimizer_nadam(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ squares: Descriptor, _ squareCount: Int, _ products: Descriptor, _ productCount: Int,
    _ steps: Descriptor, _ stepCount: Int, _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double,
    _ beta1: Double, _ beta2: Double, _ eps: Double, _ momentumDecay: Double, _ scale: Double, _ bound: Double,
    _ l1: Double, _ decay: Double, _ flags: Int64
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(averages, averageCount),
        second: TensorList(squares, squareCount), steps: TensorList(steps, stepCount),
        g: TensorList(gradients, gradientCount))
    let products = TensorList(products, productCount)
    var status = products.checkSteps(lists.p, 4)
    if status == 0 { status = lists.check(extra: 1) }
    if status != 0 { return status }
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: decay)
    return runElements(
        NAdam<FloatLanes>.self, NAdam<DoubleLanes>.self, lists, change.decoupled(flags)
    ) { tensor, step in
        let now = beta1 * (1 - 0.5 * pow(0.96, step * momentumDecay))
        let next = beta1 * (1 - 0.5 * pow(0.96, (step + 1) * momentumDecay))
        let product = products.multiply(tensor, by: now)
        return NAdamNumbers(
            gradientRate: lr * (1 - now) / (1 - product), averageRate: lr * next / (1 - product * next), beta1: beta1,
            beta2: beta2, rootScale: 1 / (1 - pow(beta2, step)).squareRoot(), eps: eps, keep: change.keep(lr, flags))
    }
}

private struct NAdamNumbers { let gradientRate, averageRate, beta1, beta2, rootScale, eps, keep: Double }

private struct NAdam<V: Lanes>: LaneRule {
    let gradientRate, averageRate, beta2, newSquare, rootScale, eps, keep: V
    let mean: RunningMean<V>

    @inline(__always) init(_ n: NAdamNumbers) {
        gradientRate = V(repeating: V.Scalar(-n.gradientRate))
        averageRate = V(repeating: V.Scalar(-n.averageRate))
        beta2 = V(repeating: V.Scalar(n.beta2))
        newSquare = V(repeating: V.Scalar(1 - n.beta2))
        rootScale = V(repeating: V.Scalar(n.rootScale))
        eps = V(repeating: V.Scalar(n.eps))
        keep = V(repeating: V.Scalar(n.keep))
        mean = RunningMean(share: 1 - n.beta1, reach: n.keep >= 0.5 ? n.averageRate / n.eps : .infinity)
    }

    @inline(__always) func apply(_ x: inout Streams<V>) {
        let average = mean.update(&x.first, gradient: x.gradient, parameter: x.parameter)
        x.second = V.fma(x.gradient * newSquare, x.gradient, x.second * beta2)
        let denominator = V.fma(V.sqrt(x.second), rootScale, eps)
        let step = V.fma(averageRate, average, gradientRate * x.gradient)
        x.parameter = V.fma(x.parameter, keep, step / denominator)
    }
}
