"""What is known of a wrapped module: its sites, blocks and stages, and what stands between them."""

from dataclasses import dataclass, field

import torch

from .layout import Layout


@dataclass(eq=False)
class Site:
    """A call of a submodule that is a block, or the two halves of one."""

    index: int
    stage: int
    module: torch.nn.Module
    name: str
    #: The argument that is the estimate: its position or keyword.
    slot: "int | str"
    #: What the call returned on the example, for its structure.
    template: object
    keeps_shape: bool
    #: Whether the call has arguments that may differ from batch to batch, such as masks.
    has_side_arguments: bool
    #: Whether it returns tensors besides the estimate.
    has_more_outputs: bool
    #: Whether later sites take tensors that this one computes besides the estimate.
    feeds_later_sites: bool
    #: The arguments on the example, without the estimate, where they do not.
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)


@dataclass(eq=False)
class Block:
    """A block of a stage: a site, or one half of a site."""

    site: Site
    name: str
    #: The kind of the shortcut: `identity`, `projection` or `none`.
    shortcut: str
    #: The modules whose parameters are the block's.
    modules: list
    #: Runs one half of the site; None where the block is the whole site.
    half: object = None
    #: Computes the shortcut of a block that changes the shape.
    projection: object = None
    has_skip: bool = True
    flops: int = 0
    body: str = ""


@dataclass(eq=False)
class Stage:
    """A run of successive blocks of one shape."""

    blocks: list
    layout: Layout
    #: The shape of one sample of the estimate that enters, in the order of the layout.
    entering: tuple
    #: Whether nothing stands between the stage before and this one's first block.
    follows_directly: bool = False


@dataclass(eq=False)
class Outside:
    """A call between blocks: of a submodule that neither is a block, nor contains one, nor is inside one."""

    index: int
    module: torch.nn.Module
    #: The number of sites called before.
    after_sites: int


@dataclass(eq=False)
class Plan:
    """The calls of a forward that are intercepted, in order, and the stages they belong to."""

    sites: list
    outside: list
    stages: list
    #: The modules that contain blocks.
    containing: set
    #: Parts that change their input in place, and are given a copy.
    protected: set = field(default_factory=set)

    def first_site(self, stage):
        """Returns the first site of a stage."""
        return next(site for site in self.sites if site.stage == stage)

    def last_site(self, stage):
        """Returns the last site of a stage."""
        return next(site for site in reversed(self.sites) if site.stage == stage)
