import CSpinetail

/// A loss that is a sum over samples, each of which a worker computes alone.
protocol SampleLoss {
    associatedtype E: Real
    /// The sample's loss; writes the sample's gradient where one is wanted.
    func sample(_ index: Int) -> E
}

/// Where the losses of the samples go.
struct Reduction {
    let kind: Int
    let samples: Int
    let perPiece: Int

    /// `volume` is the number of elements in one sample.
    init?(_ kind: Int64, samples: Int, volume: Int) {
        self.kind = Int(truncatingIfNeeded: kind)
        if self.kind < 0 || self.kind > Int(SPINETAIL_REDUCE_SUM) { return nil }
        self.samples = samples
        perPiece = Swift.max(1, divide(elementwiseGrain, by: Swift.max(1, volume)))
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
        var i = index &* perPiece
        let end = Swift.min(samples, i &+ perPiece)
        if let each {
            while i < end {
                each[i] = body.sample(i)
                i &+= 1
            }
        } else if let sums {
            var total = 0.0
            while i < end {
                total = total + body.sample(i).double
                i &+= 1
            }
            sums[index] = total
        }
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
