import CSpinetail

/// Elements of the concatenated parameters that one piece of a step covers: four float32 streams fit in L2.
let stepGrain = 16_384

/// What an optimizer does to `count` elements of one tensor, from element `start` on.
protocol StepRule {
    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int)
}

/// One list of arrays; empty where an option is off.
struct TensorList {
    let arrays: UnsafePointer<spinetail_array>
    let count: Int
    init(_ arrays: UnsafePointer<spinetail_array>, _ count: Int) {
        self.arrays = arrays
        self.count = count
    }

    @inline(__always) var isEmpty: Bool { count == 0 }

    /// Element `start` of a tensor that holds more than `start` elements.
    @inline(__always) func pointer<E: Real>(_ tensor: Int, _ start: Int, _ type: E.Type) -> UnsafeMutablePointer<E> {
        (arrays + tensor).pointee.data.unsafelyUnwrapped.assumingMemoryBound(to: E.self) + start
    }

    /// Whether each array is float32 or float64 and contiguous; `argument` is this list's 1-based place.
    func check(_ argument: Int32) -> Int32 {
        var i = 0
        while i < count {
            let array = arrays + i
            if !array.holds(Float.self) && !array.holds(Double.self) { return Status.dtype(argument) }
            if !array.isContiguous { return Status.layout(argument) }
            i &+= 1
        }
        return Status.ok
    }

    /// Whether each array is like its parameter; an optional list may be empty.
    func check(like parameters: TensorList, optional: Bool = false, _ argument: Int32) -> Int32 {
        if optional && count == 0 { return Status.ok }
        if count != parameters.count { return Status.shape(argument) }
        var i = 0
        while i < count {
            let array = arrays + i
            let parameter = parameters.arrays + i
            if array.dtype != parameter.dtype { return Status.dtype(argument) }
            if !array.hasShape(of: parameter) { return Status.shape(argument) }
            if !array.isContiguous { return Status.layout(argument) }
            i &+= 1
        }
        return Status.ok
    }

    /// Whether this is one float32 scalar per parameter.
    func checkSteps(_ parameters: TensorList, _ argument: Int32) -> Int32 {
        if count != parameters.count { return Status.shape(argument) }
        var i = 0
        while i < count {
            let array = arrays + i
            if !array.holds(Float.self) { return Status.dtype(argument) }
            if array.count != 1 { return Status.shape(argument) }
            i &+= 1
        }
        return Status.ok
    }

    /// Counts the step of one tensor and returns its number.
    func advance(_ tensor: Int) -> Double {
        guard let step = (arrays + tensor).pointer(Float.self) else { return 1 }
        step.pointee += 1
        return Double(step.pointee)
    }

    /// Multiplies a tensor's scalar, in float32 as PyTorch does.
    func multiply(_ tensor: Int, by factor: Double) -> Double {
        guard let scalar = (arrays + tensor).pointer(Float.self) else { return 1 }
        scalar.pointee *= Float(factor)
        return Double(scalar.pointee)
    }

    /// A tensor's scalar, which becomes another.
    func exchange(_ tensor: Int, _ value: Double) -> Double {
        guard let scalar = (arrays + tensor).pointer(Float.self) else { return 1 }
        defer { scalar.pointee = Float(value) }
        return Double(scalar.pointee)
    }
}

/// Runs a rule over all elements of all parameters: the concatenated range is cut into equal pieces, whatever the sizes
/// of the tensors. `offsets` has room for one number more than there are tensors.
func runStep<Rule: StepRule>(
    _ parameters: TensorList, _ offsets: UnsafeMutablePointer<Int>, streams: Int, _ rule: Rule
) -> Int32 {
    var total = 0
    var i = 0
    while i < parameters.count {
        offsets[i] = total
        total = total &+ (parameters.arrays + i).count
        i &+= 1
    }
    offsets[parameters.count] = total
    let pieces = (total &+ stepGrain &- 1) / stepGrain
    let task = StepTask(rule: rule, parameters: parameters, offsets: offsets, pieces: pieces)
    return parallel(pieces, cost: total &* streams / 8, task)
}

/// Pieces go from the last to the first: what backward has written last is still cached, and so will be what the next
/// forward reads first.
private struct StepTask<Rule: StepRule>: ParallelTask {
    let rule: Rule
    let parameters: TensorList
    let offsets: UnsafeMutablePointer<Int>
    let pieces: Int

    func run(_ index: Int, worker: Int) {
        var start = (pieces &- 1 &- index) &* stepGrain
        let end = Swift.min(offsets[parameters.count], start &+ stepGrain)
        // The last tensor that begins at or before `start`; empty ones before it are passed over.
        var tensor = 0
        var above = parameters.count
        while above &- tensor > 1 {
            let middle = (tensor &+ above) >> 1
            if offsets[middle] <= start { tensor = middle } else { above = middle }
        }
        while start < end {
            let stop = Swift.min(end, offsets[tensor &+ 1])
            if start < stop {
                let within = start &- offsets[tensor]
                if (parameters.arrays + tensor).holds(Float.self) {
                    rule.update(Float.self, tensor: tensor, start: within, count: stop &- start)
                } else {
                    rule.update(Double.self, tensor: tensor, start: within, count: stop &- start)
                }
                start = stop
            }
            tensor &+= 1
        }
    }
}

extension Lanes {
    /// A whole vector, or the first `count` lanes with zeros behind them.
    @inline(__always) static func take(_ p: UnsafePointer<Scalar>, _ whole: Bool, _ count: Int) -> Self {
        whole ? load(p) : load(p, count: count, fill: 0)
    }

    @inline(__always) func put(_ p: UnsafeMutablePointer<Scalar>, _ whole: Bool, _ count: Int) {
        if whole { store(p) } else { store(p, count: count) }
    }
}
