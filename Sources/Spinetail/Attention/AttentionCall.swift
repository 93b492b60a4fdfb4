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
    var keyLengths: Descriptor? = nil
    var blockTable: Descriptor? = nil
    var keyScales: Descriptor? = nil
    var valueScales: Descriptor? = nil
    var options: spinetail_attention

    /// What is computed with: scores, masks, slopes and logarithms are of this type.
    var computed: Int32 { AttentionStorage(query) == .own ? query.dtype : Int32(SPINETAIL_FLOAT32) }

    /// The number of packed sequences; nil where there are none but a batch.
    var sequences: Int? { queryOffsets.map { $0.extent(0) &- 1 } }

    /// Status.ok or what is wrong. `first` is the position of query; key, value, mask, slopes and offsets follow it,
    /// then, where keys `mayDiffer` in dtype, lengths, table and scales; then scale, soft-cap and dropout.
    func check(output: Descriptor, at outputPosition: Int32, first: Int32, mayDiffer: Bool) -> Int32 {
        if query.rank != 4 { return Status.rank(first) }
        if key.rank != 4 { return Status.rank(first &+ 1) }
        if value.rank != 4 { return Status.rank(first &+ 2) }
        if output.rank != 4 { return Status.rank(outputPosition) }
        let storage = AttentionStorage(key)
        if AttentionStorage(query) == .bytes { return Status.dtype(first) }
        if key.dtype != query.dtype {
            let widens = storage != .own || key.holds(Float.self)
            if !mayDiffer || !widens || computed != Float.dtype { return Status.dtype(first &+ 1) }
        }
        if value.dtype != key.dtype { return Status.dtype(first &+ 2) }
        if output.dtype != query.dtype { return Status.dtype(outputPosition) }
        let batches = query.extent(0)
        let heads = query.extent(1)
        let keyHeads = key.extent(1)
        let keyBatches = blockTable == nil ? batches : key.extent(0)
        if key.extent(0) != keyBatches || key.extent(3) != query.extent(3) { return Status.shape(first &+ 1) }
        if keyHeads == 0 ? heads != 0 : remainder(heads, by: keyHeads) != 0 { return Status.shape(first &+ 1) }
        if value.extent(0) != keyBatches || value.extent(1) != keyHeads || value.extent(2) != key.extent(2) {
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
            if (keyOffsets == nil) != (blockTable != nil) { return Status.shape(first &+ 6) }
            var wrong = checkNumbers(queryOffsets, nil, first &+ 5)
            if queryOffsets.rank == 1 && queryOffsets.extent(0) == 0 { return Status.shape(first &+ 5) }
            let count = queryOffsets.extent(0)
            if let keyOffsets, wrong == Status.ok { wrong = checkNumbers(keyOffsets, count, first &+ 6) }
            if let keyLengths, wrong == Status.ok { wrong = checkNumbers(keyLengths, count &- 1, first &+ 7) }
            if wrong != Status.ok { return wrong }
            if batches != 1 || mask != nil { return Status.shape(mask == nil ? first : first &+ 3) }
            if let blockTable {
                if Int(blockTable.dtype) != Int(SPINETAIL_INT32) { return Status.dtype(first &+ 8) }
                if blockTable.rank != 2 { return Status.rank(first &+ 8) }
                if blockTable.extent(0) != count &- 1 || keyLengths == nil { return Status.shape(first &+ 8) }
                if !blockTable.isContiguous { return Status.layout(first &+ 8) }
                if dropout > 0 { return Status.parameter(first &+ 8) }
            }
        } else if keyOffsets != nil || keyLengths != nil || blockTable != nil {
            return Status.shape(first &+ 5)
        }
        var wrong = checkScales(keyScales, storage, first &+ 9)
        if wrong == Status.ok { wrong = checkScales(valueScales, storage, first &+ 10) }
        if wrong != Status.ok { return wrong }
        if let slopes {
            if slopes.dtype != computed { return Status.dtype(first &+ 4) }
            if slopes.rank != 2 { return Status.rank(first &+ 4) }
            if slopes.extent(0) != sequences ?? batches || slopes.extent(1) != heads { return Status.shape(first &+ 4) }
        }
        let scaleAt = first &+ (mayDiffer ? 11 : 7)
        if !(softcap >= 0 && softcap < Double.infinity) { return Status.parameter(scaleAt &+ 1) }
        if !(dropout >= 0 && dropout <= 1) { return Status.parameter(scaleAt &+ 2) }
        return Status.ok
    }

    /// Bytes have a scale for each row, other numbers none.
    private func checkScales(_ scales: Descriptor?, _ storage: AttentionStorage, _ position: Int32) -> Int32 {
        guard let scales else { return storage == .bytes ? Status.shape(position) : Status.ok }
        if storage != .bytes || !scales.holds(Float.self) { return Status.dtype(position) }
        if scales.rank != 3 { return Status.rank(position) }
        var axis = 0
        while axis < 3 {
            if scales.extent(axis) != key.extent(axis) { return Status.shape(position) }
            axis &+= 1
        }
        return scales.hasContiguousLastAxis ? Status.ok : Status.layout(position)
    }
}

private func checkNumbers(_ numbers: Descriptor, _ count: Int?, _ position: Int32) -> Int32 {
    if Int(numbers.dtype) != Int(SPINETAIL_INT64) { return Status.dtype(position) }
    if numbers.rank != 1 { return Status.rank(position) }
    if let count, numbers.extent(0) != count { return Status.shape(position) }
    return numbers.isContiguous ? Status.ok : Status.layout(position)
}

func sameRows(_ array: Descriptor, _ a: Int, _ b: Int, _ c: Int, _ d: Int) -> Bool {
    array.rank == 4 && array.extent(0) == a && array.extent(1) == b && array.extent(2) == c && array.extent(3) == d
}

func hasContiguousRows(_ array: Descriptor) -> Bool {
    array.extent(3) <= 1 || array.byteStride(3) == array.itemSize || array.pointee.data == nil
}
