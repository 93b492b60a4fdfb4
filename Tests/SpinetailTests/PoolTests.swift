import CSpinetail
import Testing

@testable import Spinetail

/// Adds 1 to each of the cells that an index covers, and counts the workers that took part.
private struct Increment: ParallelTask {
    let cells: UnsafeMutablePointer<Int64>
    let seen: UnsafeMutablePointer<Int64>
    func run(_ index: Int, worker: Int) {
        cells[index] += 1
        _ = spinetail_atomic_add(seen + worker, 1)
    }
}

/// Calls the pool from within the pool.
private struct Nested: ParallelTask {
    let cells: UnsafeMutablePointer<Int64>
    let seen: UnsafeMutablePointer<Int64>
    func run(_ index: Int, worker: Int) {
        _ = parallel(10, cost: 1_000_000, Increment(cells: cells + 10 * index, seen: seen))
    }
}

private struct Add: ParallelTask {
    let total: UnsafeMutablePointer<Int64>
    func run(_ index: Int, worker: Int) { _ = spinetail_atomic_add(total, Int64(index)) }
}

private func cells(_ count: Int) -> UnsafeMutablePointer<Int64> {
    let memory = UnsafeMutablePointer<Int64>.allocate(capacity: count)
    memory.initialize(repeating: 0, count: count)
    return memory
}

@Suite(.serialized) struct PoolTests {
    @Test(arguments: [1, 2, 3, 8]) func eachIndexRunsOnce(threads: Int32) {
        spinetail_set_num_threads(threads)
        #expect(spinetail_get_num_threads() == threads)
        let seen = cells(256)
        for count in [0, 1, 2, 3, 7, 64, 1000] {
            let work = cells(count + 1)
            for _ in 0..<50 {
                #expect(parallel(count, cost: 1_000_000, Increment(cells: work, seen: seen)) == Status.ok)
            }
            #expect((0..<count).allSatisfy { work[$0] == 50 })
            #expect(work[count] == 0)
        }
        #expect((Int(threads)..<256).allSatisfy { seen[$0] == 0 })
    }

    @Test func workersStayBelowTheirLimit() {
        spinetail_set_num_threads(8)
        let seen = cells(256)
        let work = cells(1000)
        for _ in 0..<100 {
            _ = parallel(1000, cost: 1_000_000, workers: 2, Increment(cells: work, seen: seen))
        }
        #expect((2..<256).allSatisfy { seen[$0] == 0 })
        #expect(seen[0] + seen[1] == 100_000)
    }

    @Test func nestedCallsRunSerially() {
        spinetail_set_num_threads(4)
        let work = cells(1000)
        let seen = cells(256)
        #expect(parallel(100, cost: 1_000_000, Nested(cells: work, seen: seen)) == Status.ok)
        #expect((0..<1000).allSatisfy { work[$0] == 1 })
        #expect(seen[0] == 1000)
    }

    @Test func sleepersWakeUp() {
        // Longer than the spin: the workers sleep between the calls, and some are caught on their way to sleep.
        spinetail_set_num_threads(4)
        let total = cells(1)
        for round in 0..<400 {
            _ = parallel(8, cost: 1_000_000, Add(total: total))
            usleep(UInt32(round % 20) * 10)
        }
        #expect(total[0] == 400 * 28)
    }

    @Test func manyCallersAtOnce() async {
        let sums = await withTaskGroup(of: Int64.self) { group in
            for caller in 0..<8 {
                group.addTask {
                    let total = cells(1)
                    for round in 0..<500 {
                        if caller == 0 { spinetail_set_num_threads(Int32(1 + round % 6)) }
                        _ = parallel(20, cost: 1_000_000, Add(total: total))
                    }
                    return total[0]
                }
            }
            var all: [Int64] = []
            for await sum in group { all.append(sum) }
            return all
        }
        #expect(sums == Array(repeating: 500 * 190, count: 8))
    }

    @Test func anInterruptStopsTheWork() {
        struct Slow: ParallelTask {
            func run(_ index: Int, worker: Int) { usleep(2000) }
        }
        spinetail_set_interrupt_check { 1 }
        defer { spinetail_set_interrupt_check(nil) }
        for threads: Int32 in [1, 4] {
            spinetail_set_num_threads(threads)
            let start = spinetail_now()
            #expect(parallel(10_000, cost: 1_000_000_000, Slow()) == Status.interrupted)
            #expect(spinetail_now() - start < 2_000_000_000)
        }
        spinetail_set_interrupt_check(nil)
        #expect(parallel(4, cost: 1_000_000, Slow()) == Status.ok)
    }

    @Test func helpersRoundAsTheirCallerDoes() {
        struct Control: ParallelTask {
            let words: UnsafeMutablePointer<Int64>
            func run(_ index: Int, worker: Int) {
                words[index] = Int64(truncatingIfNeeded: spinetail_float_control())
                usleep(100)
            }
        }
        #if arch(x86_64)
            let flushes: UInt64 = 0x8040
        #else
            let flushes: UInt64 = 1 << 24
        #endif
        spinetail_set_num_threads(4)
        let words = cells(64)
        let before = spinetail_float_control()
        for control in [before | flushes, before] {
            spinetail_set_float_control(control)
            _ = parallel(64, cost: 10_000_000, Control(words: words))
            spinetail_set_float_control(before)
            #expect((0..<64).allSatisfy { words[$0] == Int64(control) })
        }
    }

    @Test func countsAreClamped() {
        spinetail_set_num_threads(0)
        #expect(spinetail_get_num_threads() == 1)
        spinetail_set_num_threads(-5)
        #expect(spinetail_get_num_threads() == 1)
        spinetail_set_num_threads(Int32.max)
        #expect(spinetail_get_num_threads() == 256)
        spinetail_set_num_threads(2)
    }
}
