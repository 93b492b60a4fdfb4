import CSpinetail

@c @implementation
public func spinetail_matmul(
    _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?, _ relu: Int64
) -> spinetail_status {
    let rank = output.rank
    if rank < 2 { return Status.rank(1) }
    if a.rank != rank { return Status.rank(2) }
    if b.rank != rank { return Status.rank(3) }
    let rows = output.extent(-2)
    let columns = output.extent(-1)
    let depth = a.extent(-1)
    if a.extent(-2) != rows { return Status.shape(2) }
    if b.extent(-2) != depth || b.extent(-1) != columns { return Status.shape(3) }
    var axis = 0
    while axis < rank &- 2 {
        if a.extent(axis) != output.extent(axis) && a.extent(axis) != 1 { return Status.shape(2) }
        if b.extent(axis) != output.extent(axis) && b.extent(axis) != 1 { return Status.shape(3) }
        axis &+= 1
    }
    if let bias {
        if bias.dtype != output.dtype { return Status.dtype(4) }
        if !bias.hasShape(columns) { return Status.shape(4) }
        if !bias.isContiguous { return Status.layout(4) }
    }
    if a.dtype != output.dtype { return Status.dtype(2) }
    if b.dtype != output.dtype { return Status.dtype(3) }
    if columns > 1 && output.byteStride(-1) != output.itemSize { return Status.layout(1) }
    if output.holds(Float.self) { return matmul(Float.self, output, a, b, bias, relu: relu != 0) }
    if output.holds(Double.self) { return matmul(Double.self, output, a, b, bias, relu: relu != 0) }
    return Status.dtype(1)
}

private func matmul<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?, relu: Bool
) -> Int32 {
    guard let c = output.pointer(E.self) else { return Status.ok }
    let depth = a.extent(-1)
    // With depth 0 the operands hold nothing, and every sum is empty: any readable pointer will do.
    let aBase = a.pointer(E.self) ?? c
    let bBase = b.pointer(E.self) ?? c
    var epilogue = Epilogue<E>.nothing
    epilogue.relu = relu
    if let bias, let values = bias.pointer(E.self) {
        epilogue.bias = .perColumn
        epilogue.values = UnsafePointer(values)
    }
    var batches = 1
    var axis = 0
    while axis < output.rank &- 2 {
        batches = batches &* output.extent(axis)
        axis &+= 1
    }
    var product = Product<E>(
        rows: output.extent(-2), columns: output.extent(-1), depth: depth,
        a: Matrix(base: UnsafePointer(aBase), rowStride: a.stride(-2, of: E.self), columnStride: a.stride(-1, of: E.self)),
        b: Matrix(base: UnsafePointer(bBase), rowStride: b.stride(-2, of: E.self), columnStride: b.stride(-1, of: E.self)),
        c: c, cRow: output.stride(-2, of: E.self), accumulate: false, epilogue: epilogue)
    var batch = 0
    while batch < batches {
        product.c = c + offset(output, batch, of: output, E.self)
        product.a.base = UnsafePointer(aBase) + offset(a, batch, of: output, E.self)
        product.b.base = UnsafePointer(bBase) + offset(b, batch, of: output, E.self)
        let status = product.runBlocked()
        if status != Status.ok { return status }
        batch &+= 1
    }
    return Status.ok
}

/// Elements from an operand's start to its matrix for one batch of the output; axes of extent 1 are broadcast.
func offset<E>(_ array: Descriptor, _ batch: Int, of output: Descriptor, _ type: E.Type) -> Int {
    var rest = batch
    var total = 0
    var axis = output.rank &- 3
    while axis >= 0 {
        let extent = output.extent(axis)
        let index = remainder(rest, by: extent)
        rest = divide(rest, by: extent)
        if array.extent(axis) != 1 { total = total &+ index &* array.stride(axis, of: E.self) }
        axis &-= 1
    }
    return total
}
