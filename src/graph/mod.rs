//! Networks in ONNX files, which are run as graphs.
//!
//! Opening a file takes these steps, a file each:
//!
//! 1. `protobuf` and `raw_graph` read the messages of the file, `linked_graph` connects nodes and values;
//! 2. `find_blocks` finds the blocks with `post_dominators`, and `wiring` reads how each is wired;
//! 3. `partition` cuts the graph at the blocks, `assemble` makes stages of them, `cost` counts parameters and FLOPs,
//!    `source_name` names each block as the exporter did;
//! 4. `answer` says which output holds the answers and what they are; `engine` runs the parts; `network` and `forward` make a [`Network`](crate::nn::Network) of them.
//!
//! Where blocks are removed for good, `remove_blocks` reconnects the values around them, `edit` lists what else is no
//! longer needed, `write` copies the rest of the file, and `external_data` copies arrays that are stored in other files. `fingerprint` identifies a graph by what would be written.

mod answer;
mod assemble;
mod build;
mod cost;
mod edit;
mod engine;
mod external_data;
mod find_blocks;
mod fingerprint;
mod forward;
mod input_chunks;
mod linked_graph;
mod network;
mod partition;
mod post_dominators;
mod protobuf;
mod raw_graph;
mod remove_blocks;
mod source_name;
mod subgraph;
mod wiring;
mod write;

pub use build::find_blocks;
pub use network::Activation;
pub use network::{GraphInput, GraphNetwork};

/// What was read or computed, or one line that says why that is not possible. Callers that know the path of the file add
/// it.
type ParseResult<T> = std::result::Result<T, String>;
