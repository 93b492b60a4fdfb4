"""A ResNet made ready for inference, with a block of one's own that says how it is fused: latency before and after."""

import spinetail as st
import spinetail.nn as nn


class Gated(nn.Module):
    """x + conv2(silu(conv1(x))), whose last convolution adds x itself once it can."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.act = nn.SiLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.adds = False

    def forward(self, x):
        y = self.act(self.conv1(x))
        return self.conv2(y, x) if self.adds else self.conv2(y) + x

    def to_fused(self):
        self.adds = nn.fused.ready(self.conv2)
        return self


def main():
    st.manual_seed(0)
    model = st.models.resnet18(num_classes=10)
    model.layer4.append(Gated(512))
    model.eval()
    x = st.randn(1, 3, 224, 224)

    folded = st.compress.restructure.fuse(model, x)
    prepared = st.compress.restructure.fuse(model, x, prepare=True)
    models = {"as trained": model, "norms folded": folded, "prepared": prepared}

    with st.inference_mode():
        wanted = model(x)
        for name, each in models.items():
            print(f"{name:13} differs by {(each(x) - wanted).abs().max() / wanted.abs().max():.1g}")
    for name, found in st.evaluate.latency(models, x, repeats=20).items():
        print(f"{name:13} {1e3 * found.p50:6.1f} ms")
    print(prepared.layer4[2])


if __name__ == "__main__":
    main()
