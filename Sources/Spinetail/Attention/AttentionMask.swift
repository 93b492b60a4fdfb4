import CSpinetail

extension AttentionMask {
    /// What is added to a block of scores, in the scores' layout and units: out[k · AttentionBlock.queries + i] for
    /// `keys` from `key` on and `queries` from `query` on. `stage` holds one vector's worth of rows of
    /// AttentionBlock.keys.
    @inline(never)
    func fill<E: Real>(
        batch: Int, head: Int, query: Int, queries: Int, key: Int, keys: Int, stage: UnsafeMutablePointer<E>,
        into out: UnsafeMutablePointer<E>
    ) {
        guard let base else { return }
        let width = E.Lanes.width
        let origin = base + (batch &* self.batch &+ head &* self.head &+ query &* self.query &+ key &* self.key)
        if self.query == 0 {
            expand(origin, keys, into: stage)
            var k = 0
            while k < keys {
                let value = E.Lanes(repeating: stage[k])
                var i = 0
                while i < queries {
                    value.store(out + (k &* AttentionBlock<E>.queries &+ i))
                    i &+= width
                }
                k &+= 1
            }
            return
        }
        var first = 0
        while first < queries {
            var i = 0
            while i < width {
                // Lanes beyond the last query repeat it; nobody reads what becomes of them.
                let row = Swift.min(first &+ i, queries &- 1)
                expand(origin + row &* self.query, keys, into: stage + i &* AttentionBlock<E>.keys)
                i &+= 1
            }
            var k = 0
            while k < keys {
                E.Lanes.transpose(
                    stage + k, stride: AttentionBlock<E>.keys, valid: width,
                    into: out + (k &* AttentionBlock<E>.queries &+ first), outStride: AttentionBlock<E>.queries)
                k &+= width
            }
            first &+= width
        }
    }

    /// What is added to some keys' scores with one query.
    func row<E: Real>(batch: Int, head: Int, query: Int, key: Int, keys: Int, into out: UnsafeMutablePointer<E>) {
        guard let base else { return }
        let origin = base + (batch &* self.batch &+ head &* self.head &+ query &* self.query &+ key &* self.key)
        expand(origin, keys, into: out)
    }

    /// One row of the mask as numbers to add.
    @inline(__always)
    private func expand<E: Real>(_ row: UnsafeRawPointer, _ keys: Int, into out: UnsafeMutablePointer<E>) {
        var k = 0
        if kind == .boolean {
            let hidden = -E.infinity
            if key == 1 {
                let flags = row.assumingMemoryBound(to: UInt8.self)
                while k < keys {
                    out[k] = flags[k] != 0 ? 0 : hidden
                    k &+= 1
                }
            }
            while k < keys {
                out[k] = (row + k &* key).load(as: UInt8.self) != 0 ? 0 : hidden
                k &+= 1
            }
            return
        }
        let unit = E(PowerOfTwo<E>.log2e)
        if key == MemoryLayout<E>.size {
            let values = row.assumingMemoryBound(to: E.self)
            while k < keys {
                out[k] = values[k] * unit
                k &+= 1
            }
        }
        while k < keys {
            out[k] = (row + k &* key).load(as: E.self) * unit
            k &+= 1
        }
    }
}
