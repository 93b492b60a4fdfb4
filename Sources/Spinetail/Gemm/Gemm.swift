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
    if !output.hasUnitColumns { return Status.layout(1) }
    if output.holds(Float.self) { return matmul(Float.self, output, a, b, bias, relu: relu != 0) }
    if output.holds(Double.self) { return matmul(Double.self, output, a, b, bias, relu: relu != 0) }
    return Status.dtype(1)
}

private func matmul<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?, relu: Bool
) -> Int32 {
    guard let c = output.pointer(E.self) else { return Status.ok }
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
        rows: output.extent(-2), columns: output.extent(-1), depth: a.extent(-1), a: a.matrix(E.self, elsewhere: c),
        b: b.matrix(E.self, elsewhere: c), c: c, cRow: output.stride(-2, of: E.self), accumulate: false,
        epilogue: epilogue)
    product.canonicalize()
    if batches == 1 { return product.run() }
    return runBatches(product, batches, output, a, b)
}

extension Product {
    /// Axes of extent 1 have meaningless strides; the fast ways look for stride 1.
    mutating func canonicalize() {
        if depth == 0 { b.columnStride = 1 }
        if a.columnStride != 1 && depth == 1 { a.columnStride = 1 }
        if b.columnStride != 1 && columns == 1 { b.columnStride = 1 }
        if b.rowStride != 1 && depth == 1 && b.columnStride != 1 { b.rowStride = 1 }
    }

    /// The whole product, with all threads.
    func run() -> Int32 {
        var product = self
        product.canonicalize()
        return product.runCanonical()
    }

    private func runCanonical() -> Int32 {
        if prefersDots { return runDots() }
        if prefersGemv { return runGemv() }
        if prefersDirect { return runDirect() }
        return runBlocked()
    }
}

/// Many small products: a thread takes whole ones. Large ones follow each other, each with all threads.
private func runBatches<E: Real>(
    _ product: Product<E>, _ batches: Int, _ output: Descriptor, _ a: Descriptor, _ b: Descriptor
) -> Int32 {
    let volume = product.rows &* product.columns &* product.depth
    let task = Batches(product: product, output: output, a: a, b: b, group: Swift.max(1, divide(262_144, by: volume)))
    if volume < 2_000_000 && (product.prefersDots || product.prefersDirect) {
        return parallel(pieces(batches, task.group), cost: batches &* volume / 32, task)
    }
    var batch = 0
    while batch < batches {
        let status = task.product(batch).run()
        if status != Status.ok { return status }
        batch &+= 1
    }
    return Status.ok
}

private struct Batches<E: Real>: ParallelTask {
    let product: Product<E>
    let output: Descriptor
    let a: Descriptor
    let b: Descriptor
    let group: Int

    func product(_ batch: Int) -> Product<E> {
        var one = product
        one.c = product.c + offset(output, batch, of: output, E.self)
        one.a.base = product.a.base + offset(a, batch, of: output, E.self)
        one.b.base = product.b.base + offset(b, batch, of: output, E.self)
        return one
    }

    func run(_ index: Int, worker: Int) {
        var batch = index &* group
        var all = 1
        var axis = 0
        while axis < output.rank &- 2 {
            all = all &* output.extent(axis)
            axis &+= 1
        }
        let end = Swift.min(all, batch &+ group)
        while batch < end {
            let one = product(batch)
            if one.prefersDots {
                one.dots(rows: 0, to: one.rows, columns: 0, to: one.columns)
            } else {
                one.direct(from: 0, to: one.columns)
            }
            batch &+= 1
        }
    }
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
