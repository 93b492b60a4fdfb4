import CSpinetail

/// Joins the parts of each query; a task is one query of one head.
struct JoinSplits<E: Real>: ParallelTask {
    let problem: AttentionProblem<E>
    let output: HeadRows<E>
    let lse: HeadRows<E>?
    let splits: Int
    let partial: UnsafeMutablePointer<E>

    func run(_ index: Int, worker: Int) {
        let place = divide(divide(index, by: problem.fewQueries), by: problem.heads)
        // Shorter sequences leave places empty.
        if remainder(index, by: problem.fewQueries) >= problem.sequence(problem.few(place)).queries { return }
        let size = DecodeRow<E>.elements(problem.valueWidth)
        let first = partial + index &* splits &* size
        var split = 1
        while split < splits {
            DecodeRow<E>(first).join(DecodeRow(first + split &* size), width: problem.valueWidth)
            split &+= 1
        }
        finish(index, first)
    }

    /// Stores query `place` of all, counted through batches and heads.
    func finish(_ place: Int, _ memory: UnsafeMutablePointer<E>) {
        let head = divide(place, by: problem.fewQueries)
        let query = remainder(place, by: problem.fewQueries)
        let batch = problem.few(divide(head, by: problem.heads))
        let p = problem.sequence(batch)
        let output = p.packed == nil ? output : output.moved(p.queryOrigin)
        let row = DecodeRow<E>(memory)
        let sum = E.Lanes.load(row.sum).sum()
        if sum == 0 { clear(row.values, p.valueWidth) }
        output.store(
            batch, remainder(head, by: p.heads), query, row.values, width: p.valueWidth,
            factor: sum == 0 ? 0 : 1 / sum)
        guard let lse else { return }
        let logarithms = p.packed == nil ? lse : lse.moved(p.queryOrigin)
        logarithms.rows(batch, remainder(head, by: p.heads))[query] = logSumExp(sum, row.largest[0])
    }
}

/// The natural logarithm of a sum of powers of two relative to `largest`; -∞ where there was nothing to sum.
func logSumExp<E: Real>(_ sum: E, _ largest: E) -> E {
    E(CSpinetail.log(sum.double) + largest.double * PowerOfTwo<E>.ln2)
}
