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
    var queryOffsets: Descriptor?
    var keyOffsets: Descriptor?
    var options: spinetail_attention

    /// What is computed with: scores, masks, slopes and logarithms are of this type.
    var computed: Int32 { AttentionStorage(query) == .own ? query.dtype : Int32(SPINETAIL_FLOAT32) }

    /// The number of packed sequences; nil where there are none but a batch.
    var sequences: Int? { queryOffsets.map { $0.extent(0) &- 1 } }

    /// Status.ok or what is wrong. `first` is the position of query; key, value, mask, slopes, offsets, scale,
    /// soft-cap and dropout follow it.
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
            if !sameRows(mask, batches, heads, query.extent(2), key.extent(2)) {
                return Status.shape(first &+ 3)
            }
            if mask.dtype != computed && Int(mask.dtype) != Int(SPINETAIL_BOOL) {
                return Status.dtype(first &+ 3)
            }
        }
        if let queryOffsets {
            guard let keyOffsets else { return Status.shape(first &+ 6) }
            var wrong = checkOffsets(queryOffsets, first &+ 5)
            if wrong == Status.ok { wrong = checkOffsets(keyOffsets, first &+ 6) }
            if wrong != Status.ok { return wrong }
            if keyOffsets.extent(0) != queryOffsets.extent(0) { return Status.shape(first &+ 6) }
            if batches != 1 || mask != nil { return Status.shape(mask == nil ? first : first &+ 3) }
        } else if keyOffsets != nil {
            return Status.shape(first &+ 5)
        }
        if let slopes {
            if slopes.dtype != computed { return Status.dtype(first &+ 4) }
            if slopes.rank != 2 { return Status.rank(first &+ 4) }
            if slopes.extent(0) != sequences ?? batches || slopes.extent(1) != heads { return Status.shape(first &+ 4) }
        }
        if !(softcap >= 0 && softcap < Double.infinity) { return Status.parameter(first &+ 8) }
        if !(dropout >= 0 && dropout <= 1) { return Status.parameter(first &+ 9) }
        return Status.ok
    }
}

private func checkOffsets(_ offsets: Descriptor, _ position: Int32) -> Int32 {
    if Int(offsets.dtype) != Int(SPINETAIL_INT64) { return Status.dtype(position) }
    if offsets.rank != 1 { return Status.rank(position) }
    if offsets.extent(0) == 0 { return Status.shape(position) }
    return offsets.isContiguous ? Status.ok : Status.layout(position)
}

func sameRows(_ array: Descriptor, _ a: Int, _ b: Int, _ c: Int, _ d: Int) -> Bool {
    array.rank == 4 && array.extent(0) == a && array.extent(1) == b && array.extent(2) == c && array.extent(3) == d
}

func hasContiguousRows(_ array: Descriptor) -> Bool {
    array.extent(3) <= 1 || array.byteStride(3) == array.itemSize || array.pointee.data == nil
}
