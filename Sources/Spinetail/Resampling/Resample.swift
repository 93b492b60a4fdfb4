import CSpinetail

@c @implementation
public func spinetail_resample(
    _ output: Descriptor, _ input: Descriptor, _ verticalPlaces: Descriptor?, _ verticalWeights: Descriptor?,
    _ horizontalPlaces: Descriptor?, _ horizontalWeights: Descriptor?
) -> spinetail_status {
    if output.rank != 3 { return Status.rank(1) }
    if input.rank != 3 { return Status.rank(2) }
    if input.dtype != output.dtype { return Status.dtype(2) }
    if !output.isContiguous { return Status.layout(1) }
    if !input.isContiguous { return Status.layout(2) }
    if input.extent(0) != output.extent(0) { return Status.shape(2) }
    if output.holds(Float.self) {
        return resample(
            Float.self, output, input, verticalPlaces, verticalWeights, horizontalPlaces, horizontalWeights)
    }
    if output.holds(Double.self) {
        return resample(
            Double.self, output, input, verticalPlaces, verticalWeights, horizontalPlaces, horizontalWeights)
    }
    return Status.dtype(1)
}

/// Elements of the rows that one band keeps between the passes.
private let bandElements = 1 << 14

private func resample<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ input: Descriptor, _ vp: Descriptor?, _ vw: Descriptor?, _ hp: Descriptor?,
    _ hw: Descriptor?
) -> Int32 {
    var rows = ResamplingAxis<E>(input: input.extent(1), output: output.extent(1))
    var columns = ResamplingAxis<E>(input: input.extent(2), output: output.extent(2))
    var status = rows.read(vp, vw, 3)
    if status != Status.ok { return status }
    status = columns.read(hp, hw, 5)
    if status != Status.ok { return status }
    guard let y = output.pointer(E.self) else { return Status.ok }
    guard let x = input.pointer(E.self) else { return Status.shape(2) }

    // Down first costs the narrow rows of each output row; across first the wide rows of each input row.
    let downFirst = rows.output &* columns.input &* rows.taps &+ rows.output &* columns.output &* columns.taps
    let acrossFirst = rows.input &* columns.output &* columns.taps &+ rows.output &* columns.output &* rows.taps
    let across = columns.taps > 0 && rows.taps > 0 && acrossFirst <= downFirst
    var band = rows.output
    if across {
        let perRow = Swift.max(1, divide(rows.input &* columns.output, by: rows.output))
        band = Swift.min(band, Swift.max(8, divide(bandElements, by: perRow)))
    } else {
        let perRow = Swift.max(columns.output, columns.input) &* Swift.max(1, rows.taps)
        band = Swift.min(band, Swift.max(1, divide(1 << 17, by: perRow)))
    }
    let bands = pieces(rows.output, band)
    var kept = 0
    if across {
        var index = 0
        while index < bands {
            let reach = rows.reach(index &* band, Swift.min(rows.output, (index &+ 1) &* band))
            kept = Swift.max(kept, reach.to &- reach.from)
            index &+= 1
        }
        kept = kept &* columns.output
    }
    let tableBytes = roundUp(RowTable<E>.bytes(columns), 64)
    let line = Swift.max(columns.input, 2 &* E.Lanes.width)
    let perWorker = roundUp((line &+ kept) &* MemoryLayout<E>.stride, 64)
    let workers = workerLimit()
    guard let memory = Scratch.take(tableBytes &+ workers &* perWorker) else { return Status.noMemory }
    let work = band &* columns.output &* (rows.taps &+ columns.taps &+ 1)
    let units = output.extent(0) &* bands
    let perTask = Swift.max(1, divide(1 << 17, by: work))
    status = parallel(
        pieces(units, perTask), cost: units &* work / 8, workers: workers,
        ResampleBands<E>(
            rows: rows, columns: columns, table: RowTable<E>(columns, in: memory), output: y,
            input: UnsafePointer(x), band: band, bands: bands, units: units, perTask: perTask, across: across,
            line: line, scratch: memory + tableBytes, perWorker: perWorker))
    Scratch.give(memory)
    return status
}

/// Bands of output rows.
private struct ResampleBands<E: Real>: ParallelTask {
    let rows: ResamplingAxis<E>
    let columns: ResamplingAxis<E>
    let table: RowTable<E>
    let output: UnsafeMutablePointer<E>
    let input: UnsafePointer<E>
    let band: Int
    let bands: Int
    let units: Int
    let perTask: Int
    let across: Bool
    let line: Int
    let scratch: UnsafeMutableRawPointer
    let perWorker: Int

    func run(_ index: Int, worker: Int) {
        let own = (scratch + worker &* perWorker).assumingMemoryBound(to: E.self)
        var unit = index &* perTask
        let end = Swift.min(units, unit &+ perTask)
        while unit < end {
            let plane = divide(unit, by: bands)
            let from = remainder(unit, by: bands) &* band
            let to = Swift.min(rows.output, from &+ band)
            let x = input + plane &* rows.input &* columns.input
            let y = output + plane &* rows.output &* columns.output
            if across {
                acrossThenDown(x, y, from, to, own)
            } else {
                downThenAcross(x, y, from, to, own)
            }
            unit &+= 1
        }
    }

    private func acrossThenDown(
        _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ from: Int, _ to: Int, _ own: UnsafeMutablePointer<E>
    ) {
        let wide = own + line
        let reach = rows.reach(from, to)
        var row = reach.from
        while row < reach.to {
            table.apply(readable(x + row &* columns.input, own), wide + (row &- reach.from) &* columns.output)
            row &+= 1
        }
        row = from
        while row < to {
            rows.down(UnsafePointer(wide), reach.from, columns.output, row, y + row &* columns.output)
            row &+= 1
        }
    }

    private func downThenAcross(
        _ x: UnsafePointer<E>, _ y: UnsafeMutablePointer<E>, _ from: Int, _ to: Int, _ own: UnsafeMutablePointer<E>
    ) {
        var row = from
        while row < to {
            let out = y + row &* columns.output
            if columns.taps == 0 {
                rows.down(x, 0, columns.input, row, out)
            } else if rows.taps == 0 {
                table.apply(readable(x + row &* columns.input, own), out)
            } else {
                rows.down(x, 0, columns.input, row, own)
                table.apply(UnsafePointer(own), out)
            }
            row &+= 1
        }
    }

    /// The row, or a copy of a short one with room behind it.
    @inline(__always)
    private func readable(_ x: UnsafePointer<E>, _ own: UnsafeMutablePointer<E>) -> UnsafePointer<E> {
        if columns.input == line { return x }
        copyRow(x, own, columns.input)
        return UnsafePointer(own)
    }
}
