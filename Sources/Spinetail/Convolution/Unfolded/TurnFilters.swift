import CSpinetail

/// Between images (image, filter, pixel) and a matrix of pixels and filters, `filterPitch` elements a row: into the matrix
/// when `inward`, else out of it. A task takes one vector of filters.
struct TurnFilters<E: Real>: ParallelTask {
    let job: Unfolded<E>
    let images: UnsafeMutablePointer<E>
    let matrix: UnsafeMutablePointer<E>
    let inward: Bool
    private var scratch: UnsafeMutablePointer<E>

    init(job: Unfolded<E>, images: UnsafeMutablePointer<E>, matrix: UnsafeMutablePointer<E>, inward: Bool) {
        self.job = job
        self.images = images
        self.matrix = matrix
        self.inward = inward
        scratch = matrix
    }

    func run() -> Int32 {
        let workers = workerLimit()
        let width = E.Lanes.width
        guard let memory = Scratch.take(workers &* width &* width &* MemoryLayout<E>.size) else {
            return Status.noMemory
        }
        defer { Scratch.give(memory) }
        var task = self
        task.scratch = memory.assumingMemoryBound(to: E.self)
        return parallel(
            pieces(job.filters, width), cost: job.pixels &* job.filters / 2, workers: workers, task)
    }

    func run(_ index: Int, worker: Int) {
        let width = E.Lanes.width
        let square = scratch + worker &* width &* width
        let filter = index &* width
        let valid = Swift.min(width, job.filters &- filter)
        let area = job.shape.output.count
        var n = 0
        while n < job.shape.images {
            let plane = images + ((n &* job.shape.groups &+ job.group) &* job.filters &+ filter) &* area
            var pixel = 0
            while pixel < area {
                let some = Swift.min(width, area &- pixel)
                let row = matrix + ((n &* area &+ pixel) &* job.filterPitch &+ filter)
                if inward {
                    take(plane + pixel, area, valid, some, into: row, square)
                } else {
                    E.Lanes.transpose(
                        row, stride: job.filterPitch, valid: some, into: square, outStride: width)
                    var f = 0
                    while f < valid {
                        copyRow(square + f &* width, plane + (f &* area &+ pixel), some)
                        f &+= 1
                    }
                }
                pixel &+= width
            }
            n &+= 1
        }
    }

    /// Some pixels of some filters; only the last pixels of an image go through the square, so as not to read on.
    @inline(__always)
    private func take(
        _ plane: UnsafePointer<E>, _ area: Int, _ valid: Int, _ some: Int, into row: UnsafeMutablePointer<E>,
        _ square: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        var f = 0
        while f < valid {
            E.Lanes.loadUpTo(plane + f &* area, some).store(square + f &* width)
            f &+= 1
        }
        // Rows of pixels that are not there are the next ones', or lie behind the last.
        E.Lanes.transpose(square, stride: width, valid: valid, into: row, outStride: job.filterPitch)
    }
}
