import CSpinetail

/// Pieces into which the sums over rows are cut at most.
private let mostSums = 32

@c @implementation
public func spinetail_normalization_rows_backward(
    _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor, _ input: Descriptor,
    _ mean: Descriptor?, _ scale: Descriptor, _ weight: Descriptor?, _ columns: Int64
) -> spinetail_status {
    if input.holds(Float.self) {
        return backward(Float.self, dinput, dweight, dbias, doutput, input, mean, scale, weight, columns)
    }
    if input.holds(Double.self) {
        return backward(Double.self, dinput, dweight, dbias, doutput, input, mean, scale, weight, columns)
    }
    return Status.dtype(5)
}

private func backward<E: Real>(
    _ type: E.Type, _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor,
    _ input: Descriptor, _ mean: Descriptor?, _ scale: Descriptor, _ weight: Descriptor?, _ columns: Int64
) -> Int32 {
    let width = Int(truncatingIfNeeded: columns)
    let total = input.count
    if width < 1 { return Status.parameter(9) }
    let rows = total / width
    if rows &* width != total { return Status.shape(5) }
    if !input.isContiguous { return Status.layout(5) }
    var status = checkLike(dinput, input, 1)
    if status == 0 { status = checkValues(dweight, width, like: input, 2) }
    if status == 0 { status = checkValues(dbias, width, like: input, 3) }
    if status == 0 { status = checkLike(doutput, input, 4) }
    if status == 0 { status = checkValues(mean, rows, like: input, 6) }
    if status == 0 { status = checkValues(scale, rows, like: input, 7) }
    if status == 0 { status = checkValues(weight, width, like: input, 8) }
    if status != 0 { return status }
    guard let x = input.pointer(type), let g = doutput.pointer(type), let scale = scale.pointer(type) else {
        zeroFill(dweight.pointer(type), width)
        zeroFill(dbias.pointer(type), width)
        return Status.ok
    }
    let rowsAtOnce = Swift.max(divide(rowGrain, by: width), divide(rows &+ mostSums &- 1, by: mostSums), 1)
    let pieces = divide(rows &+ rowsAtOnce &- 1, by: rowsAtOnce)
    let sums = dweight != nil || dbias != nil
    let padded = (width &+ 15) & ~15
    guard let memory = Scratch.take(sums ? pieces &* 2 &* padded &* MemoryLayout<E>.stride : 0) else {
        return Status.noMemory
    }
    defer { Scratch.give(memory) }
    let partial = memory.assumingMemoryBound(to: E.self)
    let task = RowsBackward(
        dx: dinput.pointer(type), g: UnsafePointer(g), x: UnsafePointer(x), mean: mean.pointer(type), scale: scale,
        weight: weight.pointer(type), partial: sums ? partial : nil, padded: padded, rows: rows, columns: width,
        rowsAtOnce: rowsAtOnce)
    let done = parallel(pieces, cost: total / 2, task)
    if done != 0 { return done }
    combine(dweight.pointer(type), partial, pieces, padded, width)
    combine(dbias.pointer(type), partial + padded, pieces, padded, width)
    return Status.ok
}

/// Zeros.
func zeroFill<E: Real>(_ p: UnsafeMutablePointer<E>?, _ count: Int) {
    guard let p else { return }
    var i = 0
    while i < count {
        p[i] = 0
        i &+= 1
    }
}

/// Adds up the pieces' sums, in their order.
private func combine<E: Real>(
    _ result: UnsafeMutablePointer<E>?, _ partial: UnsafeMutablePointer<E>, _ pieces: Int, _ padded: Int, _ width: Int
) {
    typealias V = E.Lanes
    guard let result else { return }
    var i = 0
    while i < width {
        var total = V.zero
        var piece = 0
        while piece < pieces {
            total = total + V.load(partial + (2 &* piece &* padded &+ i))
            piece &+= 1
        }
        total.put(result + i, width &- i >= V.width, width &- i)
        i &+= V.width
    }
}

private struct RowsBackward<E: Real>: ParallelTask {
    let dx: UnsafeMutablePointer<E>?
    let g, x: UnsafePointer<E>
    let mean: UnsafeMutablePointer<E>?
    let scale: UnsafeMutablePointer<E>
    let weight: UnsafeMutablePointer<E>?
    /// For each piece, Σg·x̂ and then Σg, each `padded` long.
    let partial: UnsafeMutablePointer<E>?
    let padded, rows, columns, rowsAtOnce: Int

    func run(_ index: Int, worker: Int) {
        let row = index &* rowsAtOnce
        let end = Swift.min(rows, row &+ rowsAtOnce)
        let none = UnsafeMutablePointer(mutating: x)
        var sums = none
        if let partial {
            sums = partial + 2 &* index &* padded
            zeroFill(sums, 2 &* padded)
        }
        // The usual cases get loops of their own, without questions in them.
        if let weight {
            if partial != nil {
                pairs(row, end, UnsafePointer(weight), sums, true, true)
            } else {
                pairs(row, end, UnsafePointer(weight), none, true, false)
            }
        } else if partial != nil {
            pairs(row, end, x, sums, false, true)
        } else {
            pairs(row, end, x, none, false, false)
        }
    }

    /// Two rows at a time, which share the loads and stores of the sums and the wait for their own.
    @inline(__always)
    private func pairs(
        _ first: Int, _ end: Int, _ weight: UnsafePointer<E>, _ sums: UnsafeMutablePointer<E>, _ weighted: Bool,
        _ summed: Bool
    ) {
        var row = first
        while row < end {
            let two = row &+ 1 < end
            var a = line(row), b = line(two ? row &+ 1 : row)
            let pass = RowSums(
                weight: weight, sums: sums, weighted: weighted, summed: summed, columns: columns, padded: padded)
            if two { pass.gather(&a, &b, true) } else { pass.gather(&a, &b, false) }
            if let dx {
                a.write(dx + row &* columns, weight, weighted, columns, centered: mean != nil)
                if two { b.write(dx + (row &+ 1) &* columns, weight, weighted, columns, centered: mean != nil) }
            }
            row &+= 2
        }
    }

    @inline(__always) private func line(_ row: Int) -> RowGradient<E> {
        RowGradient(g: g + row &* columns, x: x + row &* columns, middle: mean?[row] ?? 0, factor: scale[row])
    }
}

/// The gradient of one row.
private struct RowGradient<E: Real> {
    let g, x: UnsafePointer<E>
    let middle, factor: E
    /// Σ g·weight and Σ g·weight·x̂ of a block of columns, and of all.
    var a = E.Lanes.zero, b = E.Lanes.zero
    var total = 0.0, product = 0.0

    init(g: UnsafePointer<E>, x: UnsafePointer<E>, middle: E, factor: E) {
        self.g = g
        self.x = x
        self.middle = middle
        self.factor = factor
    }

    /// x̂ of one vector; 0 beyond the row.
    @inline(__always) func normal(_ i: Int, _ whole: Bool, _ rest: Int) -> E.Lanes {
        let value = whole ? E.Lanes.load(x + i) : E.Lanes.load(x + i, count: rest, fill: middle)
        return (value - E.Lanes(repeating: middle)) * E.Lanes(repeating: factor)
    }

    @inline(__always) mutating func add(_ gradient: E.Lanes, _ normal: E.Lanes) {
        a = a + gradient
        b = E.Lanes.fma(gradient, normal, b)
    }

    @inline(__always) mutating func closeBlock() {
        total += a.sum().double
        product += b.sum().double
        a = E.Lanes.zero
        b = E.Lanes.zero
    }

    @inline(__always)
    func write(
        _ dx: UnsafeMutablePointer<E>, _ weight: UnsafePointer<E>, _ weighted: Bool, _ columns: Int, centered: Bool
    ) {
        let share = -factor.double / Double(columns)
        let shift = E.Lanes(repeating: centered ? E(total * share) : 0)
        let slope = E.Lanes(repeating: E(product * share))
        var i = 0
        while i &+ E.Lanes.width <= columns {
            vector(dx, i, weight, weighted, true, 0, slope, shift)
            i &+= E.Lanes.width
        }
        if i < columns { vector(dx, i, weight, weighted, false, columns &- i, slope, shift) }
    }

    @inline(__always)
    private func vector(
        _ dx: UnsafeMutablePointer<E>, _ i: Int, _ weight: UnsafePointer<E>, _ weighted: Bool, _ whole: Bool,
        _ rest: Int, _ slope: E.Lanes, _ shift: E.Lanes
    ) {
        typealias V = E.Lanes
        var gradient = V.take(g + i, whole, rest)
        if weighted { gradient = gradient * V.take(weight + i, whole, rest) }
        let value = V.fma(gradient, V(repeating: factor), V.fma(normal(i, whole, rest), slope, shift))
        value.put(dx + i, whole, rest)
    }
}

/// One sweep over a row or two: their sums, and what they add to the sums over rows.
private struct RowSums<E: Real> {
    let weight: UnsafePointer<E>
    let sums: UnsafeMutablePointer<E>
    let weighted, summed: Bool
    let columns, padded: Int

    @inline(__always) func gather(_ a: inout RowGradient<E>, _ b: inout RowGradient<E>, _ two: Bool) {
        var offset = 0
        while offset < columns {
            let end = Swift.min(columns, offset &+ momentBlock)
            var i = offset
            while i &+ E.Lanes.width <= end {
                vector(i, &a, &b, two, true, 0)
                i &+= E.Lanes.width
            }
            if i < end { vector(i, &a, &b, two, false, end &- i) }
            a.closeBlock()
            if two { b.closeBlock() }
            offset &+= momentBlock
        }
    }

    @inline(__always)
    private func vector(
        _ i: Int, _ a: inout RowGradient<E>, _ b: inout RowGradient<E>, _ two: Bool, _ whole: Bool, _ rest: Int
    ) {
        typealias V = E.Lanes
        var p = V.take(a.g + i, whole, rest)
        let n = a.normal(i, whole, rest)
        var q = V.zero, m = V.zero
        if two {
            q = V.take(b.g + i, whole, rest)
            m = b.normal(i, whole, rest)
        }
        if summed {
            var product = V.fma(p, n, V.load(sums + i))
            var total = V.load(sums + padded + i) + p
            if two {
                product = V.fma(q, m, product)
                total = total + q
            }
            product.store(sums + i)
            total.store(sums + padded + i)
        }
        if weighted {
            let w = V.take(weight + i, whole, rest)
            p = p * w
            if two { q = q * w }
        }
        a.add(p, n)
        if two { b.add(q, m) }
    }
}
