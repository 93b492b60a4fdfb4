import CSpinetail

/// Whether each mask is a bool array like its array.
private func checkMasks(_ masks: TensorList, _ arrays: TensorList, _ argument: Int32) -> Int32 {
    if masks.count != arrays.count { return Status.shape(argument) }
    var i = 0
    while i < masks.count {
        let mask = masks.arrays + i
        if mask.dtype != Int32(SPINETAIL_BOOL) { return Status.dtype(argument) }
        if !mask.hasShape(of: arrays.arrays + i) { return Status.shape(argument) }
        if !mask.isContiguous { return Status.layout(argument) }
        i &+= 1
    }
    return Status.ok
}

/// Cuts each array into pieces: offsets[i] becomes the first piece of array i. Returns the number of pieces.
private func cutPieces(_ list: TensorList, _ offsets: UnsafeMutablePointer<Int>) -> Int {
    var pieces = 0
    var i = 0
    while i < list.count {
        offsets[i] = pieces
        pieces = pieces &+ ((list.arrays + i).count &+ pruningGrain &- 1) / pruningGrain
        i &+= 1
    }
    offsets[list.count] = pieces
    return pieces
}

@c @implementation
public func spinetail_pruning_masks(
    _ masks: Descriptor, _ maskCount: Int, _ arrays: Descriptor, _ arrayCount: Int, _ threshold: Double,
    _ dropped: Int64
) -> spinetail_status {
    let list = TensorList(arrays, arrayCount)
    let out = TensorList(masks, maskCount)
    var status = list.check(2)
    if status == 0 { status = checkMasks(out, list, 1) }
    if status != 0 { return status }
    guard let table = Scratch.take((arrayCount &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(table) }
    let offsets = table.assumingMemoryBound(to: Int.self)
    let pieces = cutPieces(list, offsets)
    guard let memory = Scratch.take(pieces &* 8) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let ranks = memory.assumingMemoryBound(to: Int.self)
    let cost = pieces &* 8_000
    if dropped >= 0 {
        // How many elements of the threshold's magnitude come before each piece.
        let count = MaskTask(
            list: list, masks: out, offsets: offsets, ranks: ranks, threshold: threshold, dropped: -1, counting: true)
        status = parallel(pieces, cost: cost, count)
        if status != 0 { return status }
        var before = 0
        var i = 0
        while i < pieces {
            let here = ranks[i]
            ranks[i] = before
            before = before &+ here
            i &+= 1
        }
    }
    let task = MaskTask(
        list: list, masks: out, offsets: offsets, ranks: ranks, threshold: threshold,
        dropped: Int(truncatingIfNeeded: dropped), counting: false)
    return parallel(pieces, cost: cost, task)
}

private struct MaskTask: ParallelTask {
    let list, masks: TensorList
    let offsets, ranks: UnsafeMutablePointer<Int>
    let threshold: Double
    let dropped: Int
    let counting: Bool

    func run(_ index: Int, worker: Int) {
        let tensor = list.tensor(ofPiece: index, offsets)
        let start = (index &- offsets[tensor]) &* pruningGrain
        let array = list.arrays + tensor
        let count = Swift.min(pruningGrain, array.count &- start)
        guard let mask = (masks.arrays + tensor).pointer(UInt8.self) else { return }
        if array.holds(Float.self) {
            piece(list.pointer(tensor, start, Float.self), mask + start, count, index)
        } else {
            piece(list.pointer(tensor, start, Double.self), mask + start, count, index)
        }
    }

    @inline(__always)
    private func piece<E: Real>(_ w: UnsafePointer<E>, _ mask: UnsafeMutablePointer<UInt8>, _ count: Int, _ index: Int)
    {
        typealias V = E.Lanes
        let limit = E(threshold)
        if counting {
            var equal = 0
            var i = 0
            while i < count {
                equal = equal &+ ((w[i] < 0 ? -w[i] : w[i]) == limit ? 1 : 0)
                i &+= 1
            }
            ranks[index] = equal
            return
        }
        let edge = V(repeating: limit)
        var i = 0
        while i &+ V.width <= count {
            V.storeMask(V.less(edge, V.abs(V.load(w + i))), mask + i)
            i &+= V.width
        }
        while i < count {
            mask[i] = (w[i] < 0 ? -w[i] : w[i]) > limit ? 1 : 0
            i &+= 1
        }
        if dropped < 0 { return }
        var rank = ranks[index]
        i = 0
        while i < count {
            if (w[i] < 0 ? -w[i] : w[i]) == limit {
                mask[i] = rank >= dropped ? 1 : 0
                rank &+= 1
            }
            i &+= 1
        }
    }
}

@c @implementation
public func spinetail_pruning_apply(
    _ arrays: Descriptor, _ arrayCount: Int, _ masks: Descriptor, _ maskCount: Int
) -> spinetail_status {
    let list = TensorList(arrays, arrayCount)
    let out = TensorList(masks, maskCount)
    var status = list.check(1)
    if status == 0 { status = checkMasks(out, list, 2) }
    if status != 0 { return status }
    guard let table = Scratch.take((arrayCount &+ 1) &* 8) else { return Status.noMemory }
    defer { Scratch.give(table) }
    return runStep(list, table.assumingMemoryBound(to: Int.self), streams: 2, ApplyMask(list: list, masks: out))
}

private struct ApplyMask: StepRule {
    let list, masks: TensorList

    func update<E: Real>(_ type: E.Type, tensor: Int, start: Int, count: Int) {
        typealias V = E.Lanes
        guard let all = (masks.arrays + tensor).pointer(UInt8.self) else { return }
        let mask = all + start
        let w = list.pointer(tensor, start, type)
        var i = 0
        while i &+ V.width <= count {
            V.select(V.loadMask(mask + i), V.load(w + i), V.zero).store(w + i)
            i &+= V.width
        }
        while i < count {
            if mask[i] == 0 { w[i] = 0 }
            i &+= 1
        }
    }
}
