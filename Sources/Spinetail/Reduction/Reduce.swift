import CSpinetail

@c @implementation
public func spinetail_reduction(
    _ values: Descriptor?, _ indices: Descriptor?, _ input: Descriptor, _ first: Int64, _ last: Int64,
    _ operation: Int64, _ parameter: Double
) -> spinetail_status {
    let size = input.holds(Double.self) ? 8 : 4
    let rank = Int64(truncatingIfNeeded: Swift.max(1, input.rank))
    if first < 0 || last < first || last >= rank { return Status.parameter(4) }
    guard
        let extents = Extents(
            input, Int(truncatingIfNeeded: first), Int(truncatingIfNeeded: last), elementSize: size)
    else { return Status.layout(3) }
    if extents.n < 1 { return Status.shape(3) }
    let results = extents.outer &* extents.inner
    if let values {
        if values.dtype != input.dtype { return Status.dtype(1) }
        if values.count != results { return Status.shape(1) }
        if !values.isContiguous { return Status.layout(1) }
    }
    if let indices {
        if indices.dtype != Int32(SPINETAIL_INT64) { return Status.dtype(2) }
        if indices.count != results { return Status.shape(2) }
        if !indices.isContiguous { return Status.layout(2) }
    }
    let finds = operation == Int64(SPINETAIL_FIND_LARGEST) || operation == Int64(SPINETAIL_FIND_SMALLEST)
    if finds ? values == nil && indices == nil : values == nil || indices != nil { return Status.parameter(6) }
    if input.holds(Float.self) { return reduce(Float.self, values, indices, input, extents, operation, parameter) }
    if input.holds(Double.self) { return reduce(Double.self, values, indices, input, extents, operation, parameter) }
    return Status.dtype(3)
}

/// An input seen as (outer, n, inner); pitches are elements from one of `outer`, and of `n`, to the next.
struct Extents {
    var outer = 1
    var n = 1
    var inner = 1
    var outerPitch = 0
    var pitch = 0

    /// nil for strides that the kernels do not take.
    init?(_ input: Descriptor, _ first: Int, _ last: Int, elementSize: Int) {
        if input.isContiguous {
            var axis = 0
            while axis < input.rank {
                let extent = input.extent(axis)
                if axis < first {
                    outer = outer &* extent
                } else if axis > last {
                    inner = inner &* extent
                } else {
                    n = n &* extent
                }
                axis &+= 1
            }
            pitch = inner
            outerPitch = n &* inner
            return
        }
        if input.rank != 3 || first != 1 || last != 1 { return nil }
        outer = input.extent(0)
        n = input.extent(1)
        inner = input.extent(2)
        if inner > 1 ? input.byteStride(2) != elementSize : n > 1 && input.byteStride(1) != elementSize { return nil }
        outerPitch = input.byteStride(0) >> (elementSize == 8 ? 3 : 2)
        pitch = input.byteStride(1) >> (elementSize == 8 ? 3 : 2)
    }
}

private func reduce<E: Real>(
    _ type: E.Type, _ values: Descriptor?, _ indices: Descriptor?, _ input: Descriptor, _ extents: Extents,
    _ operation: Int64, _ parameter: Double
) -> Int32 {
    guard let x = input.pointer(type) else { return Status.ok }
    let plan = Lines<E>(
        x: UnsafePointer(x), extents: extents, values: values?.pointer(type), indices: indices?.pointer(Int64.self))
    switch Int(truncatingIfNeeded: operation) {
    case Int(SPINETAIL_SUM): return plan.run(SumFold<E, Plain>(divisor: parameter))
    case Int(SPINETAIL_SUM_ABS): return plan.run(SumFold<E, Magnitude>(divisor: parameter))
    case Int(SPINETAIL_SUM_SQUARES): return plan.run(SquaresFold<E>(divisor: parameter, isNorm: false))
    case Int(SPINETAIL_NORM): return plan.run(SquaresFold<E>(divisor: 1, isNorm: true))
    case Int(SPINETAIL_PRODUCT): return plan.run(ProductFold<E>())
    case Int(SPINETAIL_LARGEST): return plan.run(ExtremeFold<E, Largest, Plain>())
    case Int(SPINETAIL_SMALLEST): return plan.run(ExtremeFold<E, Smallest, Plain>())
    case Int(SPINETAIL_LARGEST_ABS): return plan.run(ExtremeFold<E, Largest, Magnitude>())
    case Int(SPINETAIL_SMALLEST_ABS): return plan.run(ExtremeFold<E, Smallest, Magnitude>())
    case Int(SPINETAIL_FIND_LARGEST): return plan.run(PlaceFold<E, Largest>())
    case Int(SPINETAIL_FIND_SMALLEST): return plan.run(PlaceFold<E, Smallest>())
    case Int(SPINETAIL_SPREAD): return plan.run(SpreadFold<E>(divisor: parameter))
    case Int(SPINETAIL_LOG_SUM_EXP): return plan.run(LogSumExpFold<E>())
    default: return Status.parameter(6)
    }
}

/// Elements of a piece of work, and of a chunk of a long row; a chunk stays in the L2 cache.
private let reductionGrain = 32_768

/// The lines of an input (outer, n, inner), and where their results go.
struct Lines<E: Real> {
    let x: UnsafePointer<E>
    let extents: Extents
    let values: UnsafeMutablePointer<E>?
    let indices: UnsafeMutablePointer<Int64>?
    @inline(__always) var outer: Int { extents.outer }
    @inline(__always) var n: Int { extents.n }
    @inline(__always) var inner: Int { extents.inner }

    /// Cuts the lines into pieces by their sizes alone, folds these, and merges the chunks of each line in order.
    func run<F: Fold>(_ fold: F) -> Int32 where F.E == E {
        let width = Swift.min(inner, columnStrip)
        let rows = inner == 1 ? 2 &* reductionGrain : Swift.max(F.rows, divide(4 &* reductionGrain, by: width))
        let chunk = Swift.min(n, rows)
        let chunks = pieces(n, chunk)
        let group = chunks > 1 ? 1 : Swift.max(1, divide(reductionGrain, by: n &* inner))
        // Strips of a piece: as many as give it work enough.
        let strip = Swift.max(1, divide(reductionGrain, by: chunk &* width)) &* columnStrip
        let strips = inner == 1 ? 1 : pieces(inner, strip)
        let workers = workerLimit()
        let inBlocks = inner == 1 && chunks == 1 && outer > 1
        let scratchBytes = inner == 1 && !inBlocks ? 0 : workers &* columnScratch
        let partialBytes = chunks > 1 ? outer &* chunks &* inner &* MemoryLayout<Partial>.stride : 0
        guard let memory = Scratch.take(scratchBytes &+ partialBytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        let partials = chunks > 1 ? (memory + scratchBytes).assumingMemoryBound(to: Partial.self) : nil
        let cost = (outer &* n &* inner) / 16 &* F.cost &+ outer &* inner &* 4
        let task = FoldTask(
            fold: fold, lines: self, partials: partials, scratch: memory, chunk: chunk, chunks: chunks, group: group,
            strip: strip, strips: strips, inBlocks: inBlocks)
        let status = parallel(pieces(outer, group) &* strips &* chunks, cost: cost, workers: workers, task)
        guard status == Status.ok, let partials else { return status }
        let merging = MergeTask(fold: fold, lines: self, partials: partials, chunks: chunks)
        return parallel(pieces(outer &* inner, MergeTask<F>.grain), cost: outer &* inner &* chunks &* 3, merging)
    }

    @inline(__always) func put<F: Fold>(_ fold: F, _ index: Int, _ result: Partial) where F.E == E {
        if let values { values[index] = fold.finish(result) }
        if let indices { indices[index] = Int64(truncatingIfNeeded: result.index) }
    }
}

private struct FoldTask<F: Fold>: ParallelTask {
    let fold: F
    let lines: Lines<F.E>
    let partials: UnsafeMutablePointer<Partial>?
    let scratch: UnsafeMutableRawPointer
    let chunk, chunks, group, strip, strips: Int
    let inBlocks: Bool

    func run(_ index: Int, worker: Int) {
        let part = remainder(index, by: chunks)
        let rest = divide(index, by: chunks)
        let first = part &* chunk
        let n = Swift.min(chunk, lines.n &- first)
        let start = remainder(rest, by: strips) &* strip
        var i = divide(rest, by: strips) &* group
        let end = Swift.min(lines.outer, i &+ group)
        if inBlocks && block(i, end &- i, scratch + worker &* columnScratch) { return }
        while i < end {
            let p = lines.x + i &* lines.extents.outerPitch + first &* lines.extents.pitch
            if lines.inner == 1 {
                put(i, 0, part, fold.row(p, n, first: first))
            } else {
                columns(i, part, p, n, first, start, scratch + worker &* columnScratch)
            }
            i &+= 1
        }
    }

    private func block(_ i: Int, _ count: Int, _ scratch: UnsafeMutableRawPointer) -> Bool {
        let pitch = lines.extents.outerPitch
        return fold.rows(
            lines.x + i &* pitch, count, lines.n, pitch: pitch, limit: lines.x + (lines.outer &- 1) &* pitch + lines.n,
            lines.values.map { $0 + i }, lines.indices.map { $0 + i }, scratch)
    }

    private func columns(
        _ i: Int, _ part: Int, _ p: UnsafePointer<F.E>, _ n: Int, _ first: Int, _ start: Int,
        _ scratch: UnsafeMutableRawPointer
    ) {
        var from = start
        let end = Swift.min(lines.inner, start &+ strip)
        while from < end {
            let count = Swift.min(columnStrip, end &- from)
            fold.columns(p + from, n, pitch: lines.extents.pitch, count: count, scratch)
            var j = 0
            while j < count {
                put(i, from &+ j, part, fold.column(scratch, j, n, first: first))
                j &+= 1
            }
            from &+= count
        }
    }

    @inline(__always) private func put(_ i: Int, _ j: Int, _ part: Int, _ result: Partial) {
        if let partials {
            partials[(i &* chunks &+ part) &* lines.inner &+ j] = result
        } else {
            lines.put(fold, i &* lines.inner &+ j, result)
        }
    }
}

/// The chunks of each line become one result.
private struct MergeTask<F: Fold>: ParallelTask {
    static var grain: Int { 1024 }
    let fold: F
    let lines: Lines<F.E>
    let partials: UnsafeMutablePointer<Partial>
    let chunks: Int

    func run(_ index: Int, worker: Int) {
        var k = index &* Self.grain
        let end = Swift.min(lines.outer &* lines.inner, k &+ Self.grain)
        while k < end {
            let i = divide(k, by: lines.inner)
            let p = partials + (i &* chunks &* lines.inner &+ (k &- i &* lines.inner))
            var result = p[0]
            var part = 1
            while part < chunks {
                result = fold.merge(result, p[part &* lines.inner])
                part &+= 1
            }
            lines.put(fold, k, result)
            k &+= 1
        }
    }
}
