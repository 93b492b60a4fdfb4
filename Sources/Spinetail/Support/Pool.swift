import CSpinetail

/// The process's worker threads. All fields are words that several threads touch, so it lives in calloc'ed memory and
/// is reached by pointers; it is never freed.
///
/// Why no job is lost or freed too early (every access is sequentially consistent):
/// - a worker adds itself to `inside` *before* it reads `job`; the caller clears `job` *before* it reads `inside`. So
///   either the caller sees the worker and waits for it, or the worker sees no job.
/// - a worker adds itself to `sleeping` *before* it looks at `generation` a last time, under the mutex; the caller moves
///   `generation` *before* it reads `sleeping`, and signals under the mutex. So either the worker sees the new
///   generation, or the caller sees the sleeper.
struct Pool {
    var owned: Int64  // 1 while a caller's job runs: others (and nested calls) run serially
    var job: Int64  // address of the running job, 0 when there is none
    var inside: Int64  // workers that may be looking at the job
    var limit: Int64  // workers with a number below this take part
    var started: Int64  // threads made so far, the caller not counted; changed by the owner alone
    var sleeping: Int64
    var newest: Int64  // when the newest job ended that was long enough for helpers that are awake
    var streak: Int64  // jobs that came soon after another and were too short to wake a helper
    var processor: Int64  // where the newest job's caller ran
    // `generation`, which all watch, has a cache line to itself.
    var gap: (Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64)
    var generation: Int64  // counts jobs; workers wait for it to change
    var otherGap: (Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64)
    var mutex: pthread_mutex_t
    var wake: pthread_cond_t
}

private let spinNanoseconds: Int64 = 50_000

/// Nanoseconds of work from which a second thread pays: with a helper that still spins, with one that sleeps while calls
/// follow each other, and with one that sleeps or is not there yet. Waking costs the caller a system call of about 10 µs,
/// and the helper starts some 40 µs later (measured on a virtual machine with two processors).
private let awakeThreshold = 6_000
private let followingThreshold = 20_000
private let wakingThreshold = 100_000

/// So many calls above the lowest threshold, each soon after the one before, are worth waking a helper too.
private let longStreak: Int64 = 8

// Words that several threads touch: read and written by the atomics only.
nonisolated(unsafe) private var poolAddress: Int64 = 0
nonisolated(unsafe) private var poolLock: Int64 = 0
nonisolated(unsafe) private var forkHandled: Int64 = 0

private func currentPool() -> UnsafeMutablePointer<Pool>? {
    UnsafeMutablePointer(bitPattern: Int(truncatingIfNeeded: spinetail_atomic_load(&poolAddress)))
}

/// Makes the pool at first use; nil when memory is short, and then work stays in the calling thread.
func sharedPool() -> UnsafeMutablePointer<Pool>? {
    if let pool = currentPool() { return pool }
    while spinetail_try_lock(&poolLock) == 0 { sched_yield() }
    if currentPool() == nil, let memory = calloc(1, MemoryLayout<Pool>.stride) {
        let fresh = memory.bindMemory(to: Pool.self, capacity: 1)
        pthread_mutex_init(&fresh.pointee.mutex, nil)
        pthread_cond_init(&fresh.pointee.wake, nil)
        // The child of a fork has none of our threads: it forgets the pool and makes its own.
        if spinetail_atomic_exchange(&forkHandled, 1) == 0 {
            pthread_atfork(nil, nil) {
                spinetail_atomic_store(&poolAddress, 0)
                spinetail_atomic_store(&poolLock, 0)
            }
        }
        spinetail_atomic_store(&poolAddress, Int64(truncatingIfNeeded: Int(bitPattern: fresh)))
    }
    spinetail_atomic_store(&poolLock, 0)
    return currentPool()
}

extension UnsafeMutablePointer where Pointee == Pool {
    /// Whether a job of `cost` nanoseconds gains from the helpers: one that sleeps is worth waking for a long job, or
    /// when jobs come so fast that it will not sleep again.
    func pays(cost: Int) -> Bool {
        if cost > wakingThreshold { return true }
        if cost <= awakeThreshold { return false }
        if spinetail_now() &- spinetail_atomic_load(&pointee.newest) >= spinNanoseconds {
            spinetail_atomic_store(&pointee.streak, 0)
            return false
        }
        if cost > followingThreshold { return true }
        let awake = spinetail_atomic_load(&pointee.started) > 0 && spinetail_atomic_load(&pointee.sleeping) == 0
        return awake || spinetail_atomic_add(&pointee.streak, 1) >= longStreak
    }

    /// A job of `cost` has ended, in whatever threads: what comes soon after follows it.
    func noteEnd(cost: Int) {
        if cost > awakeThreshold { spinetail_atomic_store(&pointee.newest, spinetail_now()) }
    }

    /// Runs a job in at most `threads` threads, this one included. The caller holds `owned`.
    func share(_ work: UnsafeMutablePointer<Job>, threads: Int) {
        start(threads &- 1)
        spinetail_atomic_store(&pointee.processor, spinetail_processor())
        spinetail_atomic_store(&pointee.limit, Int64(truncatingIfNeeded: threads))
        spinetail_atomic_store(&pointee.job, Int64(truncatingIfNeeded: Int(bitPattern: work)))
        _ = spinetail_atomic_add(&pointee.generation, 1)
        if spinetail_atomic_load(&pointee.sleeping) > 0 {
            pthread_mutex_lock(&pointee.mutex)
            pthread_cond_broadcast(&pointee.wake)
            pthread_mutex_unlock(&pointee.mutex)
        }
        work.runAll(worker: 0, polls: true)
        // Workers that entered before this line finish; those that come later find no job.
        spinetail_atomic_store(&pointee.job, 0)
        var spins = 0
        while spinetail_atomic_load(&pointee.inside) > 0 {
            // A signal handler that ran in our interrupt check may have forked. This is then the child: the helpers,
            // and what they were working on, stayed in the parent.
            if currentPool() != self {
                spinetail_atomic_store(&work.pointee.stopped, 1)
                return
            }
            spinetail_pause()
            spins &+= 1
            if spins > 2000 { sched_yield() }
        }
    }

    /// Makes threads until there are `wanted`. Fewer is fine: the caller does the rest.
    private func start(_ wanted: Int) {
        while Int(truncatingIfNeeded: pointee.started) < wanted {
            let number = Int(truncatingIfNeeded: pointee.started) &+ 1
            guard let memory = malloc(MemoryLayout<Worker>.stride) else { return }
            let worker = memory.bindMemory(to: Worker.self, capacity: 1)
            worker.initialize(to: Worker(pool: self, number: number))
            if spinetail_start_thread({ $0.map(workerMain) ?? nil }, memory) != 0 {
                free(memory)
                return
            }
            spinetail_atomic_store(&pointee.started, Int64(truncatingIfNeeded: number))
        }
    }
}

private struct Worker {
    let pool: UnsafeMutablePointer<Pool>
    let number: Int
}

/// A worker's life: spin a little for the next job, then sleep; run; again.
private func workerMain(_ memory: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    let worker = memory.load(as: Worker.self)
    free(memory)
    let pool = worker.pool
    var seen: Int64 = 0
    var moved: Int64 = 0
    while true {
        waitForJob(pool, after: seen)
        stepAside(pool, &moved)
        seen = spinetail_atomic_load(&pool.pointee.generation)
        _ = spinetail_atomic_add(&pool.pointee.inside, 1)
        let address = spinetail_atomic_load(&pool.pointee.job)
        if Int64(truncatingIfNeeded: worker.number) < spinetail_atomic_load(&pool.pointee.limit),
            let job = UnsafeMutablePointer<Job>(bitPattern: Int(truncatingIfNeeded: address))
        {
            spinetail_set_float_control(job.pointee.floatControl)
            job.runAll(worker: worker.number, polls: false)
        }
        _ = spinetail_atomic_add(&pool.pointee.inside, -1)
    }
}

/// A helper on its caller's processor takes the time that it should save, and the system may leave the two together for
/// tenths of a second: it moves to another one, at most once in a millisecond.
private func stepAside(_ pool: UnsafeMutablePointer<Pool>, _ moved: inout Int64) {
    let here = spinetail_processor()
    if here < 0 || here != spinetail_atomic_load(&pool.pointee.processor) { return }
    let now = spinetail_now()
    if now &- moved < 1_000_000 { return }
    moved = now
    spinetail_leave_processor(here, spinetail_atomic_load(&pool.pointee.started))
}

private func waitForJob(_ pool: UnsafeMutablePointer<Pool>, after seen: Int64) {
    let start = spinetail_now()
    while spinetail_now() &- start < spinNanoseconds {
        var pauses = 0
        while pauses < 32 {
            if spinetail_atomic_load(&pool.pointee.generation) != seen { return }
            spinetail_pause()
            pauses &+= 1
        }
    }
    pthread_mutex_lock(&pool.pointee.mutex)
    _ = spinetail_atomic_add(&pool.pointee.sleeping, 1)
    while spinetail_atomic_load(&pool.pointee.generation) == seen {
        pthread_cond_wait(&pool.pointee.wake, &pool.pointee.mutex)
    }
    _ = spinetail_atomic_add(&pool.pointee.sleeping, -1)
    pthread_mutex_unlock(&pool.pointee.mutex)
}

// MARK: - How many threads

private let largestCount: Int64 = 256
nonisolated(unsafe) private var threadCount: Int64 = 0

@c @implementation
public func spinetail_get_num_threads() -> Int32 {
    let count = spinetail_atomic_load(&threadCount)
    if count > 0 { return Int32(truncatingIfNeeded: count) }
    let fresh = Swift.max(1, Swift.min(spinetail_processors(), largestCount))
    // Somebody may have set it meanwhile: theirs stays.
    _ = spinetail_atomic_replace(&threadCount, 0, fresh)
    return Int32(truncatingIfNeeded: spinetail_atomic_load(&threadCount))
}

@c @implementation
public func spinetail_set_num_threads(_ count: Int32) {
    spinetail_atomic_store(&threadCount, Swift.max(1, Swift.min(Int64(count), largestCount)))
}
