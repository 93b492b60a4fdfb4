import CSpinetail

@c @implementation
public func spinetail_truth(
    _ output: Descriptor, _ input: Descriptor, _ first: Int64, _ last: Int64, _ all: Int64
) -> spinetail_status {
    let rank = Int64(truncatingIfNeeded: Swift.max(1, input.rank))
    if first < 0 || last < first || last >= rank { return Status.parameter(3) }
    if output.dtype != Int32(SPINETAIL_BOOL) { return Status.dtype(1) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    guard
        let extents = Extents(input, Int(truncatingIfNeeded: first), Int(truncatingIfNeeded: last), elementSize: 1)
    else { return Status.layout(2) }
    if output.count != extents.outer &* extents.inner { return Status.shape(1) }
    switch Int(truncatingIfNeeded: input.dtype) {
    case Int(SPINETAIL_FLOAT32): return truth(output, input, extents, 0x7FFF_FFFF as UInt32, all != 0)
    case Int(SPINETAIL_FLOAT64): return truth(output, input, extents, 0x7FFF_FFFF_FFFF_FFFF as UInt64, all != 0)
    case Int(SPINETAIL_FLOAT16), Int(SPINETAIL_BFLOAT16):
        return truth(output, input, extents, 0x7FFF as UInt16, all != 0)
    case Int(SPINETAIL_INT32): return truth(output, input, extents, UInt32.max, all != 0)
    case Int(SPINETAIL_INT64): return truth(output, input, extents, UInt64.max, all != 0)
    case Int(SPINETAIL_INT8), Int(SPINETAIL_UINT8), Int(SPINETAIL_BOOL):
        return truth(output, input, extents, UInt8.max, all != 0)
    default: return Status.dtype(2)
    }
}

private func truth<K: FixedWidthInteger & UnsignedInteger>(
    _ output: Descriptor, _ input: Descriptor, _ extents: Extents, _ mask: K, _ all: Bool
) -> Int32 {
    guard let y = output.pointer(UInt8.self) else { return Status.ok }
    let lines = extents.outer &* extents.inner
    guard extents.n > 0, let x = input.pointer(K.self) else {
        if lines > 0 { memset(y, all ? 1 : 0, lines) }
        return Status.ok
    }
    // A piece is a chunk of one row, several rows, or a strip of columns.
    let grain = 262_144 / MemoryLayout<K>.size
    let chunks = extents.inner == 1 ? pieces(extents.n, grain) : 1
    let group = chunks > 1 ? 1 : Swift.max(1, divide(grain, by: extents.n &* Swift.min(extents.inner, 1024)))
    let strips = pieces(extents.inner, 1024)
    guard let memory = Scratch.take(chunks > 1 ? extents.outer &* chunks : 0) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let parts = chunks > 1 ? memory.assumingMemoryBound(to: UInt8.self) : y
    let task = TruthTask(
        y: parts, x: UnsafePointer(x), extents: extents, mask: mask, all: all, grain: grain, chunks: chunks,
        group: group, strips: strips)
    let bytes = extents.outer &* extents.n &* extents.inner &* MemoryLayout<K>.size
    let status = parallel(pieces(extents.outer, group) &* strips &* chunks, cost: bytes / 16, task)
    if status != Status.ok || chunks == 1 { return status }
    var i = 0
    while i < extents.outer {
        var result: UInt8 = all ? 1 : 0
        var part = i &* chunks
        while part < (i &+ 1) &* chunks {
            result = all ? result & parts[part] : result | parts[part]
            part &+= 1
        }
        y[i] = result
        i &+= 1
    }
    return Status.ok
}

private struct TruthTask<K: FixedWidthInteger & UnsignedInteger>: ParallelTask {
    let y: UnsafeMutablePointer<UInt8>
    let x: UnsafePointer<K>
    let extents: Extents
    let mask: K
    let all: Bool
    let grain, chunks, group, strips: Int

    func run(_ index: Int, worker: Int) {
        let part = remainder(index, by: chunks)
        let rest = divide(index, by: chunks)
        let from = remainder(rest, by: strips) &* 1024
        let first = part &* grain
        var i = divide(rest, by: strips) &* group
        let end = Swift.min(extents.outer, i &+ group)
        while i < end {
            let p = x + i &* extents.outerPitch
            if extents.inner == 1 {
                let n = Swift.min(chunks == 1 ? extents.n : grain, extents.n &- first)
                y[i &* chunks &+ part] = (all ? !hasZero(p + first, n) : hasOther(p + first, n)) ? 1 : 0
            } else {
                columns(p + from, Swift.min(1024, extents.inner &- from), y + i &* extents.inner + from)
            }
            i &+= 1
        }
    }

    /// Whether some of n elements is not zero; blocks, so that the search may end early.
    private func hasOther(_ p: UnsafePointer<K>, _ n: Int) -> Bool {
        var i = 0
        while i < n {
            let end = Swift.min(n, i &+ 1024)
            var bits: K = 0
            while i < end {
                bits |= p[i]
                i &+= 1
            }
            if bits & mask != 0 { return true }
        }
        return false
    }

    private func hasZero(_ p: UnsafePointer<K>, _ n: Int) -> Bool {
        var i = 0
        while i < n {
            let end = Swift.min(n, i &+ 1024)
            var zeros: K = 0
            while i < end {
                zeros |= p[i] & mask == 0 ? 1 : 0
                i &+= 1
            }
            if zeros != 0 { return true }
        }
        return false
    }

    private func columns(_ p: UnsafePointer<K>, _ count: Int, _ y: UnsafeMutablePointer<UInt8>) {
        memset(y, all ? 1 : 0, count)
        var r = 0
        while r < extents.n {
            let q = p + r &* extents.pitch
            var j = 0
            if all {
                while j < count {
                    y[j] &= q[j] & mask == 0 ? 0 : 1
                    j &+= 1
                }
            } else {
                while j < count {
                    y[j] |= q[j] & mask == 0 ? 0 : 1
                    j &+= 1
                }
            }
            r &+= 1
        }
    }
}
