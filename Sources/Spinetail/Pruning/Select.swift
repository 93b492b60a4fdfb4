import CSpinetail

// Exact selection by radix: magnitudes of floats order as their bits do without the sign. A histogram of the top digit
// finds the bin of the wanted rank; the elements of that bin are gathered, unless they are most of all, and the next
// digits decide among them. Every pass is linear and counts integers, so threads cannot change the result.

/// The bits of a float without its sign.
protocol MagnitudeKey: FixedWidthInteger, UnsignedInteger {
    static var magnitude: Self { get }
    static var infinity: Self { get }
    static var topShift: Int { get }
    /// The digit below the one at `shift`: its own shift, and its bits.
    static func next(_ shift: Int) -> (shift: Int, bits: Int)
}

extension UInt32: MagnitudeKey {
    @inline(__always) static var magnitude: UInt32 { 0x7FFF_FFFF }
    @inline(__always) static var infinity: UInt32 { 0x7F80_0000 }
    @inline(__always) static var topShift: Int { 20 }
    @inline(__always) static func next(_ shift: Int) -> (shift: Int, bits: Int) { (shift &- 10, 10) }
}

extension UInt64: MagnitudeKey {
    @inline(__always) static var magnitude: UInt64 { 0x7FFF_FFFF_FFFF_FFFF }
    @inline(__always) static var infinity: UInt64 { 0x7FF0_0000_0000_0000 }
    @inline(__always) static var topShift: Int { 52 }
    @inline(__always) static func next(_ shift: Int) -> (shift: Int, bits: Int) {
        shift > 30 ? (shift &- 11, 11) : (shift &- 10, 10)
    }
}

/// Elements of one piece of work.
let pruningGrain = 65_536
private let bins = 2048

@c @implementation
public func spinetail_pruning_select(
    _ threshold: Descriptor, _ ties: Descriptor, _ arrays: Descriptor, _ arrayCount: Int, _ count: Int64
) -> spinetail_status {
    let list = TensorList(arrays, arrayCount)
    let status = list.check(3)
    if status != 0 { return status }
    if !ties.hasShape(2) { return Status.shape(2) }
    if ties.dtype != Int32(SPINETAIL_INT64) { return Status.dtype(2) }
    if !ties.isContiguous { return Status.layout(2) }
    if threshold.count != 1 { return Status.shape(1) }
    var i = 0
    while i < arrayCount {
        if (arrays + i).dtype != threshold.dtype { return Status.dtype(3) }
        i &+= 1
    }
    if threshold.holds(Float.self) { return selectMagnitude(UInt32.self, threshold, ties, list, count) }
    if threshold.holds(Double.self) { return selectMagnitude(UInt64.self, threshold, ties, list, count) }
    return Status.dtype(1)
}

private func selectMagnitude<K: MagnitudeKey>(
    _ type: K.Type, _ threshold: Descriptor, _ ties: Descriptor, _ list: TensorList, _ count: Int64
) -> Int32 {
    let workers = workerLimit()
    let tables = (list.count &+ 1) &* 8
    guard let memory = Scratch.take(tables &+ (workers &+ 1) &* bins &* 32) else { return Status.noMemory }
    defer { Scratch.give(memory) }
    let offsets = memory.assumingMemoryBound(to: Int.self)
    let counts = (memory + tables).assumingMemoryBound(to: Int.self)
    var total = 0
    var pieces = 0
    var i = 0
    while i < list.count {
        offsets[i] = pieces
        let size = (list.arrays + i).count
        total = total &+ size
        pieces = pieces &+ (size &+ pruningGrain &- 1) / pruningGrain
        i &+= 1
    }
    offsets[list.count] = pieces
    var rank = Int(truncatingIfNeeded: count)
    if rank < 1 || rank > total { return Status.parameter(5) }
    guard let result = threshold.pointer(K.self), let tied = ties.pointer(Int64.self) else { return Status.ok }

    var source = KeySource<K>(list: list, offsets: offsets, pieces: pieces, gathered: nil, size: total)
    var shift = K.topShift
    var prefix: K = 0
    var status = histogram(source, counts, workers, shift: shift, bits: 11, prefix: nil)
    if status != 0 { return status }
    let infinityBin = Int(truncatingIfNeeded: K.infinity >> K(truncatingIfNeeded: shift))
    var above = infinityBin
    while above < bins {
        if counts[above] != 0 && source.holdsNaN() { return Status.parameter(3) }
        above &+= 1
    }
    var bin = findBin(counts, &rank)
    prefix = K(truncatingIfNeeded: bin)
    var gathered: UnsafeMutableRawPointer? = nil
    defer { Scratch.give(gathered) }
    if counts[bin] <= total / 4 {
        gathered = Scratch.take((counts[bin] &+ 64) &* MemoryLayout<K>.stride)
        if let gathered {
            let keys = gathered.assumingMemoryBound(to: K.self)
            status = gather(source, keys, workers, shift: shift, limit: counts[bin], prefix: prefix)
            if status != 0 { return status }
            source = KeySource(list: list, offsets: offsets, pieces: 0, gathered: keys, size: counts[bin])
        }
    }
    while shift > 0 {
        let digit = K.next(shift)
        status = histogram(source, counts, workers, shift: digit.shift, bits: digit.bits, prefix: prefix)
        if status != 0 { return status }
        bin = findBin(counts, &rank)
        prefix = (prefix << K(truncatingIfNeeded: digit.bits)) | K(truncatingIfNeeded: bin)
        shift = digit.shift
    }
    result.pointee = prefix
    tied[0] = Int64(truncatingIfNeeded: rank)
    tied[1] = Int64(truncatingIfNeeded: counts[bin])
    return Status.ok
}

/// The bin that holds the element of the given rank (from 1), which becomes its rank within the bin.
private func findBin(_ counts: UnsafePointer<Int>, _ rank: inout Int) -> Int {
    var bin = 0
    while bin < bins &- 1 && rank > counts[bin] {
        rank = rank &- counts[bin]
        bin &+= 1
    }
    return bin
}

/// Where keys come from: the arrays of a list, piece by piece, or a buffer of gathered keys.
private struct KeySource<K: MagnitudeKey> {
    let list: TensorList
    let offsets: UnsafeMutablePointer<Int>
    let pieces: Int
    let gathered: UnsafeMutablePointer<K>?
    let size: Int

    var count: Int { gathered == nil ? pieces : (size &+ pruningGrain &- 1) / pruningGrain }

    /// One piece: where it starts and how long it is.
    @inline(__always) func piece(_ index: Int) -> (UnsafePointer<K>?, Int) {
        if let gathered {
            let start = index &* pruningGrain
            return (UnsafePointer(gathered + start), Swift.min(pruningGrain, size &- start))
        }
        let tensor = list.tensor(ofPiece: index, offsets)
        let start = (index &- offsets[tensor]) &* pruningGrain
        let array = list.arrays + tensor
        guard let keys = array.pointer(K.self) else { return (nil, 0) }
        return (UnsafePointer(keys + start), Swift.min(pruningGrain, array.count &- start))
    }

    func holdsNaN() -> Bool {
        var index = 0
        while index < count {
            let (keys, size) = piece(index)
            if let keys {
                var worst: K = 0
                var i = 0
                while i < size {
                    worst = Swift.max(worst, keys[i] & K.magnitude)
                    i &+= 1
                }
                if worst > K.infinity { return true }
            }
            index &+= 1
        }
        return false
    }
}

extension TensorList {
    /// The array to which a piece belongs; `offsets[i]` is the first piece of array i.
    @inline(__always) func tensor(ofPiece index: Int, _ offsets: UnsafePointer<Int>) -> Int {
        var low = 0
        var above = count
        while above &- low > 1 {
            let middle = (low &+ above) >> 1
            if offsets[middle] <= index { low = middle } else { above = middle }
        }
        return low
    }
}

/// How many keys have each value of a digit, among those with the prefix above it. Fills counts[0 ..< bins]; the memory
/// behind it holds each worker's own counts.
private func histogram<K: MagnitudeKey>(
    _ source: KeySource<K>, _ counts: UnsafeMutablePointer<Int>, _ workers: Int, shift: Int, bits: Int, prefix: K?
) -> Int32 {
    let own = UnsafeMutableRawPointer(counts + bins).assumingMemoryBound(to: UInt32.self)
    memset(own, 0, workers &* bins &* 16)
    let task = Histogram(source: source, own: own, shift: shift, bits: bits, prefix: prefix)
    let status = parallel(source.count, cost: source.size, workers: workers, task)
    if status != 0 { return status }
    var bin = 0
    while bin < bins {
        var sum = 0
        var table = 0
        while table < 4 &* workers {
            sum = sum &+ Int(truncatingIfNeeded: own[table &* bins &+ bin])
            table &+= 1
        }
        counts[bin] = sum
        bin &+= 1
    }
    return Status.ok
}

private struct Histogram<K: MagnitudeKey>: ParallelTask {
    let source: KeySource<K>
    let own: UnsafeMutablePointer<UInt32>
    let shift, bits: Int
    let prefix: K?

    func run(_ index: Int, worker: Int) {
        let (start, size) = source.piece(index)
        guard let keys = start else { return }
        // Four tables in turn: neighbours often fall into one bin, and would wait for each other's count.
        let a = own + worker &* 4 &* bins
        let b = a + bins
        let c = b + bins
        let d = c + bins
        let down = K(truncatingIfNeeded: shift)
        var i = 0
        guard let prefix else {
            while i &+ 4 <= size {
                a[Int(truncatingIfNeeded: (keys[i] & K.magnitude) &>> down)] &+= 1
                b[Int(truncatingIfNeeded: (keys[i &+ 1] & K.magnitude) &>> down)] &+= 1
                c[Int(truncatingIfNeeded: (keys[i &+ 2] & K.magnitude) &>> down)] &+= 1
                d[Int(truncatingIfNeeded: (keys[i &+ 3] & K.magnitude) &>> down)] &+= 1
                i &+= 4
            }
            while i < size {
                a[Int(truncatingIfNeeded: (keys[i] & K.magnitude) &>> down)] &+= 1
                i &+= 1
            }
            return
        }
        let head = K(truncatingIfNeeded: shift &+ bits)
        let digit = K(truncatingIfNeeded: (1 << bits) &- 1)
        while i < size {
            let key = keys[i] & K.magnitude
            if key &>> head == prefix { a[(i & 3) &* bins &+ Int(truncatingIfNeeded: (key &>> down) & digit)] &+= 1 }
            i &+= 1
        }
    }
}

/// Puts all keys with the prefix together, in any order.
private func gather<K: MagnitudeKey>(
    _ source: KeySource<K>, _ keys: UnsafeMutablePointer<K>, _ workers: Int, shift: Int, limit: Int, prefix: K
) -> Int32 {
    guard let memory = Scratch.take(64 &+ workers &* pruningGrain &* MemoryLayout<K>.stride) else {
        return Status.noMemory
    }
    defer { Scratch.give(memory) }
    let used = memory.assumingMemoryBound(to: Int64.self)
    used.pointee = 0
    let own = (memory + 64).assumingMemoryBound(to: K.self)
    let task = GatherKeys(source: source, keys: keys, used: used, own: own, shift: shift, limit: limit, prefix: prefix)
    return parallel(source.count, cost: source.size / 2, workers: workers, task)
}

private struct GatherKeys<K: MagnitudeKey>: ParallelTask {
    let source: KeySource<K>
    let keys: UnsafeMutablePointer<K>
    let used: UnsafeMutablePointer<Int64>
    let own: UnsafeMutablePointer<K>
    let shift, limit: Int
    let prefix: K

    func run(_ index: Int, worker: Int) {
        let (start, size) = source.piece(index)
        guard let from = start else { return }
        let mine = own + worker &* pruningGrain
        let down = K(truncatingIfNeeded: shift)
        var found = 0
        var i = 0
        while i < size {
            let key = from[i] & K.magnitude
            mine[found] = key
            found = found &+ (key &>> down == prefix ? 1 : 0)
            i &+= 1
        }
        let place = spinetail_atomic_add(used, Int64(truncatingIfNeeded: found))
        // There is room for as many as the histogram counted: arrays that change meanwhile must not make it more.
        let room = limit &- Int(truncatingIfNeeded: place)
        if room > 0 {
            memcpy(
                keys + Int(truncatingIfNeeded: place), mine, Swift.min(found, room) &* MemoryLayout<K>.stride)
        }
    }
}
