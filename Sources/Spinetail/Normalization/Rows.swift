import CSpinetail

/// Elements of one piece of work on rows.
private let rowGrain = 16_384
/// Pieces into which the sums over rows are cut at most.
private let mostSums = 32

@c @implementation
public func spinetail_normalization_rows_forward(
    _ output: Descriptor, _ mean: Descriptor?, _ scale: Descriptor?, _ input: Descriptor, _ weight: Descriptor?,
    _ bias: Descriptor?, _ columns: Int64, _ eps: Double, _ center: Int64
) -> spinetail_status {
    if input.holds(Float.self) {
        return forward(Float.self, output, mean, scale, input, weight, bias, columns, eps, center)
    }
    if input.holds(Double.self) {
        return forward(Double.self, output, mean, scale, input, weight, bias, columns, eps, center)
    }
    return Status.dtype(4)
}

private func forward<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ mean: Descriptor?, _ scale: Descriptor?, _ input: Descriptor,
    _ weight: Descriptor?, _ bias: Descriptor?, _ columns: Int64, _ eps: Double, _ center: Int64
) -> Int32 {
    let width = Int(truncatingIfNeeded: columns)
    let total = input.count
    if width < 1 { return Status.parameter(7) }
    let rows = total / width
    if rows &* width != total { return Status.shape(4) }
    if !input.isContiguous { return Status.layout(4) }
    var status = checkLike(output, input, 1)
    if status == 0 { status = checkValues(mean, rows, like: input, 2) }
    if status == 0 { status = checkValues(scale, rows, like: input, 3) }
    if status == 0 { status = checkValues(weight, width, like: input, 5) }
    if status == 0 { status = checkValues(bias, width, like: input, 6) }
    if status != 0 { return status }
    guard let y = output.pointer(type), let x = input.pointer(type) else { return Status.ok }
    let rowsAtOnce = Swift.max(1, rowGrain / width)
    let task = RowsForward(
        y: y, x: UnsafePointer(x), mean: mean.pointer(type), scale: scale.pointer(type), weight: weight.pointer(type),
        bias: bias.pointer(type), rows: rows, columns: width, rowsAtOnce: rowsAtOnce, eps: eps, center: center != 0)
    return parallel((rows &+ rowsAtOnce &- 1) / rowsAtOnce, cost: total / 3, task)
}

private struct RowsForward<E: Real>: ParallelTask {
    let y: UnsafeMutablePointer<E>
    let x: UnsafePointer<E>
    let mean, scale, weight, bias: UnsafeMutablePointer<E>?
    let rows, columns, rowsAtOnce: Int
    let eps: Double
    let center: Bool

    func run(_ index: Int, worker: Int) {
        var row = index &* rowsAtOnce
        let end = Swift.min(rows, row &+ rowsAtOnce)
        while row < end {
            normalize(row)
            row &+= 1
        }
    }

    @inline(__always) private func normalize(_ row: Int) {
        let from = x + row &* columns
        let to = y + row &* columns
        let planes = Planes(start: from, planes: 1, stride: columns, length: columns)
        var center = 0.0
        var variance = 0.0
        if self.center {
            let moments = planes.moments()
            center = moments.mean
            variance = moments.spread / Double(columns)
        } else {
            variance = planes.squares() / Double(columns)
        }
        let factor = 1 / (variance + eps).squareRoot()
        mean?[row] = E(center)
        scale?[row] = E(factor)
        // The mean as the sum of two numbers, so that the rest of its rounding is not lost where it is large.
        let rough = E(center)
        let fine = (rough.double - center) * factor
        let affine = RowAffine(
            to: to, from: from, mean: E.Lanes(repeating: rough), scale: E.Lanes(repeating: E(factor)),
            shift: E.Lanes(repeating: E(fine)))
        // The usual cases get loops of their own, without questions in them.
        if let weight, let bias {
            affine.write(columns, UnsafePointer(weight), UnsafePointer(bias), true, true)
        } else if let weight {
            affine.write(columns, UnsafePointer(weight), from, true, false)
        } else if let bias {
            affine.write(columns, from, UnsafePointer(bias), false, true)
        } else {
            affine.write(columns, from, from, false, false)
        }
    }
}

/// y = ((x - mean)·scale + shift)·weight + bias along one row.
private struct RowAffine<E: Real> {
    let to: UnsafeMutablePointer<E>
    let from: UnsafePointer<E>
    let mean, scale, shift: E.Lanes

    @inline(__always)
    func write(
        _ columns: Int, _ weight: UnsafePointer<E>, _ bias: UnsafePointer<E>, _ weighted: Bool, _ biased: Bool
    ) {
        var i = 0
        while i &+ E.Lanes.width <= columns {
            vector(i, weight, bias, weighted, biased, true, 0)
            i &+= E.Lanes.width
        }
        if i < columns { vector(i, weight, bias, weighted, biased, false, columns &- i) }
    }

    @inline(__always)
    private func vector(
        _ i: Int, _ weight: UnsafePointer<E>, _ bias: UnsafePointer<E>, _ weighted: Bool, _ biased: Bool,
        _ whole: Bool, _ rest: Int
    ) {
        typealias V = E.Lanes
        var value = V.fma(V.take(from + i, whole, rest) - mean, scale, shift)
        if weighted && biased {
            value = V.fma(value, V.take(weight + i, whole, rest), V.take(bias + i, whole, rest))
        } else if weighted {
            value = value * V.take(weight + i, whole, rest)
        } else if biased {
            value = value + V.take(bias + i, whole, rest)
        }
        value.put(to + i, whole, rest)
    }
}

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
    let rowsAtOnce = Swift.max(rowGrain / width, (rows &+ mostSums &- 1) / mostSums, 1)
    let pieces = (rows &+ rowsAtOnce &- 1) / rowsAtOnce
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
        var sums: UnsafeMutablePointer<E>? = nil
        if let partial {
            let mine = partial + 2 &* index &* padded
            zeroFill(mine, 2 &* padded)
            sums = mine
        }
        var row = index &* rowsAtOnce
        let end = Swift.min(rows, row &+ rowsAtOnce)
        while row < end {
            one(row, sums)
            row &+= 1
        }
    }

    @inline(__always) private func one(_ row: Int, _ sums: UnsafeMutablePointer<E>?) {
        let g = self.g + row &* columns
        let x = self.x + row &* columns
        let gradient = RowGradient(
            dx: (dx ?? UnsafeMutablePointer(mutating: x)) + (dx == nil ? 0 : row &* columns), g: g, x: x,
            middle: mean?[row] ?? 0, factor: scale[row], centered: mean != nil, columns: columns, padded: padded,
            wanted: dx != nil)
        // The usual cases get loops of their own, without questions in them.
        let none = UnsafeMutablePointer(mutating: x)
        if let weight {
            if let sums {
                gradient.row(UnsafePointer(weight), sums, true, true)
            } else {
                gradient.row(UnsafePointer(weight), none, true, false)
            }
        } else if let sums {
            gradient.row(x, sums, false, true)
        } else {
            gradient.row(x, none, false, false)
        }
    }
}

/// The gradients of one row.
private struct RowGradient<E: Real> {
    let dx: UnsafeMutablePointer<E>
    let g, x: UnsafePointer<E>
    let middle, factor: E
    let centered: Bool
    let columns, padded: Int
    let wanted: Bool

    @inline(__always)
    func row(_ weight: UnsafePointer<E>, _ sums: UnsafeMutablePointer<E>, _ weighted: Bool, _ summed: Bool) {
        typealias V = E.Lanes
        let mean = V(repeating: middle)
        let scale = V(repeating: factor)
        var total = 0.0
        var product = 0.0
        var offset = 0
        while offset < columns {
            let end = Swift.min(columns, offset &+ momentBlock)
            var a = V.zero
            var b = V.zero
            var a2 = V.zero
            var b2 = V.zero
            var i = offset
            while i &+ 2 &* V.width <= end {
                gather(i, weight, sums, weighted, summed, true, 0, mean, scale, &a, &b)
                gather(i &+ V.width, weight, sums, weighted, summed, true, 0, mean, scale, &a2, &b2)
                i &+= 2 &* V.width
            }
            if i &+ V.width <= end {
                gather(i, weight, sums, weighted, summed, true, 0, mean, scale, &a, &b)
                i &+= V.width
            }
            if i < end { gather(i, weight, sums, weighted, summed, false, end &- i, mean, scale, &a, &b) }
            total += (a + a2).sum().double
            product += (b + b2).sum().double
            offset &+= momentBlock
        }
        if !wanted { return }
        let n = Double(columns)
        let shift = V(repeating: centered ? E(-total / n * factor.double) : 0)
        let slope = V(repeating: E(-product / n * factor.double))
        var i = 0
        while i &+ V.width <= columns {
            spread(i, weight, weighted, true, 0, mean, scale, slope, shift)
            i &+= V.width
        }
        if i < columns { spread(i, weight, weighted, false, columns &- i, mean, scale, slope, shift) }
    }

    @inline(__always)
    private func gather(
        _ i: Int, _ weight: UnsafePointer<E>, _ sums: UnsafeMutablePointer<E>, _ weighted: Bool, _ summed: Bool,
        _ whole: Bool, _ rest: Int, _ mean: E.Lanes, _ scale: E.Lanes, _ a: inout E.Lanes, _ b: inout E.Lanes
    ) {
        typealias V = E.Lanes
        var gradient = V.take(g + i, whole, rest)
        let normal = ((whole ? V.load(x + i) : V.load(x + i, count: rest, fill: middle)) - mean) * scale
        if summed {
            V.fma(gradient, normal, V.load(sums + i)).store(sums + i)
            (V.load(sums + padded + i) + gradient).store(sums + padded + i)
        }
        if weighted { gradient = gradient * V.take(weight + i, whole, rest) }
        a = a + gradient
        b = V.fma(gradient, normal, b)
    }

    @inline(__always)
    private func spread(
        _ i: Int, _ weight: UnsafePointer<E>, _ weighted: Bool, _ whole: Bool, _ rest: Int, _ mean: E.Lanes,
        _ scale: E.Lanes, _ slope: E.Lanes, _ shift: E.Lanes
    ) {
        typealias V = E.Lanes
        var gradient = V.take(g + i, whole, rest)
        if weighted { gradient = gradient * V.take(weight + i, whole, rest) }
        let normal = (V.take(x + i, whole, rest) - mean) * scale
        V.fma(gradient, scale, V.fma(normal, slope, shift)).put(dx + i, whole, rest)
    }
}
