import CSpinetail

@c @implementation
public func spinetail_optimizer_adam_packed(
    _ parameters: Descriptor, _ parameterCount: Int, _ averages: Descriptor, _ averageCount: Int,
    _ squares: Descriptor, _ squareCount: Int, _ averageScales: Descriptor, _ averageScaleCount: Int,
    _ squareScales: Descriptor, _ squareScaleCount: Int, _ steps: Descriptor, _ stepCount: Int,
    _ gradients: Descriptor, _ gradientCount: Int, _ lr: Double, _ beta1: Double, _ beta2: Double, _ eps: Double,
    _ scale: Double, _ bound: Double, _ l1: Double, _ decay: Double, _ flags: Int64
) -> spinetail_status {
    let p = TensorList(parameters, parameterCount)
    let m = TensorList(averages, averageCount)
    let v = TensorList(squares, squareCount)
    let averageScales = TensorList(averageScales, averageScaleCount)
    let squareScales = TensorList(squareScales, squareScaleCount)
    let t = TensorList(steps, stepCount)
    let g = TensorList(gradients, gradientCount)
    let inBytes = !averageScales.isEmpty
    var status = p.check(1)
    if status == 0 { status = p.checkSingle(1) }
    if status == 0 { status = m.check(Int32(inBytes ? SPINETAIL_INT8 : SPINETAIL_BFLOAT16), like: p, 2) }
    if status == 0 { status = v.check(Int32(inBytes ? SPINETAIL_UINT8 : SPINETAIL_BFLOAT16), like: p, 3) }
    if status == 0 { status = averageScales.checkScales(p, optional: true, 4) }
    if status == 0 { status = squareScales.checkScales(p, optional: !inBytes, 5) }
    if status == 0 { status = t.checkSteps(p, 6) }
    if status == 0 { status = g.check(like: p, 7) }
    if status != 0 { return status }

    let workers = workerLimit()
    let tables = (parameterCount &* 3 &+ 1) &* 8
    guard let memory = Scratch.take(tables &+ workers &* packedBlock &* 8 &+ 64) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let numbers = memory.assumingMemoryBound(to: Double.self)
    var i = 0
    while i < parameterCount {
        let step = t.advance(i)
        numbers[2 &* i] = lr / (1 - pow(beta1, step))
        numbers[2 &* i &+ 1] = 1 / (1 - pow(beta2, step)).squareRoot()
        i &+= 1
    }
    let pieces = TensorPieces(p, (memory + parameterCount &* 16).assumingMemoryBound(to: Int.self))
    let change = GradientChange(scale: scale, bound: bound, l1: l1, decay: decay)
    let rule = PackedAdam(
        pieces: pieces, m: m, v: v, averageScales: averageScales, squareScales: squareScales, steps: t, g: g,
        numbers: UnsafePointer(numbers), blocks: (memory + tables).assumingMemoryBound(to: Float.self), beta1: beta1,
        beta2: beta2, eps: eps, keep: change.keep(lr, flags), change: change.decoupled(flags))
    let cost = pieces.elements
    return inBytes
        ? parallel(pieces.count, cost: cost, workers: workers, PackedStep<ByteMoments>(rule: rule))
        : parallel(pieces.count, cost: cost, workers: workers, PackedStep<BrainMoments>(rule: rule))
}

private struct PackedAdam {
    let pieces: TensorPieces
    let m, v, averageScales, squareScales, steps, g: TensorList
    /// For each tensor: lr/(1 - beta1^t) and 1/sqrt(1 - beta2^t).
    let numbers: UnsafePointer<Double>
    /// For each worker: a block of each moment in float32.
    let blocks: UnsafeMutablePointer<Float>
    let beta1, beta2, eps, keep: Double
    let change: GradientChange
}

private struct PackedStep<Format: MomentFormat>: ParallelTask {
    let rule: PackedAdam

    func run(_ index: Int, worker: Int) {
        let (tensor, start, count) = rule.pieces.piece(index)
        var block = start
        while block < start &+ count {
            update(tensor, block, Swift.min(packedBlock, start &+ count &- block), worker)
            block &+= packedBlock
        }
    }

    /// Both moments of a block in float32, their largest, and then their codes.
    private func update(_ tensor: Int, _ start: Int, _ count: Int, _ worker: Int) {
        typealias V = FloatLanes
        let p = rule.pieces.tensors.pointer(tensor, start, Float.self)
        let g = rule.g.pointer(tensor, start, Float.self)
        let m = rule.m.codes(tensor, Format.Code.self) + start
        let v = rule.v.codes(tensor, Format.Code.self) + start
        let averages = rule.blocks + worker &* (2 &* packedBlock)
        let squares = averages + packedBlock
        let block = start / packedBlock
        let scaled = !rule.averageScales.isEmpty
        let averageScale = scaled ? rule.averageScales.pointer(tensor, block, Float.self) : averages
        let squareScale = scaled ? rule.squareScales.pointer(tensor, block, Float.self) : squares
        let oldAverageScale = scaled ? averageScale.pointee : 1
        let oldSquareScale = scaled ? squareScale.pointee : 1
        let stepSize = V(repeating: Float(-rule.numbers[2 &* tensor]))
        let rootScale = V(repeating: Float(rule.numbers[2 &* tensor &+ 1]))
        let share = V(repeating: Float(1 - rule.beta1))
        let beta2 = V(repeating: Float(rule.beta2))
        let newSquare = V(repeating: Float(1 - rule.beta2))
        let eps = V(repeating: Float(rule.eps))
        let keep = V(repeating: Float(rule.keep))
        let change = rule.change.lanes(V.self)
        var largestAverage = V(repeating: 0)
        var largestSquare = V(repeating: 0)
        var i = 0
        while i < count {
            let rest = Swift.min(V.width, count &- i)
            let whole = rest == V.width
            let parameter = V.take(p + i, whole, rest)
            let gradient = change.apply(V.take(g + i, whole, rest), parameter)
            let old = Format.average(m + i, rest, scale: oldAverageScale)
            let average = V.fma(share, gradient - old, old)
            let square = V.fma(
                gradient * newSquare, gradient, Format.square(v + i, rest, scale: oldSquareScale) * beta2)
            let denominator = V.fma(V.sqrt(square), rootScale, eps)
            V.fma(stepSize, average / denominator, parameter * keep).put(p + i, whole, rest)
            // Lanes beyond the last are zeros.
            average.store(averages + i)
            square.store(squares + i)
            largestAverage = V.max(V.abs(average), largestAverage)
            largestSquare = V.max(square, largestSquare)
            i &+= V.width
        }
        let averageTop = largestAverage.largest()
        let squareTop = largestSquare.largest()
        let step = rule.steps.number(tensor)
        var random = RandomBlock()
        i = 0
        while i < count {
            random.fill(Int64(truncatingIfNeeded: tensor), step, start &+ i)
            random.withWords { words in
                var lane = 0
                while lane < 32 && i &+ lane < count {
                    let at = i &+ lane
                    let rest = Swift.min(V.width, count &- at)
                    Format.putAverage(V.load(averages + at), m + at, rest, scale: averageTop, words + lane)
                    Format.putSquare(V.load(squares + at), v + at, rest, scale: squareTop, words + lane)
                    lane &+= V.width
                }
            }
            i &+= 32
        }
        if scaled {
            averageScale.pointee = averageTop
            squareScale.pointee = squareTop
        }
    }
}

extension TensorList {
    /// Whether all are float32.
    fileprivate func checkSingle(_ argument: Int32) -> Int32 {
        var i = 0
        while i < count {
            if !(arrays + i).holds(Float.self) { return Status.dtype(argument) }
            i &+= 1
        }
        return Status.ok
    }

    /// Whether each array has its parameter's shape and holds codes of this kind.
    fileprivate func check(_ kind: Int32, like parameters: TensorList, _ argument: Int32) -> Int32 {
        if count != parameters.count { return Status.shape(argument) }
        var i = 0
        while i < count {
            let array = arrays + i
            if array.dtype != kind { return Status.dtype(argument) }
            if !array.hasShape(of: parameters.arrays + i) { return Status.shape(argument) }
            if !array.isContiguous { return Status.layout(argument) }
            i &+= 1
        }
        return Status.ok
    }

    /// Whether each array is float32 and holds a scale for each block.
    fileprivate func checkScales(_ parameters: TensorList, optional: Bool, _ argument: Int32) -> Int32 {
        if optional && count == 0 { return Status.ok }
        if count != parameters.count { return Status.shape(argument) }
        var i = 0
        while i < count {
            let array = arrays + i
            if !array.holds(Float.self) { return Status.dtype(argument) }
            if !array.hasShape(pieces((parameters.arrays + i).count, packedBlock)) { return Status.shape(argument) }
            if !array.isContiguous { return Status.layout(argument) }
            i &+= 1
        }
        return Status.ok
    }

    fileprivate func codes<Code>(_ tensor: Int, _ type: Code.Type) -> UnsafeMutablePointer<Code> {
        (arrays + tensor).pointee.data.unsafelyUnwrapped.assumingMemoryBound(to: Code.self)
    }

    /// How often a tensor has been stepped.
    fileprivate func number(_ tensor: Int) -> Int64 {
        guard let step = (arrays + tensor).pointer(Float.self) else { return 0 }
        return step.pointee >= 0 && step.pointee < 0x1p62 ? spinetail_whole(Double(step.pointee)) : 0
    }
}
