import CSpinetail

/// The long way to end a product: C = activation(alpha · C + beta · addend + bias + residual), for a block of sums that
/// are still in the first-level cache. What is added has any strides, 0 where it is broadcast.
struct Finish<E: Real> {
    var alpha: E = 1
    var beta: E = 0
    var addend: Matrix<E>? = nil
    var bias: Matrix<E>? = nil
    var residual: Matrix<E>? = nil
    var activation = Int(SPINETAIL_IDENTITY)
    /// The activation's own parameters.
    var first: E = 0
    var second: E = 0
    /// The arrays behind `addend` and `residual`, for their leading axes.
    var addendArray: Descriptor? = nil
    var residualArray: Descriptor? = nil

    /// `bias` has one value for each column (rank 1) or one for each row (rank 2, a column).
    init(bias: Descriptor?, _ activation: Int64, of output: Descriptor) {
        self.activation = Int(truncatingIfNeeded: activation)
        if let bias, let base = bias.pointer(E.self) {
            let stride = bias.extent(0) == 1 ? 0 : bias.stride(0, of: E.self)
            self.bias = Matrix(
                base: UnsafePointer(base), rowStride: bias.rank == 1 ? 0 : stride,
                columnStride: bias.rank == 1 ? stride : 0)
        }
    }

    /// An activation with its parameters.
    init(_ activation: Int64, _ alpha: Double, _ beta: Double) {
        self.activation = Int(truncatingIfNeeded: activation)
        first = E(alpha)
        second = E(beta)
    }

    /// What a tile's epilogue does, for sums that are in memory.
    init(_ epilogue: Epilogue<E>) {
        activation = Int(epilogue.relu ? SPINETAIL_RELU : SPINETAIL_IDENTITY)
        if let values = epilogue.values {
            bias = Matrix(
                base: values, rowStride: epilogue.bias == .perRow ? 1 : 0,
                columnStride: epilogue.bias == .perColumn ? 1 : 0)
        }
    }

    /// alpha · sum + beta · addend, and + residual. Where beta is 0 the addend is not read.
    mutating func add(_ addend: Descriptor?, _ residual: Descriptor?, alpha: Double, beta: Double) {
        self.alpha = E(alpha)
        self.beta = E(beta)
        addendArray = beta == 0 ? nil : addend
        residualArray = residual
        self.addend = addendArray?.broadcastMatrix(E.self)
        self.residual = residual?.broadcastMatrix(E.self)
    }

    /// The same for one batch of the output.
    func batch(_ batch: Int, of output: Descriptor) -> Finish<E> {
        var one = self
        if let array = addendArray { one.addend?.base += offset(array, batch, of: output, E.self) }
        if let array = residualArray { one.residual?.base += offset(array, batch, of: output, E.self) }
        return one
    }

    /// What a tile does in registers, where that is all there is to do: a bias, and max(0, ·).
    var asEpilogue: Epilogue<E>? {
        let rectifies = activation == Int(SPINETAIL_RELU)
        if alpha != 1 || addend != nil || residual != nil { return nil }
        if !rectifies && activation != Int(SPINETAIL_IDENTITY) { return nil }
        var epilogue = Epilogue<E>.nothing
        epilogue.relu = rectifies
        if let bias {
            if bias.columnStride == 1 {
                epilogue.bias = .perColumn
            } else if bias.rowStride == 1 {
                epilogue.bias = .perRow
            } else {
                return nil
            }
            epilogue.values = bias.base
        }
        return epilogue
    }

    /// The activations that a product can end with: those without parameters.
    static func knows(_ activation: Int64) -> Bool {
        switch Int(truncatingIfNeeded: activation) {
        case Int(SPINETAIL_IDENTITY), Int(SPINETAIL_RELU), Int(SPINETAIL_GELU), Int(SPINETAIL_GELU_TANH),
            Int(SPINETAIL_SILU), Int(SPINETAIL_SIGMOID), Int(SPINETAIL_TANH):
            return true
        default: return false
        }
    }

    /// And those that a convolution can end with.
    static func ends(_ activation: Int64) -> Bool {
        switch Int(truncatingIfNeeded: activation) {
        case Int(SPINETAIL_LEAKY_RELU), Int(SPINETAIL_HARDTANH), Int(SPINETAIL_HARDSWISH): return true
        default: return knows(activation)
        }
    }

    @inline(never)
    func apply(
        to c: UnsafeMutablePointer<E>, cRow: Int, row: Int, column: Int, rows: Int, columns: Int
    ) {
        let block = FinishBlock(
            finish: self, c: c, cRow: cRow, row: row, column: column, rows: rows, columns: columns)
        switch activation {
        case Int(SPINETAIL_RELU): block.run(Relu.self)
        case Int(SPINETAIL_GELU): block.run(Gelu.self)
        case Int(SPINETAIL_GELU_TANH): block.run(GeluTanh.self)
        case Int(SPINETAIL_SILU): block.run(Silu.self)
        case Int(SPINETAIL_SIGMOID): block.run(Sigmoid.self)
        case Int(SPINETAIL_TANH): block.run(Tanh.self)
        case Int(SPINETAIL_LEAKY_RELU): block.run(LeakyRelu.self)
        case Int(SPINETAIL_HARDTANH): block.run(Hardtanh.self)
        case Int(SPINETAIL_HARDSWISH): block.run(Hardswish.self)
        default: block.run(Identity.self)
        }
    }
}

extension Product {
    /// How the product ends: in the tiles' registers where they can, else block by block.
    mutating func end(with finish: Finish<E>) {
        if let epilogue = finish.asEpilogue {
            self.epilogue = epilogue
        } else {
            self.finish = finish
        }
    }
}

extension UnsafePointer where Pointee == spinetail_array {
    /// Whether each axis is as long as the output's, or 1.
    func broadcasts(to output: Descriptor) -> Bool {
        if rank != output.rank { return false }
        var axis = 0
        while axis < rank {
            if extent(axis) != output.extent(axis) && extent(axis) != 1 { return false }
            axis &+= 1
        }
        return true
    }

    /// The matrix of the last two axes, with stride 0 where they are broadcast; nil where the array is empty.
    func broadcastMatrix<E: Real>(_ type: E.Type) -> Matrix<E>? {
        guard let base = pointer(E.self) else { return nil }
        return Matrix(
            base: UnsafePointer<E>(base), rowStride: extent(-2) == 1 ? 0 : stride(-2, of: E.self),
            columnStride: extent(-1) == 1 ? 0 : stride(-1, of: E.self))
    }
}

private struct FinishBlock<E: Real> {
    let finish: Finish<E>
    let c: UnsafeMutablePointer<E>
    let cRow: Int
    let row: Int
    let column: Int
    let rows: Int
    let columns: Int

    @inline(never) func run<F: Activation>(_ function: F.Type) {
        let alpha = E.Lanes(repeating: finish.alpha)
        let beta = E.Lanes(repeating: finish.beta)
        let first = E.Lanes(repeating: finish.first)
        let second = E.Lanes(repeating: finish.second)
        let isPlain = finish.alpha == 1 && finish.addend == nil && finish.bias == nil && finish.residual == nil
        var r = 0
        while r < rows {
            var i = 0
            while isPlain && i &+ E.Lanes.width <= columns {
                let p = c + (r &* cRow &+ i)
                F.value(E.Lanes.load(p), first, second).store(p)
                i &+= E.Lanes.width
            }
            while i < columns {
                let count = columns &- i
                let p = c + (r &* cRow &+ i)
                var x = alpha * E.Lanes.loadUpTo(p, count)
                if let m = finish.addend { x = E.Lanes.fma(beta, values(m, r, i, count), x) }
                if let m = finish.bias { x = x + values(m, r, i, count) }
                if let m = finish.residual { x = x + values(m, r, i, count) }
                F.value(x, first, second).storeUpTo(p, count)
                i &+= E.Lanes.width
            }
            r &+= 1
        }
    }

    /// At most `count` elements of a row of m, from column i of the block on.
    @inline(__always) private func values(_ m: Matrix<E>, _ r: Int, _ i: Int, _ count: Int) -> E.Lanes {
        let p = m.base + ((row &+ r) &* m.rowStride &+ (column &+ i) &* m.columnStride)
        if m.columnStride == 1 { return E.Lanes.loadUpTo(p, count) }
        if m.columnStride == 0 { return E.Lanes(repeating: p.pointee) }
        return E.Lanes.gather(p, step: m.columnStride, count: Swift.min(count, E.Lanes.width))
    }
}

extension Lanes {
    /// p[0], p[step], …, `count` of them, zeros in the other lanes.
    @inline(__always) static func gather(_ p: UnsafePointer<Scalar>, step: Int, count: Int) -> Self {
        var lanes = Self.zero
        return withUnsafeMutablePointer(to: &lanes) { lanes in
            lanes.withMemoryRebound(to: Scalar.self, capacity: width) { values in
                var i = 0
                while i < count {
                    values[i] = p[i &* step]
                    i &+= 1
                }
            }
            return lanes.pointee
        }
    }
}
