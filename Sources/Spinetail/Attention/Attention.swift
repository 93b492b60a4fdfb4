import CSpinetail

@c @implementation
public func spinetail_attention_forward(
    _ output: Descriptor, _ lse: Descriptor?, _ query: Descriptor, _ key: Descriptor, _ value: Descriptor,
    _ mask: Descriptor?, _ slopes: Descriptor?, _ queryOffsets: Descriptor?, _ keyOffsets: Descriptor?,
    _ keyLengths: Descriptor?, _ blockTable: Descriptor?, _ keyScales: Descriptor?, _ valueScales: Descriptor?,
    _ scale: Double, _ softcap: Double, _ dropout: Double,
    _ options: UnsafePointer<spinetail_attention>
) -> spinetail_status {
    let call = AttentionCall(
        query: query, key: key, value: value, mask: mask, slopes: slopes, scale: scale, softcap: softcap,
        dropout: dropout, queryOffsets: queryOffsets, keyOffsets: keyOffsets, keyLengths: keyLengths,
        blockTable: blockTable, keyScales: keyScales, valueScales: valueScales, options: options.pointee)
    let status = call.check(output: output, at: 1, first: 3, mayDiffer: true)
    if status != Status.ok { return status }
    if let lse {
        if lse.dtype != call.computed { return Status.dtype(2) }
        if !sameRows(lse, query.extent(0), query.extent(1), query.extent(2)) { return Status.shape(2) }
        if !lse.isContiguous { return Status.layout(2) }
    }
    let mostFew = dropout > 0 ? 0 : AttentionDecode<Float>.mostQueries
    if call.computed == Float.dtype {
        return withSequences(Float.self, call, first: 3, mostFew: mostFew) {
            forward(Float.self, output, lse, call, $0)
        }
    }
    if query.holds(Double.self) {
        return withSequences(Double.self, call, first: 3, mostFew: mostFew) {
            forward(Double.self, output, lse, call, $0)
        }
    }
    return Status.dtype(3)
}

/// Calls with the packed sequences, if there are any, checked.
private func withSequences<E: Real>(
    _ type: E.Type, _ call: AttentionCall, first: Int32, mostFew: Int = 0, _ body: (PackedSequences?) -> Int32
) -> Int32 {
    guard let count = call.sequences else { return body(nil) }
    guard let memory = Scratch.take(PackedSequences.bytes(call, count)) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let packed = PackedSequences(
        memory, call, count: count, blockQueries: AttentionBlock<E>.queries, mostFew: mostFew)
    let keys = call.key.extent(2)
    if !packed.valid(packed.queries, total: call.query.extent(2)) { return Status.parameter(first &+ 5) }
    if call.blockTable == nil && !packed.valid(packed.keys, total: keys) { return Status.parameter(first &+ 6) }
    if !packed.validLengths(pageRows: keys) { return Status.parameter(first &+ 7) }
    if !packed.validPages(pageRows: keys, total: call.key.extent(0)) { return Status.parameter(first &+ 8) }
    return body(packed)
}

private func sameRows(_ array: Descriptor, _ a: Int, _ b: Int, _ c: Int) -> Bool {
    array.rank == 3 && array.extent(0) == a && array.extent(1) == b && array.extent(2) == c
}

/// Nanoseconds of work that one task should have at least.
private let taskNanoseconds = 10_000

private func forward<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ lse: Descriptor?, _ call: AttentionCall, _ packed: PackedSequences?
) -> Int32 {
    guard let anything = output.pointer(E.self) ?? lse?.pointer(E.self) else { return Status.ok }
    let problem = AttentionProblem<E>(call, packed: packed, anything: anything)
    let result = HeadRows(output, E.self, fallback: anything)
    let logarithms = lse.map {
        HeadRows($0.pointer(E.self) ?? anything, heads: problem.heads, rows: problem.allQueries)
    }
    if let packed {
        let status = packed.fewCount > 0 ? decode(problem, result, logarithms) : Status.ok
        if status != Status.ok || packed.blocks[packed.count] == 0 { return status }
    } else if problem.queries <= AttentionDecode<E>.mostQueries && !problem.dropout.active {
        return decode(problem, result, logarithms)
    }
    let blocks = pieces(problem.queries, AttentionBlock<E>.queries)
    let units = problem.heads &* (packed.map { $0.blocks[$0.count] } ?? problem.batches &* blocks)
    let cost = problem.blockNanoseconds
    let workers = workerLimit()
    var unitsPerTask = Swift.max(1, divide(taskNanoseconds, by: cost))
    // Where there are many short heads, a thread takes one as a whole: its keys and values are read into one cache.
    if units >= 8 &* workers &* blocks && blocks &* cost <= 10 &* taskNanoseconds {
        unitsPerTask = Swift.max(1, divide(unitsPerTask, by: blocks)) &* blocks
    }
    let bytes = ForwardScratch<E>.bytes(problem, workers: workers)
    guard let scratch = Scratch.take(bytes &* workers) else { return Status.noMemory }
    defer { Scratch.give(scratch) }
    var worker = 0
    while worker < workers {
        let memory = ForwardScratch<E>(scratch + worker &* bytes, problem, workers: workers)
        memory.keyCopy?.forget()
        memory.valueCopy?.forget()
        worker &+= 1
    }
    return parallel(
        pieces(units, unitsPerTask), cost: units &* cost, workers: workers,
        AttentionForward<E>(
            problem: problem, output: result, lse: logarithms,
            scratch: scratch, scratchBytes: bytes, blocks: blocks, units: units, unitsPerTask: unitsPerTask,
            workers: workers))
}

private func decode<E: Real>(
    _ problem: AttentionProblem<E>, _ output: HeadRows<E>, _ lse: HeadRows<E>?
) -> Int32 {
    let rows = problem.fewCount &* problem.heads &* problem.fewQueries
    let units = problem.fewCount &* divide(problem.heads, by: problem.headsPerKey)
    let splits = AttentionDecode<E>.splits(problem)
    let blocks = pieces(pieces(AttentionDecode<E>.decodeKeys(problem), splits), AttentionDecode<E>.blockKeys)
    let partialBytes =
        splits > 1 ? rows &* splits &* DecodeRow<E>.elements(problem.valueWidth) &* MemoryLayout<E>.size : 0
    let bytes = AttentionDecode<E>.bytes(problem)
    let workers = workerLimit()
    guard let scratch = Scratch.take(roundUp(partialBytes, 64) &+ workers &* bytes) else { return Status.noMemory }
    defer { Scratch.give(scratch) }
    let partial = scratch.assumingMemoryBound(to: E.self)
    // Reading a key and a value takes longer than computing with them.
    let cost =
        units &* AttentionDecode<E>.decodeKeys(problem) &* (problem.width &+ problem.valueWidth) &* MemoryLayout<E>.size
        / 16
    let status = parallel(
        units &* splits, cost: cost, workers: workers,
        AttentionDecode<E>(
            problem: problem, output: output, lse: lse, splits: splits,
            keysPerSplit: blocks &* AttentionDecode<E>.blockKeys, partial: partial,
            scratch: scratch + roundUp(partialBytes, 64), scratchBytes: bytes))
    if status != Status.ok || splits == 1 { return status }
    return parallel(
        rows, cost: rows &* splits &* problem.valueWidth / 8,
        JoinSplits<E>(problem: problem, output: output, lse: lse, splits: splits, partial: partial))
}

@c @implementation
public func spinetail_attention_backward(
    _ dquery: Descriptor, _ dkey: Descriptor, _ dvalue: Descriptor, _ dmask: Descriptor?, _ doutput: Descriptor,
    _ output: Descriptor, _ lse: Descriptor, _ query: Descriptor, _ key: Descriptor, _ value: Descriptor,
    _ mask: Descriptor?, _ slopes: Descriptor?, _ queryOffsets: Descriptor?, _ keyOffsets: Descriptor?,
    _ scale: Double, _ softcap: Double, _ dropout: Double,
    _ options: UnsafePointer<spinetail_attention>
) -> spinetail_status {
    let call = AttentionCall(
        query: query, key: key, value: value, mask: mask, slopes: slopes, scale: scale, softcap: softcap,
        dropout: dropout, queryOffsets: queryOffsets, keyOffsets: keyOffsets, options: options.pointee)
    let status = call.check(output: output, at: 6, first: 8, mayDiffer: false)
    if status != Status.ok { return status }
    var gradient = checkGradient(dquery, like: query, at: 1)
    if gradient == Status.ok { gradient = checkGradient(dkey, like: key, at: 2) }
    if gradient == Status.ok { gradient = checkGradient(dvalue, like: value, at: 3) }
    if gradient == Status.ok { gradient = checkGradient(doutput, like: output, at: 5) }
    if gradient != Status.ok { return gradient }
    if lse.dtype != call.computed { return Status.dtype(7) }
    if !sameRows(lse, query.extent(0), query.extent(1), query.extent(2)) { return Status.shape(7) }
    if !lse.isContiguous { return Status.layout(7) }
    if let dmask {
        guard mask != nil, dmask.dtype == call.computed else { return Status.dtype(4) }
        if !sameRows(dmask, query.extent(0), query.extent(1), query.extent(2), key.extent(2)) { return Status.shape(4) }
        if !dmask.isContiguous { return Status.layout(4) }
    }
    let gradients = GradientArrays(
        dquery: dquery, dkey: dkey, dvalue: dvalue, dmask: dmask, doutput: doutput, output: output, lse: lse)
    if call.computed == Float.dtype {
        return withSequences(Float.self, call, first: 8) { backward(Float.self, gradients, call, $0) }
    }
    if query.holds(Double.self) {
        return withSequences(Double.self, call, first: 8) { backward(Double.self, gradients, call, $0) }
    }
    return Status.dtype(8)
}

/// The number of units that a call is cut into at least, where it has the queries for it.
private let leastUnits = 12

private func backward<E: Real>(
    _ type: E.Type, _ arrays: GradientArrays, _ call: AttentionCall, _ packed: PackedSequences?
) -> Int32 {
    guard let gradients = AttentionGradients<E>(arrays) else { return Status.ok }
    let problem = AttentionProblem<E>(call, packed: packed, anything: gradients.dquery.base)
    let heads = problem.batches &* call.key.extent(1)
    if heads == 0 { return Status.ok }
    let blocks = pieces(problem.queries, BackwardBlock<E>.queries) &* problem.headsPerKey
    let shares = Swift.max(1, Swift.min(blocks, pieces(leastUnits, heads)))
    let units = heads &* shares
    let queryBlocks = pieces(problem.queries, AttentionBlock<E>.queries) &* problem.headsPerKey
    let cost = 300 &+ divide(problem.blockNanoseconds &* queryBlocks &* 5 / 2, by: shares)
    let unitsPerTask = Swift.max(1, divide(taskNanoseconds, by: cost))
    let bytes = BackwardScratch<E>.bytes(problem, shares: shares)
    let rowElements = roundUp(problem.width, E.Lanes.width) &+ roundUp(problem.valueWidth, E.Lanes.width)
    let partialCount = shares > 1 ? units &* problem.keys &* rowElements : 0
    let workers = workerLimit()
    guard let scratch = Scratch.take(bytes &* workers &+ partialCount &* MemoryLayout<E>.size) else {
        return Status.noMemory
    }
    defer { Scratch.give(scratch) }
    let partial = (scratch + bytes &* workers).assumingMemoryBound(to: E.self)
    let status = parallel(
        pieces(units, unitsPerTask), cost: units &* cost, workers: workers,
        AttentionBackward<E>(
            problem: problem, gradients: gradients, shares: shares, partial: shares > 1 ? partial : nil,
            scratch: scratch, scratchBytes: bytes, units: units, unitsPerTask: unitsPerTask))
    if status != Status.ok || shares == 1 { return status }
    return parallel(
        heads &* pieces(problem.keys, SumShares<E>.rows), cost: partialCount / 8,
        SumShares<E>(problem: problem, gradients: gradients, partial: partial, shares: shares))
}

private func checkGradient(_ gradient: Descriptor, like array: Descriptor, at position: Int32) -> Int32 {
    if gradient.dtype != array.dtype { return Status.dtype(position) }
    if !gradient.hasShape(of: array) { return Status.shape(position) }
    return hasContiguousRows(gradient) ? Status.ok : Status.layout(position)
}
