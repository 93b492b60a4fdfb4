import CSpinetail

@c @implementation
public func spinetail_linear_forward(
    _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor, _ bias: Descriptor?, _ activation: Int64
) -> spinetail_status {
    let status = checkLinear(output, input, weight, first: 1, halves: true)
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
    _ dinput: Descriptor?, _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor, _ input: Descriptor,
    _ weight: Descriptor
) -> spinetail_status {
    let status = checkLinear(doutput, input, weight, first: 4)
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
    if doutput.holds(Float.self) { return backward(Float.self, dinput, dweight, dbias, doutput, input, weight) }
    return backward(Double.self, dinput, dweight, dbias, doutput, input, weight)
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

/// output[n, o], input[n, i], weight[o, i] of one dtype, numbered from `first`; dtypes of 16 bits are left to others.
private func checkLinear(
    _ output: Descriptor, _ input: Descriptor, _ weight: Descriptor, first: Int32, halves: Bool = false
) -> Int32 {
    if output.rank != 2 { return Status.rank(first) }
    if input.rank != 2 { return Status.rank(first &+ 1) }
    if weight.rank != 2 { return Status.rank(first &+ 2) }
    if !halves || !input.isHalf {
        if !output.holds(Float.self) && !output.holds(Double.self) { return Status.dtype(first) }
        if input.dtype != output.dtype { return Status.dtype(first &+ 1) }
        if weight.dtype != output.dtype { return Status.dtype(first &+ 2) }
    }
    if input.extent(0) != output.extent(0) { return Status.shape(first &+ 1) }
    if weight.extent(0) != output.extent(1) || weight.extent(1) != input.extent(1) { return Status.shape(first &+ 2) }
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
    _ input: Descriptor, _ weight: Descriptor
) -> Int32 {
    let rows = doutput.extent(0)
    let outputs = doutput.extent(1)
    let inputs = input.extent(1)
    if let dinput, let c = dinput.pointer(E.self) {
        let status = Product(
            rows: rows, columns: inputs, depth: outputs, a: doutput.matrix(E.self, elsewhere: c),
            b: weight.matrix(E.self, elsewhere: c), c: c, cRow: dinput.stride(0, of: E.self), accumulate: false,
            epilogue: .nothing
        ).run()
        if status != Status.ok { return status }
    }
    if rows == 1 && outputs &* inputs <= 65_536 && input.hasUnitColumns && doutput.hasUnitColumns {
        oneRow(dweight, dbias, doutput, input, E.self)
        return Status.ok
    }
    if let dweight, let c = dweight.pointer(E.self) {
        let status = Product(
            rows: outputs, columns: inputs, depth: rows, a: doutput.matrix(E.self, elsewhere: c).transposed,
            b: input.matrix(E.self, elsewhere: c), c: c, cRow: dweight.stride(0, of: E.self), accumulate: false,
            epilogue: .nothing
        ).run()
        if status != Status.ok { return status }
    }
    if let dbias, let sums = dbias.pointer(E.self) {
        return sumRows(doutput.matrix(E.self, elsewhere: sums), rows: rows, columns: outputs, into: sums)
    }
    return Status.ok
}

/// Gradients to weight and bias from a single small row: an outer product and a copy.
private func oneRow<E: Real>(
    _ dweight: Descriptor?, _ dbias: Descriptor?, _ doutput: Descriptor, _ input: Descriptor, _ type: E.Type
) {
    guard let grad = doutput.pointer(E.self) else { return }
    let outputs = doutput.extent(1)
    let inputs = input.extent(1)
    if let dweight, let c = dweight.pointer(E.self), let x = input.pointer(E.self) {
        let width = E.Lanes.width
        let whole = inputs &- remainder(inputs, by: width)
        let rowStride = dweight.stride(0, of: E.self)
        var o = 0
        while o < outputs {
            let row = c + o &* rowStride
            let factor = E.Lanes(repeating: grad[o])
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
    if let dbias, let sums = dbias.pointer(E.self) {
        var o = 0
        while o < outputs {
            sums[o] = grad[o]
            o &+= 1
        }
    }
}
