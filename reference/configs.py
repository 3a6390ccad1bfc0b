"""The `[model]` table of an experiment file: its defaults, and the depths of the literature."""

DEFAULTS = {
    "mlp": {"depth": 50, "width": 64, "body": "dense", "norm": False, "shortcut": "zero-padding"},
    "resnet": {"depth": 20, "width": 16, "body": "basic", "norm": True, "shortcut": "zero-padding"},
    "imagenet": {"depth": 50, "width": 64, "body": "bottleneck", "norm": True, "shortcut": "projection"},
    "highway-mnist": {"depth": 10, "width": 32, "body": "conv", "norm": False, "shortcut": "zero-padding"},
}
IMAGENET = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}


def complete(config):
    """The configuration with nothing left open."""
    full = {"order": "post", "gate": "body", "layer_dropout": 0.0, "share_weights": False}
    full |= DEFAULTS[config["kind"]]
    full["wiring"] = "highway" if config["kind"] == "highway-mnist" else "residual"
    if config["kind"] == "imagenet" and config.get("depth", 50) < 50:
        full |= {"body": "basic"}
    full |= config
    if "last_relu" not in full:
        if full["order"] == "pre":
            full["last_relu"] = "none"
        elif full["wiring"] in ("plain", "residual"):
            full["last_relu"] = "sum"
        else:
            # Srivastava 2015 has one layer and its ReLU in H; Section 5.1 ends H without one.
            full["last_relu"] = "h" if full["body"] in ("dense", "conv") else "none"
    return full


def block_counts(config):
    """Blocks of each stage for a depth, counted as the literature does."""
    kind, depth = config["kind"], config["depth"]
    if kind == "mlp":
        return [depth - 1]
    if kind == "imagenet":
        return IMAGENET[depth]
    if kind == "highway-mnist":
        return [2, 3, 3]
    layers = {"conv": 1, "basic": 2, "bottleneck": 3}[config["body"]]
    return [(depth - 2) // (3 * layers)] * 3
