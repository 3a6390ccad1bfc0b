"""Walks routes through a wrapped module by the methods that the compiled half calls. Tests only."""


def route(live, batch, *, skip=(), last=None):
    """Returns the last estimate along a route without the blocks `skip`, and in the stage of `last` without those after it."""
    estimate = live.stem(batch)
    for stage in range(len(live.stages)):
        estimate = live.enter_stage(stage, estimate)
        for block in range(len(live.stages[stage].blocks)):
            beyond = last is not None and stage == last[0] and block > last[1]
            step = live.shortcut if (stage, block) in skip or beyond else live.block
            estimate = step(stage, block, estimate)
    return estimate


def answers(live, batch, **options):
    """Returns the answers `[batch, positions, classes]` along a route."""
    return live.head(route(live, batch, **options))[0]


def ids(live):
    """Returns all blocks as `(stage, block)`."""
    return [(stage, block) for stage in range(len(live.stages)) for block in range(len(live.stages[stage].blocks))]


def estimates(live, batch):
    """Returns, for each stage, the values `[batch, units]` of the estimate that enters its first block and of all blocks."""
    found, estimate = [], live.stem(batch)
    for stage in range(len(live.stages)):
        estimate = live.enter_stage(stage, estimate)
        values = [live.values(estimate)[0]]
        for block in range(len(live.stages[stage].blocks)):
            estimate = live.block(stage, block, estimate)
            values.append(live.values(estimate)[0])
        found.append(values)
    return found
