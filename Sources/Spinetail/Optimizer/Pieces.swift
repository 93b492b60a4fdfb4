/// Tensors cut into pieces of `stepGrain` that do not cross from one to the next, for what is summed tensor by tensor or
/// kept in blocks.
struct TensorPieces {
    let tensors: TensorList
    /// Where each tensor's pieces begin, and their number.
    let first: UnsafeMutablePointer<Int>
    let count: Int
    let elements: Int

    /// `first` has room for one number more than there are tensors.
    init(_ tensors: TensorList, _ first: UnsafeMutablePointer<Int>) {
        self.tensors = tensors
        self.first = first
        var total = 0
        var elements = 0
        var i = 0
        while i < tensors.count {
            first[i] = total
            let count = (tensors.arrays + i).count
            elements = elements &+ count
            total = total &+ (count &+ stepGrain &- 1) / stepGrain
            i &+= 1
        }
        first[tensors.count] = total
        count = total
        self.elements = elements
    }

    /// The tensor that a piece belongs to, its first element and their number.
    func piece(_ index: Int) -> (tensor: Int, start: Int, count: Int) {
        var tensor = 0
        var above = tensors.count
        while above &- tensor > 1 {
            let middle = (tensor &+ above) >> 1
            if first[middle] <= index { tensor = middle } else { above = middle }
        }
        let start = (index &- first[tensor]) &* stepGrain
        return (tensor, start, Swift.min((tensors.arrays + tensor).count &- start, stepGrain))
    }
}
