import CSpinetail

/// What a call is about, as the caller gives it.
struct AttentionCall {
    var query: Descriptor
    var key: Descriptor
    var value: Descriptor
    var mask: Descriptor?
    var slopes: Descriptor?
    var scale: Double
    var softcap: Double
    var dropout: Double
    var options: spinetail_attention

    /// Status.ok or what is wrong. `first` is the position of query; key, value, mask, slopes, scale, soft-cap and
    /// dropout follow it.
    func check(output: Descriptor, at outputPosition: Int32, first: Int32) -> Int32 {
        if query.rank != 4 { return Status.rank(first) }
        if key.rank != 4 { return Status.rank(first &+ 1) }
        if value.rank != 4 { return Status.rank(first &+ 2) }
        if output.rank != 4 { return Status.rank(outputPosition) }
        if key.dtype != query.dtype { return Status.dtype(first &+ 1) }
        if value.dtype != query.dtype { return Status.dtype(first &+ 2) }
        if output.dtype != query.dtype { return Status.dtype(outputPosition) }
        let batches = query.extent(0)
        let heads = query.extent(1)
        let keyHeads = key.extent(1)
        if key.extent(0) != batches || key.extent(3) != query.extent(3) { return Status.shape(first &+ 1) }
        if keyHeads == 0 ? heads != 0 : remainder(heads, by: keyHeads) != 0 { return Status.shape(first &+ 1) }
        if value.extent(0) != batches || value.extent(1) != keyHeads || value.extent(2) != key.extent(2) {
            return Status.shape(first &+ 2)
        }
        if !sameRows(output, batches, heads, query.extent(2), value.extent(3)) { return Status.shape(outputPosition) }
        if !hasContiguousRows(query) { return Status.layout(first) }
        if !hasContiguousRows(key) { return Status.layout(first &+ 1) }
        if !hasContiguousRows(value) { return Status.layout(first &+ 2) }
        if !hasContiguousRows(output) { return Status.layout(outputPosition) }
        if let mask {
            if !sameRows(mask, batches, heads, query.extent(2), key.extent(2)) { return Status.shape(first &+ 3) }
            if mask.dtype != query.dtype && Int(mask.dtype) != Int(SPINETAIL_BOOL) { return Status.dtype(first &+ 3) }
        }
        if let slopes {
            if slopes.dtype != query.dtype { return Status.dtype(first &+ 4) }
            if slopes.rank != 2 { return Status.rank(first &+ 4) }
            if slopes.extent(0) != batches || slopes.extent(1) != heads { return Status.shape(first &+ 4) }
        }
        if !(softcap >= 0 && softcap < Double.infinity) { return Status.parameter(first &+ 6) }
        if !(dropout >= 0 && dropout <= 1) { return Status.parameter(first &+ 7) }
        return Status.ok
    }
}

func sameRows(_ array: Descriptor, _ a: Int, _ b: Int, _ c: Int, _ d: Int) -> Bool {
    array.rank == 4 && array.extent(0) == a && array.extent(1) == b && array.extent(2) == c && array.extent(3) == d
}

func hasContiguousRows(_ array: Descriptor) -> Bool {
    array.extent(3) <= 1 || array.byteStride(3) == array.itemSize || array.pointee.data == nil
}
