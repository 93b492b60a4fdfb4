import CSpinetail

/// Elements of one piece of work on rows.
let rowGrain = 16_384

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
        let row = index &* rowsAtOnce
        let end = Swift.min(rows, row &+ rowsAtOnce)
        if columns > momentBlock {
            long(row, end)
        } else if center {
            centered(row, end)
        } else {
            uncentered(row, end)
        }
    }

    @inline(__always) private func start(_ row: Int) -> UnsafePointer<E> { x + row &* columns }

    // The next row's sums are made before this row is written: they fill the time that its statistics take.

    @inline(__always) private func centered(_ first: Int, _ end: Int) {
        let share = 1 / Double(columns)
        var row = first
        var guess = E(total(start(row), columns).sum().double * share)
        while row < end {
            let (a, b) = deviations(start(row), columns, guess)
            let next = row &+ 1 < end ? E(total(start(row &+ 1), columns).sum().double * share) : guess
            let shift = a.sum().double * share
            write(row, guess.double + shift, b.sum().double * share - shift * shift)
            guess = next
            row &+= 1
        }
    }

    @inline(__always) private func uncentered(_ first: Int, _ end: Int) {
        let share = 1 / Double(columns)
        var row = first
        var squares = deviations(start(row), columns, 0).1
        while row < end {
            let next = row &+ 1 < end ? deviations(start(row &+ 1), columns, 0).1 : squares
            write(row, 0, squares.sum().double * share)
            squares = next
            row &+= 1
        }
    }

    private func long(_ first: Int, _ end: Int) {
        var row = first
        while row < end {
            let planes = Planes(start: start(row), planes: 1, stride: columns, length: columns)
            if center {
                let moments = planes.moments()
                write(row, moments.mean, moments.spread / Double(columns))
            } else {
                write(row, 0, planes.squares() / Double(columns))
            }
            row &+= 1
        }
    }

    @inline(__always) private func write(_ row: Int, _ center: Double, _ variance: Double) {
        let factor = 1 / (variance + eps).squareRoot()
        mean?[row] = E(center)
        scale?[row] = E(factor)
        // The mean as the sum of two numbers, so that the rest of its rounding is not lost where it is large.
        let rough = E(center)
        let fine = (rough.double - center) * factor
        let from = start(row)
        let affine = RowAffine(
            to: y + row &* columns, from: from, mean: E.Lanes(repeating: rough), scale: E.Lanes(repeating: E(factor)),
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
