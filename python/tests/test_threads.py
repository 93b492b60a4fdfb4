"""The thread pool as Python sees it: counts, forks, many callers, interrupts, exits, the same bits on any number."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import spinetail
from spinetail import config
from spinetail.ops import gemm

PRODUCT = """
    import numpy as np, os, signal, sys, threading, time
    import spinetail as st
    from spinetail.ops import gemm
    a = np.random.default_rng(0).standard_normal((300, 400)).astype(np.float32)
    def product(): return gemm.matmul(a, a.T).tobytes()
"""


def program(code: str) -> str:
    import textwrap

    return textwrap.dedent(PRODUCT) + textwrap.dedent(code)


# ---- how many


def test_set_and_get():
    for count in (1, 2, 7, 256, np.int64(3)):
        spinetail.set_num_threads(count)
        assert spinetail.get_num_threads() == count


@pytest.mark.parametrize("count", [0, -1, 257, 10**30])
def test_impossible_counts(count):
    with pytest.raises(ValueError, match=r"\[set_num_threads\] expected 1 to 256 threads, got"):
        spinetail.set_num_threads(count)


@pytest.mark.parametrize("count", [1.0, "2", None, True])
def test_wrong_kinds_of_count(count):
    with pytest.raises(TypeError, match=r"\[set_num_threads\] expected a whole number, got"):
        spinetail.set_num_threads(count)


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"SPINETAIL_NUM_THREADS": 3, "OMP_NUM_THREADS": 5}, 3),
        ({"OMP_NUM_THREADS": 5}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "99999"}, 256),
        ({"OMP_NUM_THREADS": "nonsense"}, config.available_processors()),
        ({"SPINETAIL_NUM_THREADS": ""}, config.available_processors()),
        ({}, config.available_processors()),
    ],
)
def test_environment(run_python, variables, count):
    assert int(run_python("import spinetail as st; print(st.get_num_threads())", **variables)) == count


@pytest.mark.parametrize("value", ["zero", "0", "-3", "1.5", "257"])
def test_environment_that_makes_no_sense(run_python, value):
    out = run_python("import spinetail", SPINETAIL_NUM_THREADS=value, code_wanted=1)
    assert f"SPINETAIL_NUM_THREADS='{value}': expected a whole number from 1 to 256" in out


def test_affinity_counts(run_python):
    code = """
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import spinetail
        print(spinetail.get_num_threads())
    """
    assert run_python(code).strip() == "1"


V2, V1 = "0::/a/b\n", "3:cpu,cpuacct:/docker/x\n1:name=systemd:/\n"


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        (V2, {"sys/fs/cgroup/a/b/cpu.max": "150000 100000"}, 1.5),
        (V2, {"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "50000 100000"}, 0.5),
        (V2, {"sys/fs/cgroup/a/b/cpu.max": "max 100000"}, None),
        (V2, {"sys/fs/cgroup/cpu.max": "400000 100000"}, 4),
        (V2, {"sys/fs/cgroup/cpu.max": "rubbish"}, None),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 2.5),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
        (V1, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "5", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "0"}, None),
        (None, {}, None),
    ],
)
def test_cgroup_quota(tmp_path, membership, files, quota):
    if membership is not None:
        files = {**files, "proc/self/cgroup": membership}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert config.cgroup_quota(str(tmp_path)) == quota


@pytest.mark.parametrize("order", [("spinetail", "threadpoolctl"), ("threadpoolctl", "spinetail")])
def test_threadpoolctl(run_python, order):
    pytest.importorskip("threadpoolctl")
    first, second = order
    code = f"""
        import {first}
        import {second}
        import sys
        assert not [finder for finder in sys.meta_path if "WhenImported" in repr(finder)]
        spinetail.set_num_threads(3)
        ours = [each for each in threadpoolctl.threadpool_info() if each["internal_api"] == "spinetail"]
        assert len(ours) == 1 and ours[0]["num_threads"] == 3 and ours[0]["version"] == spinetail.__version__, ours
        with threadpoolctl.threadpool_limits(1):
            assert spinetail.get_num_threads() == 1
        assert spinetail.get_num_threads() == 3
        with threadpoolctl.threadpool_limits(2, user_api="spinetail"):
            assert spinetail.get_num_threads() == 2
        assert spinetail.get_num_threads() == 3
    """
    run_python(code)


def test_no_threadpoolctl_is_no_trouble(run_python):
    code = """
        import sys
        class Hide:
            def find_spec(self, name, path=None, target=None):
                if name == "threadpoolctl": raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Hide())
        import spinetail
        try: import threadpoolctl
        except ModuleNotFoundError: print("absent")
    """
    assert run_python(code).strip() == "absent"


# ---- the same bits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_threads(dtype):
    rng = np.random.default_rng(0)
    shapes = [((517, 1030), (1030, 130)), ((3, 2000), (2000, 700)), ((1, 5000), (5000, 900)), ((2000, 3), (3, 500))]
    for left, right in shapes:
        a, b = (rng.standard_normal(shape).astype(dtype) for shape in (left, right))
        results = set()
        for threads in (1, 2, 3, 8):
            spinetail.set_num_threads(threads)
            results |= {gemm.matmul(a, b).tobytes() for _ in range(5)}
        assert len(results) == 1, (left, right)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the control word through libm")
def test_float_control_is_left_alone(run_python):
    """Neither rounding nor the flushing of subnormals is changed by a call, in the caller or in the pool's threads."""
    run_python(
        program("""
            import ctypes
            libm = ctypes.CDLL("libm.so.6")
            tiny = np.full(100_000, 1e-40, np.float32)
            for mode in (0, 0x400, 0x800, 0xc00):
                libm.fesetround(mode)
                product()
                assert libm.fegetround() == mode
            libm.fesetround(0)
            product()
            assert (tiny * np.float32(1) == tiny).all() and (tiny / 2 > 0).all()
        """)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads the threads of /proc")
def test_helpers_move_off_their_caller_s_processor(run_python):
    """They may run where the process may, before and after; bits are the same, wherever threads are put meanwhile."""
    run_python(
        program("""
            st.set_num_threads(2)
            threads = lambda: [int(name) for name in os.listdir("/proc/self/task")]
            allowed = os.sched_getaffinity(0)
            expected = product()
            for _ in range(20):
                for mask in ({min(allowed)}, allowed):
                    for thread in threads(): os.sched_setaffinity(thread, mask)
                    for _ in range(20): assert product() == expected
                    end = time.monotonic() + 20
                    while any(os.sched_getaffinity(thread) != mask for thread in threads()):
                        assert time.monotonic() < end
                        time.sleep(0.002)
        """)
    )


# ---- forks


def test_forked_children_use_a_pool_of_their_own(run_python):
    run_python(
        program("""
            st.set_num_threads(4)
            expected = product()
            for _ in range(200):
                child = os.fork()
                if child == 0:
                    signal.alarm(30)
                    os._exit(0 if product() == expected == product() else 1)
                assert os.waitpid(child, 0)[1] == 0
                assert product() == expected
        """)
    )


def test_fork_while_another_thread_computes(run_python):
    run_python(
        program("""
            st.set_num_threads(4)
            expected = product()
            stop = False
            def work():
                while not stop: product()
            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads: thread.start()
            for _ in range(100):
                child = os.fork()
                if child == 0:
                    signal.alarm(30)
                    os._exit(0 if product() == expected else 1)
                assert os.waitpid(child, 0)[1] == 0
            stop = True
            for thread in threads: thread.join()
        """),
        timeout=200,
    )


def test_fork_in_a_signal_handler_in_the_middle_of_a_call(run_python):
    """The child's call cannot end, since its helpers stayed in the parent: it raises, and does not hang."""
    run_python(
        program("""
            st.set_num_threads(4)
            big = np.ones((3000, 3000), np.float32)
            children = []
            def fork(*_):
                child = os.fork()
                if child == 0: signal.alarm(30)
                children.append(child)
            signal.signal(signal.SIGALRM, fork)
            expected = gemm.matmul(big, big)
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            for delay in (0.02, 0.05, 0.1):
                signal.setitimer(signal.ITIMER_REAL, delay)
                failed = False
                result = None
                try:
                    while len(children) == 0: result = gemm.matmul(big, big)
                except RuntimeError as error:
                    assert "forked" in str(error)
                    failed = True
                if children.pop() == 0:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    again = gemm.matmul(big, big)
                    os._exit(0 if failed or (result == expected).all() and (again == expected).all() else 1)
                assert not failed and (result == expected).all()
                assert os.wait()[1] == 0
        """),
        timeout=200,
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(run_python, tmp_path, method):
    (tmp_path / "worker_module.py").write_text(
        "import numpy as np\nfrom spinetail.ops import gemm\n"
        "def work(n):\n    a = np.full((n, n), 1.0)\n    return float(gemm.matmul(a, a).sum())\n"
    )
    run_python(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import multiprocessing
        from worker_module import work
        if __name__ == "__main__":
            work(200)
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                sizes = [50, 100, 150, 200] * 5
                assert pool.map(work, sizes) == [float(n) ** 3 for n in sizes]
        """
    )


# ---- many callers, and the way out


def test_32_python_threads_at_once(run_python):
    run_python(
        program("""
            st.set_num_threads(4)
            expected = product()
            wrong = []
            def work(number):
                for round in range(30):
                    if number == 0: st.set_num_threads(1 + round % 5)
                    if product() != expected: wrong.append(number)
            threads = [threading.Thread(target=work, args=(n,)) for n in range(32)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert not wrong
        """)
    )


@pytest.mark.parametrize("way_out", ["pass", "sys.exit()", "os._exit(0)", "threading.Thread(target=product).start()"])
def test_exit_right_after_a_call(run_python, way_out):
    for _ in range(5):
        run_python(program(f"st.set_num_threads(8); product(); {way_out}"), timeout=30)


def test_exit_while_a_daemon_thread_computes(run_python):
    """The interpreter leaves while a kernel runs in a daemon thread, in the middle of a long call too."""
    for size in (300, 2500):
        run_python(
            program(f"""
                st.set_num_threads(2)
                big = np.ones(({size}, {size}), np.float32)
                class SlowToGo:
                    def __del__(self, sleep=time.sleep): sleep(0.5)
                last = SlowToGo()
                def work():
                    while True: gemm.matmul(big, big)
                for _ in range(3): threading.Thread(target=work, daemon=True).start()
                time.sleep(0.2)
            """),
            timeout=30,
        )


# ---- interrupts and memory


def test_control_c_stops_a_long_call(run_python):
    """KeyboardInterrupt comes less than 100 ms after the signal, and the next call works."""
    out = run_python(
        program("""
            big = np.ones((9000, 9000), np.float32)
            sent = []
            def interrupt():
                time.sleep(0.3)
                sent.append(time.perf_counter())
                os.kill(os.getpid(), signal.SIGINT)
            for threads in (1, 2):
                st.set_num_threads(threads)
                thread = threading.Thread(target=interrupt)
                thread.start()
                try:
                    gemm.matmul(big, big)
                    print("not interrupted")
                except KeyboardInterrupt:
                    print(time.perf_counter() - sent.pop())
                thread.join()
                assert (gemm.matmul(big[:50, :60], big[:60, :70]) == 60).all()
        """)
    )
    delays = [float(line) for line in out.split("\n") if line]
    assert len(delays) == 2 and max(delays) < 0.1


def test_another_signal_lets_the_call_finish(run_python):
    run_python(
        program("""
            big = np.ones((3000, 3000), np.float32)
            calls = []
            signal.signal(signal.SIGALRM, lambda *_: calls.append(product()))
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            for _ in range(3): assert (gemm.matmul(big, big) == 3000).all()
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert len(calls) >= 2 and set(calls) == {product()}
        """)
    )


def test_what_a_signal_handler_raises_comes_through(run_python):
    run_python(
        program("""
            big = np.ones((9000, 9000), np.float32)
            def handler(*_): raise OSError("from the handler")
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            try: gemm.matmul(big, big)
            except OSError as error: assert str(error) == "from the handler"
            else: raise AssertionError("the call was not stopped")
        """)
    )


def test_out_of_memory_is_an_exception(run_python):
    """With the address space used up, calls raise MemoryError or still work; and work again when there is room."""
    out = run_python(
        program("""
            import resource
            st.set_num_threads(2)
            big = np.ones((2000, 2000), np.float32)
            out = np.empty_like(big)
            from spinetail._native import kernels
            used = int(open("/proc/self/statm").read().split()[0]) * 4096
            raised = 0
            for room in range(0, 24 << 20, 1 << 20):
                resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
                try: kernels.matmul(out, big, big, None, 0)
                except MemoryError as error:
                    raised += 1
                    assert "[matmul] not enough memory" in str(error)
                else: assert out[0, 0] == out[-1, -1] == 2000
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            kernels.matmul(out, big, big, None, 0)
            assert (out == 2000).all()
            print(raised)
        """)
    )
    assert int(out) >= 1
