//! Networks in ONNX files, which are run as graphs.
//!
//! Opening a file (`build`) takes these steps; the files of each are named:
//!
//! 1. `protobuf`, `raw_graph` and `declaration` read the messages of the file, `node_order` sorts the nodes, `linked_graph`
//!    connects nodes and values, `sizes` refuses values that could take more
//!    memory than a file may ask for;
//! 2. `find_blocks` finds the blocks with `post_dominators`, `views` tells which values hold the same numbers, and `wiring`
//!    reads how each block is wired; `bypass` says why there are none;
//! 3. `partition` cuts the graph at the blocks, `probe` runs it once for its shapes, with sizes from `free_sides`;
//! 4. `assemble` makes stages of the blocks, `layout` relates their estimates, `cost` counts parameters and FLOPs with
//!    `layers` and `flops`, `source_name` names each block as the exporter did;
//! 5. `answer` says which output holds the answers and what they are, `mask_input` which input says where they count, `engine`
//!    runs the parts, with the attributes that `attribute_defaults` adds; `network` and `forward` make a
//!    [`Network`](crate::nn::Network) of them;
//! 6. `use_kernels` has the kernels compute the parts of a network of convolutions, each of which is a `program` then; an
//!    `estimate_chunk` holds the estimates of some samples for either.
//!
//! `input_chunks` cuts samples into the batches that a file fixes, and `subgraph` says which nodes stand between two values.
//!
//! Where blocks are removed for good, `removable` says which can be, `remove_blocks` reconnects the values around them, `edit` lists
//! what else is no longer needed, `write` copies the rest of the file, and `external_data` copies arrays that are stored in other
//! files; `slimmed_file` makes the file of these, and opens it again.
//! `fingerprint` identifies a graph by what would be written.

mod answer;
mod assemble;
mod attribute_defaults;
mod build;
mod bypass;
mod cost;
mod declaration;
mod edit;
mod engine;
mod estimate_chunk;
mod external_data;
mod find_blocks;
mod fingerprint;
mod flops;
mod forward;
mod free_sides;
mod input_chunks;
mod layers;
mod layout;
mod linked_graph;
mod mask_input;
mod network;
mod node_order;
mod partition;
mod post_dominators;
mod probe;
mod program;
mod protobuf;
mod raw_graph;
mod removable;
mod remove_blocks;
mod sizes;
mod slimmed_file;
mod source_name;
mod subgraph;
mod use_kernels;
mod views;
mod wiring;
mod write;

pub use build::find_blocks;
pub use network::Activation;
pub use network::{GraphInput, GraphNetwork};

/// What was read or computed, or one line that says why that is not possible. Callers that know the path of the file add
/// it.
type ParseResult<T> = std::result::Result<T, String>;
