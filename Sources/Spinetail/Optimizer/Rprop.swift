import CSpinetail

@c @implementation
public func spinetail_optimizer_rprop(
    _ parameters: Descriptor, _ parameterCount: Int, _ previous: Descriptor, _ previousCount: Int,
    _ sizes: Descriptor, _ sizeCount: Int, _ steps: Descriptor, _ stepCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ shrink: Double, _ grow: Double, _ least: Double, _ most: Double,
    _ scale: Double, _ bound: Double
) -> spinetail_status {
    let lists = StepLists(
        p: TensorList(parameters, parameterCount), first: TensorList(previous, previousCount),
        second: TensorList(sizes, sizeCount), steps: TensorList(steps, stepCount),
        g: TensorList(gradients, gradientCount))
    let status = lists.check()
    if status != 0 { return status }
    let change = GradientChange(scale: scale, bound: bound, l1: 0, decay: 0)
    let numbers = RpropNumbers(shrink: shrink, grow: grow, least: least, most: most)
    return runElements(Rprop<FloatLanes>.self, Rprop<DoubleLanes>.self, lists, change) { _, _ in numbers }
}

private struct RpropNumbers { let shrink, grow, least, most: Double }

private struct Rprop<V: Lanes>: LaneRule {
    let shrink, grow, least, most: V

    @inline(__always) init(_ n: RpropNumbers) {
        shrink = V(repeating: V.Scalar(n.shrink))
        grow = V(repeating: V.Scalar(n.grow))
        least = V(repeating: V.Scalar(n.least))
        most = V(repeating: V.Scalar(n.most))
    }

    @inline(__always) func apply(_ x: inout Streams<V>) {
        let agreement = x.gradient * x.first
        let turned = V.less(agreement, .zero)
        // Neither less, greater nor equal: NaN, which stays.
        let alike = V.select(V.equal(agreement, .zero), .one, agreement)
        let factor = V.select(turned, shrink, V.select(V.less(.zero, agreement), grow, alike))
        x.second = V.min(most, V.max(least, x.second * factor))
        let gradient = V.select(turned, .zero, x.gradient)
        let step = V.select(V.equal(gradient, .zero), .zero, V.copysign(x.second, gradient))
        x.parameter = x.parameter - step
        x.first = gradient
    }
}
