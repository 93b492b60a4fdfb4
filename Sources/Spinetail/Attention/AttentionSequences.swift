import CSpinetail

/// Sequences of any lengths, one after another in arrays of a single batch: where each begins among the queries and
/// among the keys, and how many blocks of queries come before it. Copied from the caller's arrays, and checked.
struct PackedSequences {
    let count: Int
    let queries: UnsafeMutablePointer<Int>
    let keys: UnsafeMutablePointer<Int>
    let blocks: UnsafeMutablePointer<Int>

    static func bytes(_ count: Int) -> Int { 3 &* (count &+ 1) &* MemoryLayout<Int>.size }

    init(_ memory: UnsafeMutableRawPointer, _ call: AttentionCall, count: Int, blockQueries: Int) {
        self.count = count
        queries = memory.assumingMemoryBound(to: Int.self)
        keys = queries + (count &+ 1)
        blocks = keys + (count &+ 1)
        copy(call.queryOffsets, to: queries)
        copy(call.keyOffsets, to: keys)
        blocks[0] = 0
        var i = 0
        while i < count {
            blocks[i &+ 1] = blocks[i] &+ pieces(queries[i &+ 1] &- queries[i], blockQueries)
            i &+= 1
        }
    }

    private func copy(_ offsets: Descriptor?, to out: UnsafeMutablePointer<Int>) {
        guard let from = offsets?.pointer(Int64.self) else { return }
        var i = 0
        while i <= count {
            out[i] = Int(from[i])
            i &+= 1
        }
    }

    /// Whether the offsets begin at 0, never fall and end at `total`.
    func valid(_ offsets: UnsafeMutablePointer<Int>, total: Int) -> Bool {
        var i = 0
        while i < count {
            if offsets[i] > offsets[i &+ 1] { return false }
            i &+= 1
        }
        return offsets[0] == 0 && offsets[count] == total
    }

    func longest(_ offsets: UnsafeMutablePointer<Int>) -> Int {
        var most = 0
        var i = 0
        while i < count {
            most = Swift.max(most, offsets[i &+ 1] &- offsets[i])
            i &+= 1
        }
        return most
    }

    /// The sequence that has the given one of all blocks.
    func sequence(block: Int) -> Int {
        var low = 0
        var high = count
        while high &- low > 1 {
            let middle = (low &+ high) / 2
            if blocks[middle] <= block { low = middle } else { high = middle }
        }
        return low
    }
}

extension AttentionProblem {
    /// The problem of one packed sequence; any number of batches stays as it is.
    func sequence(_ number: Int) -> Self {
        guard let packed else { return self }
        var p = self
        p.queryOrigin = packed.queries[number]
        p.keyOrigin = packed.keys[number]
        p.queries = packed.queries[number &+ 1] &- p.queryOrigin
        p.keys = packed.keys[number &+ 1] &- p.keyOrigin
        p.query = query.moved(p.queryOrigin)
        p.key = key.moved(p.keyOrigin)
        p.value = value.moved(p.keyOrigin)
        p.place()
        return p
    }
}

extension AttentionGradients {
    func sequence(_ p: AttentionProblem<E>) -> Self {
        if p.packed == nil { return self }
        var g = self
        g.dquery = dquery.moved(p.queryOrigin)
        g.dkey = dkey.moved(p.keyOrigin)
        g.dvalue = dvalue.moved(p.keyOrigin)
        g.doutput = doutput.moved(p.queryOrigin)
        g.output = output.moved(p.queryOrigin)
        g.lse = lse.moved(p.queryOrigin)
        return g
    }
}
