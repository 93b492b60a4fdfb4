import CSpinetail

/// One vector of each stream that a rule works on; streams that it has no list for hold the parameter.
struct Streams<V: Lanes> {
    var parameter, gradient, first, second: V
}

/// An optimizer's arithmetic on one vector. `Numbers` are what it needs to know of a tensor, made in float64.
protocol LaneRule {
    associatedtype V: Lanes
    associatedtype Numbers
    init(_ numbers: Numbers)
    func apply(_ x: inout Streams<V>)
}

/// The lists that a step works on; rules with one state have no `second`, and those that do not count no `steps`.
struct StepLists {
    let p, first, second, steps, g: TensorList

    /// Statuses name the lists in the order of the contract: parameters, states, `extra` others, steps, gradients.
    func check(states: Int32 = 2, extra: Int32 = 0, counts: Bool = true) -> Int32 {
        let place = 1 &+ states &+ extra
        var status = p.check(1)
        if status == 0 { status = first.check(like: p, 2) }
        if status == 0 && states == 2 { status = second.check(like: p, 3) }
        if status == 0 && counts { status = steps.checkSteps(p, place &+ 1) }
        if status == 0 { status = g.check(like: p, place &+ (counts ? 2 : 1)) }
        return status
    }
}

/// One step of a rule. `numbers` is asked for each tensor and the number of its step.
func runElements<Single: LaneRule, Wide: LaneRule>(
    _ single: Single.Type, _ wide: Wide.Type, _ lists: StepLists, _ change: GradientChange,
    _ numbers: (Int, Double) -> Single.Numbers
) -> Int32 where Single.V == FloatLanes, Wide.V == DoubleLanes, Single.Numbers == Wide.Numbers {
    let count = lists.p.count
    let offsetBytes = (count &+ 1) &* 8
    guard let memory = Scratch.take(offsetBytes &+ count &* MemoryLayout<Single.Numbers>.stride) else {
        return Status.noMemory
    }
    defer { Scratch.give(memory) }
    let made = (memory + offsetBytes).assumingMemoryBound(to: Single.Numbers.self)
    var i = 0
    while i < count {
        let step = lists.steps.isEmpty ? 0 : lists.steps.advance(i)
        (made + i).initialize(to: numbers(i, step))
        i &+= 1
    }
    let rule = ElementStep<Single, Wide>(lists: lists, change: change, numbers: UnsafePointer(made))
    return runStep(
        lists.p, memory.assumingMemoryBound(to: Int.self), streams: lists.second.isEmpty ? 4 : 5, rule)
}

private struct ElementStep<Single: LaneRule, Wide: LaneRule>: StepRule
where Single.V == FloatLanes, Wide.V == DoubleLanes, Single.Numbers == Wide.Numbers {
    let lists: StepLists
    let change: GradientChange
    let numbers: UnsafePointer<Single.Numbers>

    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        if MemoryLayout<E>.size == 4 {
            sweep(Single(numbers[tensor]), tensor: tensor, start: start, count: count)
        } else {
            sweep(Wide(numbers[tensor]), tensor: tensor, start: start, count: count)
        }
    }

    @inline(__always)
    private func sweep<Rule: LaneRule>(_ rule: Rule, tensor: Int, start: Int, count: Int) {
        typealias V = Rule.V
        typealias E = V.Scalar
        let p = lists.p.pointer(tensor, start, E.self)
        let g = lists.g.pointer(tensor, start, E.self)
        let first = lists.first.pointer(tensor, start, E.self)
        let hasSecond = !lists.second.isEmpty
        let second = hasSecond ? lists.second.pointer(tensor, start, E.self) : p
        let change = self.change.lanes(V.self)
        var i = 0
        while i < count {
            let rest = count &- i
            let whole = rest >= V.width
            let parameter = V.take(p + i, whole, rest)
            var x = Streams<V>(
                parameter: parameter, gradient: change.apply(V.take(g + i, whole, rest), parameter),
                first: V.take(first + i, whole, rest), second: V.take(second + i, whole, rest))
            rule.apply(&x)
            x.first.put(first + i, whole, rest)
            if hasSecond { x.second.put(second + i, whole, rest) }
            x.parameter.put(p + i, whole, rest)
            i &+= V.width
        }
    }
}

/// A running mean that leaves numbers alone which no longer change: see `Rest`.
struct RunningMean<V: Lanes> {
    private let share, bound, floor: V

    /// mean += share · (gradient - mean), for means that reach parameters multiplied by at most `reach`.
    @inline(__always) init(share: Double, reach: Double) {
        self.share = V(repeating: V.Scalar(share))
        bound = V(repeating: Rest(factor: 1 - share).bound(V.Scalar.self, reach: reach))
        floor = V(repeating: V.Scalar(Rest.floor(V.Scalar.self)))
    }

    /// Updates what is held and returns the mean to compute with.
    @inline(__always) func update(_ held: inout V, gradient: V, parameter: V) -> V {
        let rests = Rest.lanes(held, gradient: gradient, bound: bound, parameter: parameter, floor: floor)
        let old = V.select(rests, .zero, held)
        let mean = V.fma(share, gradient - old, old)
        held = V.select(rests, held, mean)
        return mean
    }
}
