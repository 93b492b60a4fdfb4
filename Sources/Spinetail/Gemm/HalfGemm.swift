import CSpinetail

extension UnsafePointer where Pointee == spinetail_array {
    var isHalf: Bool { dtype == Int32(SPINETAIL_FLOAT16) || dtype == Int32(SPINETAIL_BFLOAT16) }
    var isFloat32: Bool { dtype == Int32(SPINETAIL_FLOAT32) }
}

/// The matrix product of 16-bit arrays whose shapes have been checked; `transposed` takes b's last two axes in the other
/// order. Arguments are numbered as in the entries: output 1, a 2, b 3, bias 4, activation 5.
func multiplyHalves(
    _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?, _ activation: Int64, transposed: Bool
) -> Int32 {
    if output.dtype != a.dtype && !output.isFloat32 { return Status.dtype(1) }
    if b.dtype != a.dtype { return Status.dtype(3) }
    if let bias, bias.dtype != a.dtype && !bias.isFloat32 { return Status.dtype(4) }
    if !output.hasUnitColumns { return Status.layout(1) }
    if !Finish<Float>.knows(activation) { return Status.parameter(5) }
    if a.dtype == Int32(SPINETAIL_BFLOAT16) {
        return multiply(BrainFloat.self, output, a, b, bias, activation, transposed)
    }
    return multiply(HalfFloat.self, output, a, b, bias, activation, transposed)
}

private func multiply<H: HalfFormat>(
    _ format: H.Type, _ output: Descriptor, _ a: Descriptor, _ b: Descriptor, _ bias: Descriptor?, _ activation: Int64,
    _ transposed: Bool
) -> Int32 {
    guard let data = output.pointer(UInt16.self) else { return Status.ok }
    var finish = Finish<Float>(bias: bias, activation, of: output)
    var widened: UnsafeMutableRawPointer? = nil
    if let bias, !bias.isFloat32, let values = bias.pointer(UInt16.self) {
        let count = bias.extent(0)
        guard let copy = Scratch.take(count &* 4) else { return Status.noMemory }
        let floats = copy.assumingMemoryBound(to: Float.self)
        let step = bias.stride(0, of: UInt16.self)
        var i = 0
        while i < count {
            floats[i] = H.float(values[i &* step])
            i &+= 1
        }
        widened = copy
        let stride = count == 1 ? 0 : 1
        finish.bias = Matrix(
            base: UnsafePointer(floats), rowStride: bias.rank == 1 ? 0 : stride,
            columnStride: bias.rank == 1 ? stride : 0)
    }
    defer { Scratch.give(widened) }
    let c = HalfOutput<H>(
        base: UnsafeMutableRawPointer(data),
        rowStride: output.isFloat32 ? output.stride(-2, of: Float.self) : output.stride(-2, of: UInt16.self),
        columnStride: 1, isFloat: output.isFloat32, finish: finish)
    let right = b.matrix(UInt16.self, elsewhere: data)
    let product = HalfProduct<H>(
        rows: output.extent(-2), columns: output.extent(-1), depth: a.extent(-1),
        a: a.matrix(UInt16.self, elsewhere: data), b: transposed ? right.transposed : right, c: c)
    var batches = 1
    var axis = 0
    while axis < output.rank &- 2 {
        batches = batches &* output.extent(axis)
        axis &+= 1
    }
    if batches == 1 { return product.run() }
    var failure: Int64 = 0
    let status = withUnsafeMutablePointer(to: &failure) { failure in
        let task = HalfBatches(product: product, output: output, a: a, b: b, failure: failure)
        let volume = product.rows &* product.columns &* product.depth
        if volume < 2_000_000 { return parallel(batches, cost: batches &* volume / 32, task) }
        var batch = 0
        while batch < batches {
            let status = task.product(batch).run()
            if status != Status.ok { return status }
            batch &+= 1
        }
        return Status.ok
    }
    return failure != 0 ? Int32(truncatingIfNeeded: failure) : status
}

/// One product of a batch to a task, in the task's thread.
private struct HalfBatches<H: HalfFormat>: ParallelTask {
    let product: HalfProduct<H>
    let output: Descriptor
    let a: Descriptor
    let b: Descriptor
    let failure: UnsafeMutablePointer<Int64>

    func product(_ batch: Int) -> HalfProduct<H> {
        var one = product
        one.a.base = product.a.base + offset(a, batch, of: output, UInt16.self)
        one.b.base = product.b.base + offset(b, batch, of: output, UInt16.self)
        let size = product.c.isFloat ? 4 : 2
        let elements =
            product.c.isFloat
            ? offset(output, batch, of: output, Float.self) : offset(output, batch, of: output, UInt16.self)
        one.c.base = product.c.base + elements &* size
        return one
    }

    func run(_ index: Int, worker: Int) {
        let status = product(index).run(workers: 1)
        if status != Status.ok { spinetail_atomic_store(failure, Int64(status)) }
    }
}
