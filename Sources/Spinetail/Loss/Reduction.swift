import CSpinetail

/// A loss that is a sum over samples.
protocol SampleLoss {
    associatedtype E: Real
    /// The losses of the samples first ..< end, into `each` where they are wanted one by one, and their sum; writes the
    /// samples' gradients where they are wanted.
    func losses(_ first: Int, _ end: Int, _ each: UnsafeMutablePointer<E>?) -> Double
}

/// A loss that takes one sample after the other.
protocol SingleLoss: SampleLoss {
    func sample(_ index: Int) -> E
}

extension SingleLoss {
    func losses(_ first: Int, _ end: Int, _ each: UnsafeMutablePointer<E>?) -> Double {
        var total = 0.0
        var i = first
        while i < end {
            let loss = sample(i)
            if let each { each[i] = loss }
            total = total + loss.double
            i &+= 1
        }
        return total
    }
}

/// Where the losses of the samples go.
struct Reduction {
    let kind: Int
    let samples: Int
    let perPiece: Int

    /// `volume` is the number of elements in one sample; pieces have whole multiples of `together` samples.
    init?(_ kind: Int64, samples: Int, volume: Int, together: Int = 1) {
        self.kind = Int(truncatingIfNeeded: kind)
        if self.kind < 0 || self.kind > Int(SPINETAIL_REDUCE_SUM) { return nil }
        self.samples = samples
        perPiece = roundUp(Swift.max(1, divide(elementwiseGrain, by: Swift.max(1, volume))), together)
    }

    var isNone: Bool { kind == Int(SPINETAIL_REDUCE_NONE) }
    var isMean: Bool { kind == Int(SPINETAIL_REDUCE_MEAN) }

    /// The extents that `loss` must have: one value for each sample, or one value.
    func fits(_ loss: Descriptor) -> Bool {
        isNone ? loss.hasShape(samples) : loss.count == 1
    }

    /// Runs the samples and writes the result; sums are in Double, pieces are added in their order.
    func run<L: SampleLoss>(_ loss: Descriptor, divisor: Double, cost: Int, _ body: L) -> Int32 {
        guard let output = loss.pointer(L.E.self) else { return Status.ok }
        let count = pieces(samples, perPiece)
        if isNone {
            let task = SampleTask(body: body, each: output, sums: nil, samples: samples, perPiece: perPiece)
            return parallel(count, cost: cost, task)
        }
        guard let memory = Scratch.take((count &+ 1) &* 8) else { return Status.noMemory }
        let sums = memory.bindMemory(to: Double.self, capacity: count &+ 1)
        let task = SampleTask(body: body, each: nil, sums: sums, samples: samples, perPiece: perPiece)
        let status = parallel(count, cost: cost, task)
        var total = 0.0
        var i = 0
        while i < count {
            total = total + sums[i]
            i &+= 1
        }
        output.pointee = L.E(isMean ? total / divisor : total)
        Scratch.give(memory)
        return status
    }
}

private struct SampleTask<L: SampleLoss>: ParallelTask {
    let body: L
    let each: UnsafeMutablePointer<L.E>?
    let sums: UnsafeMutablePointer<Double>?
    let samples: Int
    let perPiece: Int

    func run(_ index: Int, worker: Int) {
        let first = index &* perPiece
        let total = body.losses(first, Swift.min(samples, first &+ perPiece), each)
        if let sums { sums[index] = total }
    }
}

/// Class indices, int64 or uint8.
struct Labels {
    let data: UnsafeMutableRawPointer?
    let bytes: Bool
    let count: Int
    let ignore: Int

    init?(_ target: Descriptor, ignore: Int64) {
        bytes = target.dtype == Int32(SPINETAIL_UINT8)
        if !bytes && target.dtype != Int32(SPINETAIL_INT64) { return nil }
        data = target.pointee.data
        count = target.count
        self.ignore = Int(truncatingIfNeeded: ignore)
    }

    @inline(__always) subscript(_ index: Int) -> Int {
        guard let data else { return 0 }
        if bytes { return Int(truncatingIfNeeded: data.load(fromByteOffset: index, as: UInt8.self)) }
        return data.load(fromByteOffset: index &* 8, as: Int.self)
    }

    /// Whether every label that counts is a class.
    func areWithin(_ classes: Int) -> Bool {
        var i = 0
        while i < count {
            let label = self[i]
            if label != ignore && (label < 0 || label >= classes) { return false }
            i &+= 1
        }
        return true
    }

    /// The sum of the weights of the labels that count; without weights their number.
    func weightSum<E: Real>(_ weight: UnsafePointer<E>?) -> Double {
        var total = 0.0
        var i = 0
        while i < count {
            let label = self[i]
            if label != ignore { total = total + (weight.map { $0[label].double } ?? 1) }
            i &+= 1
        }
        return total
    }
}
