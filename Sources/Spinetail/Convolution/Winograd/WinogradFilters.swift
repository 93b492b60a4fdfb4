import CSpinetail

/// Transforms some channels' weights of one panel of rows: out[((panel · points + point) · channels + channel) · 32 + row].
struct WinogradFilters<E: Real, let span: Int>: ParallelTask {
    let job: Winograd<E, span>
    let group: Int
    let out: UnsafeMutablePointer<E>
    let scratch: UnsafeMutableRawPointer
    let workerBytes: Int

    /// Of scratch for each worker.
    static var elements: Int { 9 &* 16 &* E.Lanes.width }

    @_optimize(speed)
    func run(_ index: Int, worker: Int) {
        let panel = remainder(index, by: job.rowPanels)
        let first = divide(index, by: job.rowPanels) &* 16
        let end = Swift.min(job.channels, first &+ 16)
        let columns = Tile<E>.columns
        let width = E.Lanes.width
        let taps = (scratch + worker &* workerBytes).assumingMemoryBound(to: E.self)
        var half = 0
        while half < columns {
            let row = panel &* columns &+ half
            let valid = Swift.max(0, Swift.min(width, job.rows &- row))
            let whole = !job.turned && valid > 0 && end &- first == 16
            if whole { loadAll(row: row, valid: valid, channel: first, into: taps) }
            var channel = first
            while channel < end {
                let to = out + ((panel &* Winograd<E, span>.points &* job.channels &+ channel) &* columns &+ half)
                if whole {
                    transform(taps + (channel &- first) &* 9 &* width, into: to)
                } else {
                    load(row: row, valid: valid, channel: channel, into: taps)
                    transform(taps, into: to)
                }
                channel &+= 1
            }
            half &+= width
        }
    }

    @inline(__always) private func place(row: Int, channel: Int) -> UnsafePointer<E> {
        job.weight + (group &* job.weightGroup &+ row &* job.weightRow &+ channel &* job.weightChannel)
    }

    /// taps[(channel · 9 + tap) · width + lane] for 16 channels, whose taps follow each other.
    @inline(__always)
    private func loadAll(row: Int, valid: Int, channel: Int, into taps: UnsafeMutablePointer<E>) {
        let width = E.Lanes.width
        let p = place(row: row, channel: channel)
        var k = 0
        while k < 9 &* 16 {
            E.Lanes.transpose(p + k, stride: job.weightRow, valid: valid, into: taps + k &* width, outStride: width)
            k &+= width
        }
    }

    /// taps[tap · width + lane] for one channel, zeros for rows that are not there.
    @inline(__always)
    private func load(row: Int, valid: Int, channel: Int, into taps: UnsafeMutablePointer<E>) {
        let width = E.Lanes.width
        var p = place(row: row, channel: channel)
        // A transposition reads a whole vector of each row, so there has to be more behind the last one's taps.
        if job.turned && valid == width && channel &+ 1 < job.channels {
            E.Lanes.transpose(p, stride: job.weightRow, valid: valid, into: taps, outStride: width)
            return
        }
        fill(taps, 9 &* width, 0)
        var lane = 0
        while lane < valid {
            var tap = 0
            while tap < 9 {
                taps[tap &* width &+ lane] = p[tap]
                tap &+= 1
            }
            p += job.weightRow
            lane &+= 1
        }
    }

    @_optimize(speed)
    @inline(__always)
    private func transform(_ g: UnsafePointer<E>, into out: UnsafeMutablePointer<E>) {
        typealias Map = WinogradTransform<E, span>
        let point = job.channels &* Tile<E>.columns
        let a = Map.filter(at(g, 0), at(g, 3), at(g, 6))
        let b = Map.filter(at(g, 1), at(g, 4), at(g, 7))
        let c = Map.filter(at(g, 2), at(g, 5), at(g, 8))
        let row = span &* point
        Map.put(Map.filter(a.0, b.0, c.0), out, point)
        Map.put(Map.filter(a.1, b.1, c.1), out + row, point)
        Map.put(Map.filter(a.2, b.2, c.2), out + 2 &* row, point)
        Map.put(Map.filter(a.3, b.3, c.3), out + 3 &* row, point)
        if span == 4 { return }
        Map.put(Map.filter(a.4, b.4, c.4), out + 4 &* row, point)
        Map.put(Map.filter(a.5, b.5, c.5), out + 5 &* row, point)
    }

    @inline(__always) private func at(_ g: UnsafePointer<E>, _ tap: Int) -> E.Lanes {
        E.Lanes.load(g + (job.turned ? 8 &- tap : tap) &* E.Lanes.width)
    }
}
