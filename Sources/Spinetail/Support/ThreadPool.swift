import CSpinetail

/// Work that can be cut: `run` is called once for each index, by any thread, in any order.
/// `worker` (0 ..< workers) tells which thread runs it, for scratch that each thread has to itself.
protocol ParallelTask {
    func run(_ index: Int, worker: Int)
}

/// How many workers a call started now would see. A kernel with scratch for each worker asks once, sizes its scratch
/// by the answer, and hands the same number to `parallel`: another thread may raise the count in between.
@inline(__always) func workerLimit() -> Int { Int(truncatingIfNeeded: spinetail_get_num_threads()) }

/// Runs task.run(0), …, task.run(count - 1). What is computed in which order for an element must depend on the problem
/// alone; only a cut that leaves that as it is may depend on the number of threads. `cost` is roughly the nanoseconds of
/// all the work: small work stays in this thread. A task that uses its `worker` number passes the `workers` that its
/// scratch was made for.
/// Returns Status.ok or Status.interrupted.
func parallel<Task: ParallelTask>(
    _ count: Int, cost: Int, workers: Int = workerLimit(), _ task: borrowing Task
) -> Int32 {
    if count <= 0 { return Status.ok }
    return withUnsafePointer(to: task) { context in
        var job = Job(
            body: { context, index, worker in
                context.assumingMemoryBound(to: Task.self).pointee.run(index, worker: worker)
            },
            context: UnsafeRawPointer(context), count: Int64(truncatingIfNeeded: count),
            floatControl: spinetail_float_control())
        return withUnsafeMutablePointer(to: &job) { job in
            let threads = Swift.min(workers, count)
            if threads > 1, let pool = sharedPool() {
                if pool.pays(cost: cost), spinetail_try_lock(&pool.pointee.owned) != 0 {
                    pool.share(job, threads: threads)
                    spinetail_atomic_store(&pool.pointee.owned, 0)
                } else {
                    job.runAll(worker: 0, polls: true)
                }
                pool.noteEnd(cost: cost)
            } else {
                job.runAll(worker: 0, polls: count > 1)
            }
            return spinetail_atomic_load(&job.pointee.stopped) == 0 ? Status.ok : Status.interrupted
        }
    }
}

/// One call of `parallel`, on its caller's stack.
struct Job {
    var body: (UnsafeRawPointer, Int, Int) -> Void
    var context: UnsafeRawPointer
    var count: Int64
    var floatControl: UInt64
    var taken: Int64 = 0  // indices from the start, and in the upper half those from the end
    var stopped: Int64 = 0
}

extension UnsafeMutablePointer where Pointee == Job {
    /// Takes indices until there are none: every second thread from the end, so that two threads work on ends of their own
    /// and find there in their caches what they left at the last call. Only the calling thread polls for an interrupt.
    @inline(never) func runAll(worker: Int, polls: Bool) {
        var lastPoll: Int64 = polls ? spinetail_now() : 0
        let backwards = worker & 1 != 0
        while spinetail_atomic_load(&pointee.stopped) == 0 {
            let taken = spinetail_atomic_add(&pointee.taken, backwards ? 1 << 32 : 1)
            let first = taken & 0xFFFF_FFFF, last = taken >> 32
            if first &+ last >= pointee.count { return }
            let index = backwards ? pointee.count &- 1 &- last : first
            pointee.body(pointee.context, Int(truncatingIfNeeded: index), worker)
            if polls, let check = interruptCheck {
                let now = spinetail_now()
                if now &- lastPoll > 10_000_000 {
                    lastPoll = now
                    if check() != 0 { spinetail_atomic_store(&pointee.stopped, 1) }
                }
            }
        }
    }
}

/// Set once, when the library is loaded, before any kernel runs.
nonisolated(unsafe) var interruptCheck: spinetail_interrupt_check? = nil

@c @implementation
public func spinetail_set_interrupt_check(_ check: spinetail_interrupt_check?) { interruptCheck = check }

@c @implementation
public func spinetail_vector_width() -> Int32 { Int32(truncatingIfNeeded: FloatLanes.width) }
