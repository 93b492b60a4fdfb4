import CSpinetail

@c @implementation
public func spinetail_matmul(
    _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?, _ activation: Int64
) -> spinetail_status {
    var status = checkShapes(output, a, b, bias)
    if status != Status.ok { return status }
    if a.isHalf { return multiplyHalves(output, a, b, bias, activation, transposed: false) }
    status = checkTypes(output, a, b, bias)
    if status != Status.ok { return status }
    if !Finish<Float>.knows(activation) { return Status.parameter(5) }
    if output.holds(Float.self) {
        return matmul(Float.self, output, a, b, Finish(bias: bias, activation, of: output))
    }
    return matmul(Double.self, output, a, b, Finish(bias: bias, activation, of: output))
}

@c @implementation
public func spinetail_gemm(
    _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ addend: Descriptor?, _ bias: Descriptor?,
    _ residual: Descriptor?, _ alpha: Double, _ beta: Double, _ activation: Int64
) -> spinetail_status {
    var status = checkShapes(output, a, b, bias)
    if status == Status.ok { status = checkTypes(output, a, b, bias) }
    if status != Status.ok { return status == Status.dtype(4) || status == Status.shape(4) ? status &+ 256 : status }
    if let addend {
        if addend.dtype != output.dtype { return Status.dtype(4) }
        if !addend.broadcasts(to: output) { return Status.shape(4) }
    }
    if let residual {
        if residual.dtype != output.dtype { return Status.dtype(6) }
        if !residual.broadcasts(to: output) { return Status.shape(6) }
    }
    if !Finish<Float>.knows(activation) { return Status.parameter(9) }
    if output.holds(Float.self) {
        var finish = Finish<Float>(bias: bias, activation, of: output)
        finish.add(addend, residual, alpha: alpha, beta: beta)
        return matmul(Float.self, output, a, b, finish)
    }
    var finish = Finish<Double>(bias: bias, activation, of: output)
    finish.add(addend, residual, alpha: alpha, beta: beta)
    return matmul(Double.self, output, a, b, finish)
}

/// Ranks and shapes of a product; bias is argument 4.
private func checkShapes(_ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?) -> Int32 {
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
    if let bias, !bias.hasShape(columns) && !bias.hasShape(rows, 1) { return Status.shape(4) }
    return Status.ok
}

/// Dtypes and layout of a float32 or float64 product.
private func checkTypes(_ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?) -> Int32 {
    if let bias, bias.dtype != output.dtype { return Status.dtype(4) }
    if a.dtype != output.dtype { return Status.dtype(2) }
    if b.dtype != output.dtype { return Status.dtype(3) }
    if !output.hasUnitColumns { return Status.layout(1) }
    return output.holds(Float.self) || output.holds(Double.self) ? Status.ok : Status.dtype(1)
}

private func matmul<E: Real>(
    _ type: E.Type, _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ finish: Finish<E>
) -> Int32 {
    guard let c = output.pointer(E.self) else { return Status.ok }
    var batches = 1
    var axis = 0
    while axis < output.rank &- 2 {
        batches = batches &* output.extent(axis)
        axis &+= 1
    }
    var product = Product<E>(
        rows: output.extent(-2), columns: output.extent(-1), depth: a.extent(-1), a: a.matrix(E.self, elsewhere: c),
        b: b.matrix(E.self, elsewhere: c), c: c, cRow: output.stride(-2, of: E.self), accumulate: false,
        epilogue: .nothing)
    product.end(with: finish)
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
        if prefersSweep { return runSweep() }
        if prefersStanding { return runStanding() }
        if prefersTurnedDots { return runTurnedDots() }
        if prefersNear { return runDirect() }
        if prefersShallow { return runShallow() }
        if prefersDirect { return runDirect() }
        if prefersTurning { return runTurned() }
        return prefersDeep ? runDeep() : runBlocked()
    }
}

/// Many small products: a thread takes whole ones. Large ones follow each other, each with all threads.
private func runBatches<E: Real>(
    _ product: Product<E>, _ batches: Int, _ output: Descriptor, _ a: Descriptor, _ b: Descriptor
) -> Int32 {
    let volume = product.rows &* product.columns &* product.depth
    var task = Batches(
        product: product, output: output, a: a, b: b, batches: batches,
        group: Swift.max(1, divide(262_144, by: volume)), panelBytes: 0, panels: nil)
    let large = volume >= 2_000_000 && batches < 16
    if large || !(product.prefersDots || product.prefersDirect) {
        var batch = 0
        while batch < batches {
            let status = task.product(batch).run()
            if status != Status.ok { return status }
            batch &+= 1
        }
        return Status.ok
    }
    let workers = workerLimit()
    task.panelBytes = DirectBlocks(product: product, workers: 1).panelBytes
    guard let panels = Scratch.take(task.panelBytes &* workers) else { return Status.noMemory }
    defer { Scratch.give(panels) }
    task.panels = panels
    return parallel(pieces(batches, task.group), cost: batches &* (volume / 64 &+ 80), workers: workers, task)
}

private struct Batches<E: Real>: ParallelTask {
    let product: Product<E>
    let output: Descriptor
    let a: Descriptor
    let b: Descriptor
    let batches: Int
    let group: Int
    var panelBytes: Int
    var panels: UnsafeMutableRawPointer?

    func product(_ batch: Int) -> Product<E> {
        var one = product
        one.c = product.c + offset(output, batch, of: output, E.self)
        one.a.base = product.a.base + offset(a, batch, of: output, E.self)
        one.b.base = product.b.base + offset(b, batch, of: output, E.self)
        one.finish = product.finish?.batch(batch, of: output)
        return one
    }

    func run(_ index: Int, worker: Int) {
        guard let panels else { return }
        let panel = (panels + worker &* panelBytes).assumingMemoryBound(to: E.self)
        var batch = index &* group
        let end = Swift.min(batches, batch &+ group)
        // Along the last leading axis one product follows the other at fixed steps, which saves small ones the divisions.
        let length = product.prefersDots ? 1 : output.extent(-3)
        while batch < end {
            let one = product(batch)
            let count = Swift.min(end &- batch, length &- remainder(batch, by: length))
            if product.prefersDots {
                one.dots(rows: 0, to: one.rows, columns: 0, to: one.columns)
            } else {
                var pass = DirectPass(one, rows: 0, to: one.rows)
                pass.fetches = far
                if pass.late == nil {
                    pass.run(
                        products: count, aStep: step(a), bStep: step(b), cStep: step(output), panel: panel)
                    batch &+= count
                    continue
                }
                pass.run(columns: 0, to: one.columns, panel: panel)
            }
            batch &+= 1
        }
    }

    /// Elements from one matrix to the next along the last leading axis.
    private func step(_ array: Descriptor) -> Int { array.extent(-3) == 1 ? 0 : array.stride(-3, of: E.self) }

    /// Whether the operands are too large to stay in the near caches.
    private var far: Bool {
        let elements = product.depth &* (product.rows &+ product.columns)
        return product.a.columnStride == 1
            && batches &* elements &* MemoryLayout<E>.size > DirectPass<E>.nearBatchBytes
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
