import CSpinetail

/// Sequences of any lengths, one after another in arrays of a single batch: where each begins among the queries and
/// among the keys, how many keys it has, and how many blocks of queries come before it. Keys may lie in pages instead.
/// Copied from the caller's arrays, and checked.
struct PackedSequences {
    let count: Int
    let queries: UnsafeMutablePointer<Int>
    let keys: UnsafeMutablePointer<Int>
    let used: UnsafeMutablePointer<Int>
    let blocks: UnsafeMutablePointer<Int>
    /// The sequences of few queries, which have no blocks.
    let few: UnsafeMutablePointer<Int>
    private(set) var fewCount = 0
    private(set) var fewLongest = 1
    private(set) var longest = 0
    /// The pages of each sequence, `pagesEach` apart.
    private let pages: UnsafeMutablePointer<Int32>
    private let pagesEach: Int
    private let isPaged: Bool

    static func bytes(_ call: AttentionCall, _ count: Int) -> Int {
        let pages = call.blockTable.map { $0.extent(1) } ?? 0
        return 5 &* (count &+ 1) &* MemoryLayout<Int>.size &+ count &* pages &* MemoryLayout<Int32>.size
    }

    /// - mostFew: sequences of so many queries at most are few.
    init(_ memory: UnsafeMutableRawPointer, _ call: AttentionCall, count: Int, blockQueries: Int, mostFew: Int) {
        self.count = count
        queries = memory.assumingMemoryBound(to: Int.self)
        keys = queries + (count &+ 1)
        used = keys + (count &+ 1)
        blocks = used + (count &+ 1)
        few = blocks + (count &+ 1)
        pages = UnsafeMutableRawPointer(few + (count &+ 1)).assumingMemoryBound(to: Int32.self)
        pagesEach = call.blockTable.map { $0.extent(1) } ?? 0
        isPaged = call.blockTable != nil
        copy(call.queryOffsets, to: queries, count &+ 1)
        copy(call.keyOffsets, to: keys, count &+ 1)
        copy(call.keyLengths, to: used, count)
        if let table = call.blockTable?.pointer(Int32.self) {
            memcpy(pages, table, count &* pagesEach &* MemoryLayout<Int32>.size)
        }
        blocks[0] = 0
        var i = 0
        while i < count {
            if isPaged { keys[i] = 0 }
            if call.keyLengths == nil { used[i] = keys[i &+ 1] &- keys[i] }
            let own = queries[i &+ 1] &- queries[i]
            let isFew = own <= mostFew
            blocks[i &+ 1] = blocks[i] &+ (isFew ? 0 : pieces(own, blockQueries))
            if isFew && own > 0 {
                few[fewCount] = i
                fewCount &+= 1
                fewLongest = Swift.max(fewLongest, own)
            }
            longest = Swift.max(longest, own)
            i &+= 1
        }
    }

    private func copy(_ numbers: Descriptor?, to out: UnsafeMutablePointer<Int>, _ count: Int) {
        guard let from = numbers?.pointer(Int64.self) else { return }
        var i = 0
        while i < count {
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

    /// Whether each sequence has as many keys as it uses.
    func validLengths(pageRows: Int) -> Bool {
        var i = 0
        while i < count {
            let room = isPaged ? pagesEach &* pageRows : keys[i &+ 1] &- keys[i]
            if used[i] < 0 || used[i] > room { return false }
            i &+= 1
        }
        return true
    }

    /// Whether the pages of all keys in use are among `total`.
    func validPages(pageRows: Int, total: Int) -> Bool {
        var i = 0
        while isPaged && i < count {
            var page = 0
            while page &* pageRows < used[i] {
                let number = Int(pages[i &* pagesEach &+ page])
                if number < 0 || number >= total { return false }
                page &+= 1
            }
            i &+= 1
        }
        return true
    }

    /// The most of some numbers, one for each sequence.
    func most(_ numbers: UnsafeMutablePointer<Int>) -> Int {
        var most = 0
        var i = 0
        while i < count {
            most = Swift.max(most, numbers[i])
            i &+= 1
        }
        return most
    }

    func table(_ number: Int) -> UnsafePointer<Int32>? {
        isPaged ? UnsafePointer(pages + number &* pagesEach) : nil
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
        p.keys = packed.used[number]
        p.query = query.moved(p.queryOrigin)
        if let table = packed.table(number) {
            p.key.pages = table
            p.value.pages = table
        } else {
            p.key = key.moved(p.keyOrigin)
            p.value = value.moved(p.keyOrigin)
        }
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
