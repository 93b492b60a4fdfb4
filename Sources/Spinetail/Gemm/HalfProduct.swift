import CSpinetail

/// C = f(A · B + bias) for A and B of 16-bit numbers, summed in float32 and rounded once. A and B may have any strides.
struct HalfProduct<H: HalfFormat> {
    var rows: Int
    var columns: Int
    var depth: Int
    var a: Matrix<UInt16>
    var b: Matrix<UInt16>
    var c: HalfOutput<H>
}

extension HalfProduct {
    /// The whole product. `workers` bounds the threads, and with them the scratch.
    func run(workers: Int = workerLimit()) -> Int32 {
        var product = self
        if depth == 1 { product.a.columnStride = 1 }
        if depth == 1 { product.b.rowStride = 1 }
        if product.prefersStanding { return product.runStanding(workers: workers) }
        if product.prefersDots { return product.runDots(workers: workers) }
        if product.prefersSweep { return product.runSweep(workers: workers) }
        if columns <= 4 && rows > columns {
            let swapped = product.transposed
            if swapped.prefersDots { return swapped.runDots(workers: workers) }
        }
        return product.runStrips(workers: workers)
    }

    /// Cᵀ = Bᵀ · Aᵀ.
    var transposed: HalfProduct {
        HalfProduct(rows: columns, columns: rows, depth: depth, a: b.transposed, b: a.transposed, c: c.transposed)
    }
}
