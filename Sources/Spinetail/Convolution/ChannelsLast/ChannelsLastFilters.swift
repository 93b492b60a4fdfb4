import CSpinetail

/// Packs weights in panels of `outRow` rows: out[panel · panelElements + (tap · channels + channel) · outRow + row], zeros
/// for rows that are not there. A task takes one vector of rows.
struct ChannelsLastFilters<E: Real>: ParallelTask {
    let job: ChannelsLast<E>
    var rows: Int  // of one group
    var rowStride: Int
    var groupStride: Int
    let end: UnsafePointer<E>  // of the weights
    var outRow: Int
    var panelElements: Int
    let out: UnsafeMutablePointer<E>
    let order: UnsafePointer<Int>  // by place in the kernel: which tap it is, or -1
    let squares: UnsafeMutablePointer<E>  // of width · width for each worker

    @inline(__always) var blocks: Int { roundUp(rows, outRow) / E.Lanes.width }

    func run(_ index: Int, worker: Int) {
        let width = E.Lanes.width
        let group = divide(index, by: blocks)
        let block = index &- group &* blocks
        let perPanel = outRow / width
        let panel = divide(block, by: perPanel)
        let panels = pieces(rows, outRow)
        let to =
            out + ((group &* panels &+ panel) &* panelElements &+ (block &- panel &* perPanel) &* width)
        let square = squares + worker &* width &* width
        let row = block &* width
        let valid = Swift.max(0, Swift.min(width, rows &- row))
        let from = job.weights.base + (group &* groupStride &+ Swift.min(row, rows &- 1) &* rowStride)
        // All taps of all channels as they lie in memory, or one channel's at a time.
        if job.weights.channelStride == job.kernel {
            return pack(from, job.channels &* job.kernel, channel: 0, valid, square, into: to)
        }
        var c = 0
        while c < job.channels {
            pack(from + c &* job.weights.channelStride, job.kernel, channel: c, valid, square, into: to)
            c &+= 1
        }
    }

    /// `length` neighbours of each row, from a channel's first tap on.
    private func pack(
        _ from: UnsafePointer<E>, _ length: Int, channel: Int, _ valid: Int, _ square: UnsafeMutablePointer<E>,
        into to: UnsafeMutablePointer<E>
    ) {
        let width = E.Lanes.width
        var channel = channel
        var place = 0
        var j = 0
        while j < length {
            let some = Swift.min(width, length &- j)
            // A transposition reads whole vectors, so there has to be something behind the last row's.
            if valid == 0 {
                fill(square, width &* width, 0)
            } else if end - (from + j) >= (valid &- 1) &* rowStride &+ width {
                E.Lanes.transpose(from + j, stride: rowStride, valid: valid, into: square, outStride: width)
            } else {
                fill(square, width &* width, 0)
                var r = 0
                while r < valid {
                    var i = 0
                    while i < some {
                        square[i &* width &+ r] = from[r &* rowStride &+ j &+ i]
                        i &+= 1
                    }
                    r &+= 1
                }
            }
            var i = 0
            while i < some {
                let tap = order[place]
                if tap >= 0 {
                    E.Lanes.load(square + i &* width).store(to + (tap &* job.channels &+ channel) &* outRow)
                }
                place &+= 1
                if place == job.kernel {
                    place = 0
                    channel &+= 1
                }
                i &+= 1
            }
            j &+= width
        }
    }
}

extension ChannelsLast {
    var packedElements: Int {
        Self.packedElements(groups: groups, channels: channels, rows: rows, taps: tapCount)
    }

    /// Elements of all packed weights: panels for each group, or all groups' filters as one panel's rows.
    static func packedElements(groups: Int, channels: Int, rows: Int, taps: Int) -> Int {
        if isDepthwise(groups: groups, channels: channels, rows: rows) { return taps &* roundUp(groups, E.Lanes.width) }
        return groups &* pieces(rows, Tile<E>.columns) &* taps &* channels &* Tile<E>.columns
    }

    func packWeights(into out: UnsafeMutablePointer<E>, workers: Int) -> Int32 {
        let width = E.Lanes.width
        let orderBytes = roundUp(kernel &* 8, 64)
        guard let memory = Scratch.take(orderBytes &+ workers &* width &* width &* MemoryLayout<E>.size) else {
            return Status.noMemory
        }
        defer { Scratch.give(memory) }
        let order = memory.assumingMemoryBound(to: Int.self)
        listOrder(into: order)
        var task = ChannelsLastFilters(
            job: self, rows: rows, rowStride: weights.rowStride, groupStride: weights.groupStride,
            end: weights.base + groups &* weights.groupStride, outRow: Tile<E>.columns,
            panelElements: depth &* Tile<E>.columns, out: out, order: order,
            squares: (memory + orderBytes).assumingMemoryBound(to: E.self))
        if isDepthwise {
            task.rows = groups
            task.rowStride = weights.groupStride
            task.groupStride = 0
            task.outRow = roundUp(groups, width)
            task.panelElements = 0
        }
        return parallel(
            isDepthwise ? task.blocks : groups &* task.blocks, cost: groups &* rows &* depth / 8, workers: workers, task
        )
    }

    /// Which tap a place in the kernel is, for packing weights.
    private func listOrder(into order: UnsafeMutablePointer<Int>) {
        var i = 0
        while i < kernel {
            order[i] = -1
            i &+= 1
        }
        i = 0
        while i < tapCount {
            order[taps[i].place] = i
            i &+= 1
        }
    }
}
