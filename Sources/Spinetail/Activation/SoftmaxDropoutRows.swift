import CSpinetail

/// The elements that `spinetail_random_dropout` keeps: those whose words are at least the threshold.
struct KeptElements {
    let seed, offset: Int64
    let threshold: UInt32

    /// Elements that words are made for at once, and the memory that they take, the ends of blocks and of vectors included.
    static var most: Int { 1024 }
    static var bytes: Int { (most &+ 64) &* 4 }

    init(_ seed: Int64, _ offset: Int64, _ probability: Double) {
        self.seed = seed
        self.offset = offset
        threshold = UInt32(truncatingIfNeeded: spinetail_threshold(probability))
    }

    /// Where, in `memory`, the word of element `first` stands, and behind it those of the next `count`.
    @inline(never)
    func words(_ first: Int, _ count: Int, in memory: UnsafeMutablePointer<UInt32>) -> UnsafePointer<UInt32> {
        let start = first & ~31
        var element = start
        while element < first &+ count {
            spinetail_philox(seed, offset, Int64(truncatingIfNeeded: element >> 2), memory + (element &- start))
            element &+= 32
        }
        return UnsafePointer(memory) + (first &- start)
    }
}

struct SoftmaxDropoutRows<E: Real> {
    let x: UnsafePointer<E>
    let mask: Descriptor?
    let statistics: UnsafeMutablePointer<E>?
    let rows, size: Int
    let kept: KeptElements
    let factor: E

    var rowsPerPiece: Int { Swift.max(1, divide(elementwiseGrain, by: size)) }
    var pieces: Int { Spinetail.pieces(rows, rowsPerPiece) }
    var cost: Int { rows &* size &* (MemoryLayout<E>.size >> 2) }

    @inline(__always) func range(_ piece: Int) -> (first: Int, end: Int) {
        let first = piece &* rowsPerPiece
        return (first, Swift.min(rows, first &+ rowsPerPiece))
    }

    /// Stores exp(x - top) of a row of x and returns the sum.
    @inline(never) func exponentials(_ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ top: E) -> E {
        rowExponentials(x, y, size, top, RowFetch(single: size))
    }

    /// A row of the input, or where there is a mask its sum with that, in `own`.
    @inline(never) func source(_ row: Int, _ own: UnsafeMutablePointer<E>) -> UnsafePointer<E> {
        let x = x + row &* size
        guard let mask, let data = mask.pointee.data else { return x }
        var bytes = 0
        var left = row
        var axis = mask.rank &- 2
        while axis >= 0 {
            let above = divide(left, by: mask.extent(axis))
            bytes = bytes &+ (left &- above &* mask.extent(axis)) &* mask.byteStride(axis)
            left = above
            axis &-= 1
        }
        let m = UnsafePointer((data + bytes).assumingMemoryBound(to: E.self))
        var i = 0
        while i < size {
            let whole = size &- i >= E.Lanes.width
            (E.Lanes.take(x + i, whole, size &- i) + E.Lanes.take(m + i, whole, size &- i)).put(
                own + i, whole, size &- i)
            i &+= E.Lanes.width
        }
        return UnsafePointer(own)
    }
}

struct SoftmaxDropoutForward<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let job: SoftmaxDropoutRows<E>
    let scratch: UnsafeMutableRawPointer

    func run(_ index: Int, worker: Int) {
        let size = job.size
        let memory = (scratch + worker &* KeptElements.bytes).assumingMemoryBound(to: UInt32.self)
        var (row, end) = job.range(index)
        while row < end {
            let to = y + row &* size
            let from = job.source(row, to)
            var top = rowLargest(from, size)
            // A row that the mask hides wholly has no largest element, and shares of 0.
            if job.mask != nil && top == -E.infinity { top = 0 }
            let sum = job.exponentials(from, to, top)
            let share = job.mask != nil && sum == 0 ? 0 : 1 / sum
            if job.kept.threshold == 0 { rowScale(to, size, share) } else { drop(row, to, share, memory) }
            if let statistics = job.statistics {
                statistics[2 &* row] = top
                statistics[2 &* row &+ 1] = share
            }
            row &+= 1
        }
    }

    @inline(__always)
    private func drop(_ row: Int, _ y: UnsafeMutablePointer<E>, _ share: E, _ memory: UnsafeMutablePointer<UInt32>) {
        typealias V = E.Lanes
        let share = V(repeating: share), factor = V(repeating: job.factor)
        let threshold = job.kept.threshold
        var start = 0
        while start < job.size {
            let some = Swift.min(KeptElements.most, job.size &- start)
            let words = job.kept.words(row &* job.size &+ start, some, in: memory)
            let y = y + start
            var i = 0
            while i < some {
                let whole = some &- i >= V.width
                let value = V.take(y + i, whole, some &- i) * share * factor
                V.select(V.atLeast(words + i, threshold), value, .zero).put(y + i, whole, some &- i)
                i &+= V.width
            }
            start &+= some
        }
    }
}

/// dx = share · (g - Σ share · g), where g is the gradient of what was kept.
struct SoftmaxDropoutBackward<E: Real>: ParallelTask {
    let dx: UnsafeMutablePointer<E>
    let dy: UnsafePointer<E>
    let job: SoftmaxDropoutRows<E>
    let scratch: UnsafeMutableRawPointer
    let perWorker: Int

    func run(_ index: Int, worker: Int) {
        guard let statistics = job.statistics else { return }
        typealias V = E.Lanes
        let size = job.size
        let own = scratch + worker &* perWorker
        let memory = own.assumingMemoryBound(to: UInt32.self)
        let shares = (own + KeptElements.bytes).assumingMemoryBound(to: E.self)
        var (row, end) = job.range(index)
        while row < end {
            let dx = dx + row &* size
            _ = job.exponentials(job.source(row, shares), shares, statistics[2 &* row])
            let total = V(repeating: gradients(row, shares, statistics[2 &* row &+ 1], memory))
            var i = 0
            while i < size {
                let whole = size &- i >= V.width
                let g = V.take(dx + i, whole, size &- i)
                (V.take(shares + i, whole, size &- i) * (g - total)).put(dx + i, whole, size &- i)
                i &+= V.width
            }
            row &+= 1
        }
    }

    /// Stores the row's shares and its gradients g; returns Σ share · g.
    @inline(__always)
    private func gradients(
        _ row: Int, _ shares: UnsafeMutablePointer<E>, _ share: E, _ memory: UnsafeMutablePointer<UInt32>
    ) -> E {
        typealias V = E.Lanes
        let share = V(repeating: share), factor = V(repeating: job.factor)
        let threshold = job.kept.threshold
        var sum = V.zero
        var start = 0
        while start < job.size {
            let some = Swift.min(KeptElements.most, job.size &- start)
            let place = row &* job.size &+ start
            let words = job.kept.words(place, some, in: memory)
            let shares = shares + start
            var i = 0
            while i < some {
                let whole = some &- i >= V.width
                let p = V.take(shares + i, whole, some &- i) * share
                let g = V.take(dy + (place &+ i), whole, some &- i) * factor
                let kept = V.select(V.atLeast(words + i, threshold), g, .zero)
                sum = V.fma(p, kept, sum)
                p.put(shares + i, whole, some &- i)
                kept.put(dx + (place &+ i), whole, some &- i)
                i &+= V.width
            }
            start &+= some
        }
        return sum.sum()
    }
}
