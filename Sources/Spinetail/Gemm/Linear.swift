import CSpinetail

@c @implementation
public func spinetail_linear_forward(
    _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor, _ bias: Descriptor?, _ activation: Int64
) -> spinetail_status {
    let status = checkLinear(output, input, weight, first: 1, second: 2, halves: true)
    if status != Status.ok { return status }
    if let bias, !bias.hasShape(output.extent(1)) { return Status.shape(4) }
    if input.isHalf { return multiplyHalves(output, input, weight, bias, activation, transposed: true) }
    if let bias, bias.dtype != output.dtype { return Status.dtype(4) }
    if !output.hasUnitColumns { return Status.layout(1) }
    if !Finish<Float>.knows(activation) { return Status.parameter(5) }
    if output.holds(Float.self) {
        return forward(output, input, weight, Finish<Float>(bias: bias, activation, of: output))
    }
    return forward(output, input, weight, Finish<Double>(bias: bias, activation, of: output))
}

@c @implementation
public func spinetail_linear_backward(
    _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor, _ output: Descriptor?,
    _ input: Descriptor, _ weight: Descriptor
) -> spinetail_status {
    let status = checkLinear(doutput, input, weight, first: 4, second: 6)
    if status != Status.ok { return status }
    if let dinput {
        if dinput.dtype != input.dtype { return Status.dtype(1) }
        if !dinput.hasShape(of: input) { return Status.shape(1) }
        if !dinput.hasUnitColumns { return Status.layout(1) }
    }
    if let dweight {
        if dweight.dtype != input.dtype { return Status.dtype(2) }
        if !dweight.hasShape(of: weight) { return Status.shape(2) }
        if !dweight.hasUnitColumns { return Status.layout(2) }
    }
    if let dbias {
        if dbias.dtype != input.dtype { return Status.dtype(3) }
        if !dbias.hasShape(weight.extent(0)) { return Status.shape(3) }
        if !dbias.isContiguous { return Status.layout(3) }
    }
    if let output {
        if output.dtype != doutput.dtype { return Status.dtype(5) }
        if !output.hasShape(of: doutput) { return Status.shape(5) }
        if !output.hasUnitColumns { return Status.layout(5) }
    }
    if doutput.holds(Float.self) { return backward(Float.self, dinput, dweight, dbias, doutput, output, input, weight) }
    return backward(Double.self, dinput, dweight, dbias, doutput, output, input, weight)
}

extension UnsafePointer where Pointee == spinetail_array {
    /// Whether neighbours of the last axis are neighbours in memory. Strides of empty arrays mean nothing.
    var hasUnitColumns: Bool { pointee.data == nil || extent(-1) <= 1 || byteStride(-1) == itemSize }

    /// The array as a matrix of its last two axes; `elsewhere` stands in for the address of an empty array.
    @inline(__always) func matrix<E>(_ type: E.Type, elsewhere: UnsafeMutablePointer<E>) -> Matrix<E> {
        Matrix(
            base: UnsafePointer<E>(pointer(E.self) ?? elsewhere), rowStride: stride(-2, of: E.self),
            columnStride: stride(-1, of: E.self))
    }
}

/// output[n, o], input[n, i], weight[o, i] of one dtype: arguments `first`, `second` and the one behind it; dtypes of 16
/// bits are left to others.
private func checkLinear(
    _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor, first: Int32, second: Int32, halves: Bool = false
) -> Int32 {
    if output.rank != 2 { return Status.rank(first) }
    if input.rank != 2 { return Status.rank(second) }
    if weight.rank != 2 { return Status.rank(second &+ 1) }
    if !halves || !input.isHalf {
        if !output.holds(Float.self) && !output.holds(Double.self) { return Status.dtype(first) }
        if input.dtype != output.dtype { return Status.dtype(second) }
        if weight.dtype != output.dtype { return Status.dtype(second &+ 1) }
    }
    if input.extent(0) != output.extent(0) { return Status.shape(second) }
    if weight.extent(0) != output.extent(1) || weight.extent(1) != input.extent(1) { return Status.shape(second &+ 1) }
    return Status.ok
}

private func forward<E: Real>(
    _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor, _ finish: Finish<E>
) -> Int32 {
    guard let c = output.pointer(E.self) else { return Status.ok }
    var product = Product(
        rows: output.extent(0), columns: output.extent(1), depth: input.extent(1),
        a: input.matrix(E.self, elsewhere: c), b: weight.matrix(E.self, elsewhere: c).transposed, c: c,
        cRow: output.stride(0, of: E.self), accumulate: false, epilogue: .nothing)
    product.end(with: finish)
    return product.run()
}

private func backward<E: Real>(
    _ type: E.Type, _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor,
    _ output: Descriptor?, _ input: Descriptor, _ weight: Descriptor
) -> Int32 {
    guard
        let first = (dinput ?? dweight ?? dbias)?.pointer(E.self) ?? dweight?.pointer(E.self) ?? dbias?.pointer(E.self)
    else { return Status.ok }
    let rows = doutput.extent(0)
    let outputs = doutput.extent(1)
    var grad = doutput.matrix(E.self, elsewhere: first)
    var memory: UnsafeMutableRawPointer? = nil
    defer { Scratch.give(memory) }
    var sums = dbias?.pointer(E.self)
    if let output, output.pointer(E.self) != nil {
        // The gradient where the output is not cut off, and the sums of its columns, in one sweep. Rows do not begin at
        // multiples of a page, so that the products need not pack them.
        let row = roundUp(outputs, 16) &+ 16
        memory = Scratch.take(rows &* row &* MemoryLayout<E>.size)
        guard let memory else { return Status.noMemory }
        let kept = memory.assumingMemoryBound(to: E.self)
        let mask = Rectified(output: output.matrix(E.self, elsewhere: first), kept: kept, row: row)
        let status = sumRows(grad, rows: rows, columns: outputs, into: sums, where: mask)
        if status != Status.ok { return status }
        grad = Matrix(base: UnsafePointer(kept), rowStride: row, columnStride: 1)
        sums = nil
    }
    let inputs = input.extent(1)
    if let dinput, let c = dinput.pointer(E.self) {
        let status = Product(
            rows: rows, columns: inputs, depth: outputs, a: grad, b: weight.matrix(E.self, elsewhere: c), c: c,
            cRow: dinput.stride(0, of: E.self), accumulate: false, epilogue: .nothing
        ).run()
        if status != Status.ok { return status }
    }
    if let dweight, let c = dweight.pointer(E.self) {
        let x = input.matrix(E.self, elsewhere: c)
        let cRow = dweight.stride(0, of: E.self)
        if rows == 1 && outputs &* inputs <= 65_536 && input.hasUnitColumns {
            outerProduct(grad, outputs, x.base, inputs, into: c, cRow)
        } else {
            let status = Product(
                rows: outputs, columns: inputs, depth: rows, a: grad.transposed, b: x, c: c, cRow: cRow,
                accumulate: false, epilogue: .nothing
            ).run()
            if status != Status.ok { return status }
        }
    }
    if let sums { return sumRows(grad, rows: rows, columns: outputs, into: sums) }
    return Status.ok
}

/// c[o, i] = grad[0, o] · x[i]: the gradient of the weights from a single row.
private func outerProduct<E: Real>(
    _ grad: Matrix<E>, _ outputs: Int, _ x: UnsafePointer<E>, _ inputs: Int, into c: UnsafeMutablePointer<E>,
    _ cRow: Int
) {
    let width = E.Lanes.width
    let whole = inputs &- remainder(inputs, by: width)
    var o = 0
    while o < outputs {
        let row = c + o &* cRow
        let factor = E.Lanes(repeating: grad.base[o &* grad.columnStride])
        var i = 0
        while i < whole {
            (factor * E.Lanes.load(x + i)).store(row + i)
            i &+= width
        }
        if i < inputs {
            (factor * E.Lanes.load(x + i, count: inputs &- i, fill: 0)).store(row + i, count: inputs &- i)
        }
        o &+= 1
    }
}
