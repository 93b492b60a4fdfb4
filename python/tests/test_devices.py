"""What device-agnostic scripts ask for: the CPU is there, and nothing else."""

from __future__ import annotations

import importlib
import warnings

import pytest

import spinetail as st


def test_a_script_that_chooses_its_device_ends_up_on_the_cpu():
    device = st.device("cuda" if st.cuda.is_available() else "mps" if st.backends.mps.is_available() else "cpu")
    x = st.zeros(2, device=device).to(device)
    assert x.device == device == st.device("cpu") and x.device.type == "cpu" and str(device) == "cpu"
    assert x.to("cpu") is x and x.cpu() is x and x.to(device, st.float64).dtype == st.float64
    assert (
        x.to(st.ones(1, dtype=st.int64)).dtype == st.int64 and x.to(device="cpu", dtype=st.float16).dtype == st.float16
    )
    assert st.ones(1, device="cpu:0").device == st.device("cpu")


@pytest.mark.parametrize(
    "call",
    [
        lambda: st.device("cuda"),
        lambda: st.zeros(1, device="cuda:0"),
        lambda: st.ones(1).to("mps"),
        lambda: st.ones(1).cuda(),
        lambda: st.tensor([1.0], device="xpu"),
        lambda: st.Generator("cuda"),
        lambda: st.cuda.synchronize(),
        lambda: st.cuda.get_device_name(0),
        lambda: st.set_default_device("cuda"),
        lambda: st.device("nonsense"),
        lambda: st.device(0),
    ],
)
def test_other_devices_are_an_error(call):
    with pytest.raises(RuntimeError, match=r"CPU|'cpu'"):
        call()


def test_accelerators_are_not_there():
    assert not st.cuda.is_available() and st.cuda.device_count() == 0 and st.cuda.memory_allocated() == 0
    assert not st.accelerator.is_available() and st.accelerator.current_accelerator() is None
    assert not st.backends.mps.is_available() and not st.mps.is_available() and not st.xpu.is_available()
    st.cuda.manual_seed_all(0)
    st.cuda.empty_cache()
    st.backends.cudnn.benchmark = True
    st.backends.cudnn.deterministic = True
    st.backends.cuda.matmul.allow_tf32 = True
    assert not st.backends.cudnn.is_available()
    assert importlib.import_module("spinetail.backends.cudnn") is st.backends.cudnn
    assert importlib.import_module("spinetail.cuda.amp").autocast is st.amp.autocast
    st.set_float32_matmul_precision("high")
    assert st.get_float32_matmul_precision() == "high"
    st.use_deterministic_algorithms(True)
    assert st.are_deterministic_algorithms_enabled()


def test_compile_returns_what_it_is_given():
    def f(x):
        return x

    assert st.compile(f) is f and st.compile(f, mode="max-autotune") is f and st.compile(fullgraph=True)(f) is f


def test_autocast_says_once_that_it_changes_nothing():
    st.amp._warned = False
    with pytest.warns(UserWarning, match="autocast leaves every tensor"), st.autocast("cpu", dtype=st.bfloat16):
        assert (st.ones(2) * 2).dtype == st.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with st.amp.autocast("cpu"):
            pass

        @st.amp.autocast(device_type="cpu", enabled=False)
        def f():
            return 1

        assert f() == 1


def test_the_scaler_passes_everything_through():
    class Optimizer:
        steps = 0

        def step(self):
            self.steps += 1

    scaler, optimizer = st.amp.GradScaler(), Optimizer()
    loss = st.tensor(2.0, requires_grad=True)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert optimizer.steps == 1 and loss.grad.item() == 1 and scaler.get_scale() == 1 and scaler.state_dict() == {}
