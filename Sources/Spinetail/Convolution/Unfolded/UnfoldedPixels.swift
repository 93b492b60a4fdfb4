import CSpinetail

/// How channels are cut into tasks, and what each worker needs: the lines of some channels, one for each tap, in the order
/// in which they lie in a filter.
private struct ChannelCut<E: Real> {
    let count: Int  // channels of a task: whole vectors of lines
    let tasks: Int
    let row: Int  // elements from one line to the next
    let stageOffset: Int
    let workerBytes: Int

    init(_ job: Unfolded<E>) {
        let taps = job.shape.kernel.count
        count = E.Lanes.width &* Swift.max(1, divide(8, by: taps))
        tasks = pieces(job.channels, count)
        row = job.rows &+ E.Lanes.width
        stageOffset = roundUp(job.pixels &* MemoryLayout<Run>.stride, 64)
        let lines = roundUp(count &* taps, E.Lanes.width)
        workerBytes = roundUp(stageOffset &+ lines &* row &* MemoryLayout<E>.size, 4096) &+ 64
    }
}

/// out[pixel · pitch + channel · taps + tap] = what the pixel sees through the tap.
struct UnfoldChannels<E: Real>: ParallelTask {
    let job: Unfolded<E>
    let source: Source<E>
    let out: UnsafeMutablePointer<E>
    private let cut: ChannelCut<E>
    private var scratch: UnsafeMutableRawPointer

    init(job: Unfolded<E>, source: Source<E>, out: UnsafeMutablePointer<E>) {
        self.job = job
        self.source = source
        self.out = out
        cut = ChannelCut(job)
        scratch = UnsafeMutableRawPointer(out)
    }

    func run() -> Int32 {
        let workers = workerLimit()
        guard let memory = Scratch.take(workers &* cut.workerBytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        var task = self
        task.scratch = memory
        return parallel(cut.tasks, cost: job.pixels &* job.depth, workers: workers, task)
    }

    func run(_ index: Int, worker: Int) {
        let taps = job.shape.kernel.count
        let first = index &* cut.count
        let count = Swift.min(cut.count, job.channels &- first)
        let memory = scratch + worker &* cut.workerBytes
        let runs = memory.assumingMemoryBound(to: Run.self)
        let stage = (memory + cut.stageOffset).assumingMemoryBound(to: E.self)
        let runCount = Grid(extent: job.shape.output).list(first: 0, count: job.pixels, into: runs)
        var t = 0
        while t < taps {
            source.gather(
                runs, runCount, columns: job.pixels, tap: job.taps[t], firstChannel: first, channels: count,
                into: stage + t &* cut.row, row: taps &* cut.row)
            t &+= 1
        }
        let width = E.Lanes.width
        var line = 0
        while line < count &* taps {
            let valid = Swift.min(width, count &* taps &- line)
            var pixel = 0
            while pixel < job.pixels {
                E.Lanes.transpose(
                    stage + (line &* cut.row &+ pixel), stride: cut.row, valid: valid,
                    into: out + (pixel &* job.pitch &+ first &* taps &+ line), outStride: job.pitch)
                pixel &+= width
            }
            line &+= width
        }
    }
}

/// The transpose of that: result[channel, place] = g(bias[channel] + Σ of rows[pixel · pitch + channel · taps + tap] over
/// all pixels that see the place, tap by tap).
struct FoldChannels<E: Real>: ParallelTask {
    let job: Unfolded<E>
    let result: UnsafeMutablePointer<E>
    let bias: UnsafePointer<E>?
    let relu: Bool
    let rows: UnsafePointer<E>
    private let cut: ChannelCut<E>
    private var scratch: UnsafeMutableRawPointer

    init(
        job: Unfolded<E>, result: UnsafeMutablePointer<E>, bias: UnsafePointer<E>?, relu: Bool, rows: UnsafePointer<E>
    ) {
        self.job = job
        self.result = result
        self.bias = bias
        self.relu = relu
        self.rows = rows
        cut = ChannelCut(job)
        scratch = UnsafeMutableRawPointer(result)
    }

    func run() -> Int32 {
        let workers = workerLimit()
        guard let memory = Scratch.take(workers &* cut.workerBytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        var task = self
        task.scratch = memory
        return parallel(cut.tasks, cost: job.pixels &* job.depth, workers: workers, task)
    }

    func run(_ index: Int, worker: Int) {
        let taps = job.shape.kernel.count
        let first = index &* cut.count
        let count = Swift.min(cut.count, job.channels &- first)
        let memory = scratch + worker &* cut.workerBytes
        let runs = memory.assumingMemoryBound(to: Run.self)
        let stage = (memory + cut.stageOffset).assumingMemoryBound(to: E.self)
        let width = E.Lanes.width
        var line = 0
        while line < count &* taps {
            var pixel = 0
            while pixel < job.pixels {
                E.Lanes.transpose(
                    rows + (pixel &* job.pitch &+ first &* taps &+ line), stride: job.pitch,
                    valid: Swift.min(width, job.pixels &- pixel), into: stage + (line &* cut.row &+ pixel),
                    outStride: cut.row)
                pixel &+= width
            }
            line &+= width
        }
        let plane = job.shape.input.count
        let image = job.shape.channels &* plane
        var n = 0
        while n < job.shape.images {
            var c = first
            while c < first &+ count {
                fill(result + (n &* image &+ c &* plane), plane, bias.map { $0[c] } ?? 0)
                c &+= 1
            }
            n &+= 1
        }
        let runCount = Grid(extent: job.shape.output).list(first: 0, count: job.pixels, into: runs)
        let source = Source<E>(
            base: UnsafePointer(result), image: image, channel: plane, extent: job.shape.input, step: job.shape.stride)
        var t = 0
        while t < taps {
            var r = 0
            while r < runCount {
                let inside = source.locate(runs + r, job.taps[t])
                if inside > 0 {
                    var to = result + (runs[r].place &+ first &* plane)
                    var from = stage + (t &* cut.row &+ runs[r].first &+ runs[r].from)
                    var c = 0
                    while c < count {
                        add(from, to, inside)
                        to += plane
                        from += taps &* cut.row
                        c &+= 1
                    }
                }
                r &+= 1
            }
            t &+= 1
        }
        if relu { rectify(first: first, count: count) }
    }

    /// to[i · step] += from[i]
    @inline(__always) private func add(_ from: UnsafePointer<E>, _ to: UnsafeMutablePointer<E>, _ count: Int) {
        let step = job.shape.stride.w
        let width = E.Lanes.width
        var i = 0
        if step == 1 {
            while i < count {
                let rest = count &- i
                (E.Lanes.loadUpTo(to + i, rest) + E.Lanes.loadUpTo(from + i, rest)).storeUpTo(to + i, rest)
                i &+= width
            }
            return
        }
        while i < count {
            to[i &* step] = to[i &* step] + from[i]
            i &+= 1
        }
    }

    private func rectify(first: Int, count: Int) {
        let plane = job.shape.input.count
        var n = 0
        while n < job.shape.images {
            let p = result + (n &* job.shape.channels &+ first) &* plane
            var i = 0
            while i < count &* plane {
                let rest = count &* plane &- i
                // max takes its second operand where the first is NaN, so a NaN stays NaN.
                E.Lanes.max(.zero, E.Lanes.loadUpTo(p + i, rest)).storeUpTo(p + i, rest)
                i &+= E.Lanes.width
            }
            n &+= 1
        }
    }
}
