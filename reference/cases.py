"""The networks that the goldens cover, as `[model]` tables."""

WIRINGS = ["plain", "residual", "highway", "full", "t-only", "c-only"]
DEPTHS = {"conv": 5, "basic": 8, "bottleneck": 11}


def case(name, config, **sample):
    """A network, its samples, and whether the training pass is compared too."""
    usual = {"input": [3, 8, 8], "batch": 3, "classes": 4, "training": True}
    return {"name": name, "config": config} | usual | sample


def grid():
    """Every wiring, body, normalization and order, nothing else decided."""
    for body in ["dense", "conv", "basic", "bottleneck"]:
        for norm in [True, False]:
            for order in ["post", "pre"]:
                for wiring in WIRINGS:
                    name = f"{wiring}, {body}, {'norm' if norm else 'bare'}, {order}"
                    config = {"wiring": wiring, "norm": norm, "order": order}
                    if body == "dense":
                        config |= {"kind": "mlp", "depth": 4, "width": 5}
                        yield case(name, config, input=[2, 3, 3], batch=6)
                    else:
                        config |= {"kind": "resnet", "depth": DEPTHS[body], "width": 2, "body": body}
                        yield case(name, config, input=[2, 8, 8])


def resnet(name, body="basic", n=1, width=2, **config):
    """A small ResNet with an option or two."""
    depth = (DEPTHS[body] - 2) * n + 2
    return case(name, {"kind": "resnet", "depth": depth, "width": width, "body": body} | config)


def mlp(name, **config):
    """A small MLP with an option or two."""
    return case(name, {"kind": "mlp", "depth": 5, "width": 6} | config, input=[2, 3, 3], batch=6)


def gates():
    """Gates of one 1x1 convolution, or of one dense layer."""
    yield mlp("1x1 gates, full, dense, norm", wiring="full", gate="1x1", norm=True)
    yield resnet("1x1 gates, full, basic", wiring="full", gate="1x1")
    yield resnet("1x1 gates, highway, basic, pre", wiring="highway", gate="1x1", order="pre")
    yield resnet("1x1 gates, c-only, bottleneck, bare", "bottleneck", wiring="c-only", gate="1x1", norm=False)


def relus():
    """The place of the last ReLU where it is not the default."""
    for last in ["sum", "h", "none"]:
        for order in ["post", "pre"]:
            for wiring in ["residual", "highway"]:
                yield resnet(f"last ReLU {last}, {wiring}, {order}", wiring=wiring, order=order, last_relu=last)
        yield mlp(f"last ReLU {last}, t-only, dense", wiring="t-only", last_relu=last)
    yield mlp("last ReLU none, plain, dense", wiring="plain", last_relu="none")


def shortcuts():
    """Projections, and stages of more than one block."""
    for norm in [True, False]:
        for order in ["post", "pre"]:
            name = f"{'norm' if norm else 'bare'}, {order}"
            both = {"norm": norm, "order": order, "shortcut": "projection"}
            yield resnet(f"projection, residual, basic, {name}", wiring="residual", **both)
            yield resnet(f"projection, full, conv, {name}", "conv", wiring="full", **both)
            yield resnet(f"projection, highway, bottleneck, {name}", "bottleneck", wiring="highway", **both)
    yield resnet("zero-padding, two blocks a stage, basic", n=2, width=3, wiring="residual")
    yield resnet("zero-padding, odd channels, bottleneck", "bottleneck", width=3, wiring="residual")
    yield resnet("zero-padding, odd channels, 7x7 samples", width=3, wiring="residual") | {"input": [3, 7, 7]}


def sharing():
    """Blocks of one stage with one set of parameters."""
    yield mlp("shared, highway, dense, norm", wiring="highway", norm=True, share_weights=True)
    yield mlp("shared, full, dense", wiring="full", share_weights=True)
    yield resnet("shared, residual, basic", n=3, wiring="residual", share_weights=True)
    yield resnet("shared, highway, basic, pre", n=3, wiring="highway", order="pre", share_weights=True)
    yield resnet("shared, plain, conv", "conv", n=4, wiring="plain", share_weights=True)
    yield resnet("shared, projection, bottleneck", "bottleneck", 3, shortcut="projection", share_weights=True)


def layer_dropout():
    """What networks trained with layer dropout answer; what they drop in training is random."""
    for wiring in WIRINGS:
        yield mlp(f"layer dropout, {wiring}, dense", wiring=wiring, layer_dropout=0.5) | {"training": False}
        name = f"layer dropout, {wiring}, basic"
        small = {"wiring": wiring, "layer_dropout": 0.3, "shortcut": "projection"}
        yield resnet(name, n=2, **small) | {"training": False}
    pre = {"order": "pre", "layer_dropout": 0.5, "shortcut": "projection"}
    yield resnet("layer dropout, highway, basic, pre", wiring="highway", **pre) | {"training": False}


def layouts():
    """The other families of networks."""
    mnist = {"kind": "highway-mnist", "width": 4, "dropout": [0.0]}
    yield case("highway-mnist", mnist, input=[1, 28, 28], batch=2)
    yield case("highway-mnist, plain", mnist | {"wiring": "plain"}, input=[1, 28, 28], batch=2)
    small = {"input": [1, 48, 48]}
    imagenet = {"kind": "imagenet", "width": 2}
    yield case("imagenet-18, residual", imagenet | {"depth": 18}, **small)
    # Gradients through dozens of normalizations of so few samples are mostly rounding: the deepest trains bare.
    yield case("imagenet-50, residual, bare", imagenet | {"depth": 50, "norm": False}, **small)
    for depth in [18, 34, 50]:
        for order in ["post", "pre"]:
            for wiring in ["residual", "highway"]:
                config = imagenet | {"depth": depth, "wiring": wiring, "order": order}
                yield case(f"imagenet-{depth}, {wiring}, {order}", config, **small, training=False)


def everything():
    """All cases; their names differ."""
    groups = [grid, gates, relus, shortcuts, sharing, layer_dropout, layouts]
    found = [one for group in groups for one in group()]
    assert len({one["name"] for one in found}) == len(found)
    return found
