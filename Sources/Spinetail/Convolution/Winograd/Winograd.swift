import CSpinetail

/// 3×3 convolution with stride 1 by Winograd's F(4×4, 3×3) or F(2×2, 3×3): pixels, in tiles of 6×6 or 4×4 (the span) that
/// overlap by 2, and weights are transformed, multiplied as 36 or 16 matrix products over the channels, and the products
/// transformed back. Channels lie in the lanes of the transforms. Backward, the same with filters for channels and the kernel
/// turned around.
struct Winograd<E: Real, let span: Int> {
    var source: UnsafePointer<E>
    var weight: UnsafePointer<E>
    var result: UnsafeMutablePointer<E>
    var bias: UnsafePointer<E>?
    var relu: Bool
    var images: Int
    var groups: Int
    var channels: Int  // of one group
    var rows: Int  // results' channels, of one group
    var input: Space
    var output: Space
    var padding: Space
    /// Element (row, channel, tap) of a group's weights is at row · weightRow + channel · weightChannel + tap, or
    /// 8 - tap when `turned`.
    var weightRow: Int
    var weightChannel: Int
    var weightGroup: Int
    var turned: Bool
    /// Whether source and result have their channels next to each other in memory.
    var channelsLast: Bool
    /// With relu, what results are at most.
    var most = E.infinity
    /// Weights that have been transformed before; with channels last, what is added to results, as they lie, and what is done
    /// to them at last.
    var prepared: UnsafePointer<E>? = nil
    var residual: UnsafePointer<E>? = nil
    var finish: Finish<E>? = nil

    /// Results of a tile along an axis, and products in all.
    @inline(__always) static var size: Int { span &- 2 }
    @inline(__always) static var points: Int { span &* span }
    @inline(__always) var tilesAcross: Int { pieces(output.w, Self.size) }
    @inline(__always) var tilesDown: Int { pieces(output.h, Self.size) }
    @inline(__always) var tiles: Int { images &* tilesDown &* tilesAcross }
    @inline(__always) var rowPanels: Int { pieces(rows, Tile<E>.columns) }
    /// Transformed weights of a group.
    @inline(__always) var filterElements: Int { Self.filterElements(channels: channels, rows: rows) }
    @inline(__always) static func filterElements(channels: Int, rows: Int) -> Int {
        pieces(rows, Tile<E>.columns) &* points &* channels &* Tile<E>.columns
    }
    /// Elements from one tile's channels to the next one's, which keeps rows apart in the cache.
    @inline(__always) var pitch: Int { roundUp(channels, E.Lanes.width) &+ E.Lanes.width }
}

extension Winograd {
    private static var blockBytes: Int { 1280 << 10 }

    func run() -> Int32 {
        if tiles == 0 || rows == 0 || groups == 0 { return Status.ok }
        let size = MemoryLayout<E>.size
        let workers = workerLimit()
        // A block of tiles stays in the second-level cache, or is large enough that the weights need not be read too often.
        let fitting = divide(Self.blockBytes, by: Self.points &* pitch &* size)
        let most = Swift.min(tiles, Swift.max(52, Swift.min(104, fitting)))
        var blocks = pieces(tiles, most)
        if blocks > 1 {
            blocks = Swift.max(blocks, Swift.min(roundUp(blocks, 4), tiles / 13))
        } else if rowPanels == 1 {
            blocks = Swift.max(1, Swift.min(4, tiles / 13))  // threads cannot share the rows
        }
        let block = pieces(tiles, blocks)
        blocks = pieces(tiles, block)
        // Few blocks: threads share their products by rows.
        let parts = blocks >= 4 ? 1 : Swift.min(rowPanels, pieces(4, blocks))
        let weightElements = prepared == nil ? filterElements : 0
        let pixelElements = Self.points &* block &* pitch
        let productElements = Self.points &* block &* Tile<E>.columns
        let stageElements = Swift.max(WinogradInput<E, span>.stageElements, WinogradFilters<E, span>.elements)
        let workerBytes = roundUp((productElements &+ stageElements) &* size, 4096) &+ 64
        let held = parts > 1 ? blocks : workers
        let pixelBytes = roundUp(pixelElements &* size, 4096) &+ 128
        guard
            let memory = Scratch.take(
                roundUp(weightElements &* size, 4096) &+ held &* pixelBytes &+ workers &* workerBytes)
        else { return Status.noMemory }
        defer { Scratch.give(memory) }
        var next = memory
        let weights = prepared ?? UnsafePointer(next.assumingMemoryBound(to: E.self))
        next += roundUp(weightElements &* size, 4096)
        let pixels = next
        next += held &* pixelBytes
        var task = WinogradTask(
            job: self, block: block, blocks: blocks, parts: parts, group: 0, weights: weights, pixels: pixels,
            pixelBytes: pixelBytes, scratch: next, workerBytes: workerBytes)
        while task.group < groups {
            if prepared == nil {
                let status = transformFilters(
                    task.group, into: memory.assumingMemoryBound(to: E.self), workers, scratch: next, workerBytes)
                if status != Status.ok { return status }
            } else if task.group > 0 {
                task.weights += filterElements
            }
            let status = task.runGroup(workers)
            if status != Status.ok { return status }
            task.group &+= 1
        }
        return Status.ok
    }

    /// The filters of all groups, for `prepared`.
    func prepare(into out: UnsafeMutablePointer<E>) -> Int32 {
        let workers = workerLimit()
        let workerBytes = WinogradFilters<E, span>.elements &* MemoryLayout<E>.size
        guard let memory = Scratch.take(workers &* workerBytes) else { return Status.noMemory }
        defer { Scratch.give(memory) }
        var group = 0
        while group < groups {
            let status = transformFilters(
                group, into: out + group &* filterElements, workers, scratch: memory, workerBytes)
            if status != Status.ok { return status }
            group &+= 1
        }
        return Status.ok
    }

    private func transformFilters(
        _ group: Int, into out: UnsafeMutablePointer<E>, _ workers: Int, scratch: UnsafeMutableRawPointer,
        _ workerBytes: Int
    ) -> Int32 {
        parallel(
            rowPanels &* pieces(channels, 16), cost: channels &* rows &* 28, workers: workers,
            WinogradFilters(job: self, group: group, out: out, scratch: scratch, workerBytes: workerBytes))
    }
}

/// Blocks of tiles, each with its own transformed pixels; or, where they are few, their products for some of the rows.
private struct WinogradTask<E: Real, let span: Int>: ParallelTask {
    let job: Winograd<E, span>
    let block: Int
    let blocks: Int
    let parts: Int
    var group: Int
    var weights: UnsafePointer<E>
    let pixels: UnsafeMutableRawPointer
    let pixelBytes: Int
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int

    func runGroup(_ workers: Int) -> Int32 {
        if parts > 1 {
            let status = parallel(
                blocks &* pieces(job.channels, E.Lanes.width), cost: job.tiles &* job.channels &* 15, workers: workers,
                WinogradPixels(task: self))
            if status != Status.ok { return status }
        }
        return parallel(
            blocks &* parts, cost: job.tiles &* job.channels &* job.rows, workers: workers, self)
    }

    @inline(__always) func pixels(_ number: Int) -> UnsafeMutablePointer<E> {
        (pixels + number &* pixelBytes).assumingMemoryBound(to: E.self)
    }

    @inline(__always) func input(_ number: Int, _ worker: Int) -> WinogradInput<E, span> {
        WinogradInput(
            job: job, group: group, first: number &* block, count: Swift.min(block, job.tiles &- number &* block),
            block: block, stage: stage(worker))
    }

    @inline(__always) func stage(_ worker: Int) -> UnsafeMutablePointer<E> {
        (scratch + worker &* workerBytes).assumingMemoryBound(to: E.self)
    }

    func run(_ index: Int, worker: Int) {
        let number = divide(index, by: parts)
        let part = remainder(index, by: parts)
        let tiles = pixels(parts > 1 ? number : worker)
        let input = input(number, worker)
        if parts == 1 {
            var channel = 0
            while channel < job.channels {
                input.run(channel: channel, into: tiles)
                channel &+= E.Lanes.width
            }
        }
        let products = stage(worker) + WinogradInput<E, span>.stageElements
        let end = divide((part &+ 1) &* job.rowPanels, by: parts)
        var panel = divide(part &* job.rowPanels, by: parts)
        let columns = Tile<E>.columns
        let cut = RowCut(input.count, highest: DirectPanel<E>.highest)
        while panel < end {
            var point = 0
            while point < Winograd<E, span>.points {
                let b = weights + (panel &* Winograd<E, span>.points &+ point) &* job.channels &* columns
                let ahead = b + job.channels &* columns
                var strip = DirectPanel<E>(
                    depth: job.channels, a: UnsafePointer(tiles) + point &* block &* job.pitch, aRow: job.pitch,
                    aDepth: 1, b: b, bRow: columns, c: products + point &* block &* columns, cRow: columns,
                    columns: columns, accumulate: false, epilogue: .nothing, fetches: true, ahead: ahead,
                    aheadEnd: ahead + job.channels &* columns)
                strip.run(cut, copy: nil)
                point &+= 1
            }
            WinogradOutput(
                job: job, group: group, first: input.first, count: input.count, block: block, panel: panel,
                stage: input.stage
            ).run(products)
            panel &+= 1
        }
    }
}

/// Some channels' pixels of one block, where the threads share it.
private struct WinogradPixels<E: Real, let span: Int>: ParallelTask {
    let task: WinogradTask<E, span>

    func run(_ index: Int, worker: Int) {
        let number = remainder(index, by: task.blocks)
        task.input(number, worker).run(
            channel: divide(index, by: task.blocks) &* E.Lanes.width, into: task.pixels(number))
    }
}
