//! Opens networks: runs and model files of this crate, PyTorch and safetensors checkpoints, and ONNX files.
//!
//! [`AnyNetwork::open`] opens a path, [`OpenOptions`] adds what the file does not say. Nothing in a file is executed, and
//! no array is ignored silently: the [`LoadReport`] names those that were not used.
//!
//! A checkpoint of another program goes through five steps, a file each:
//!
//! 1. `pytorch` or `safetensors_file` lists its arrays without reading their values (`state_dict`);
//! 2. `find_network` finds the network among them, and `find_head` its classifier;
//! 3. `layout` translates the names into those of this crate;
//! 4. `infer_config` infers the network from their shapes;
//! 5. `apply` reads the values into the network, and reports arrays that do not match.
//!
//! What makes up no network is told by its kind (`file_kinds`): what it is, and the next step.
//!
//! # Examples
//! ```
//! use unrolled::nn::Network;
//! use unrolled::open::{AnyNetwork, OpenOptions};
//!
//! let network = AnyNetwork::open("tests/open/cifar-a.zip.pt")?;
//! println!("{}: {} parameters", network.outline().name, network.outline().parameters);
//!
//! let network = OpenOptions::new().mean([0.5]).std([0.25]).open("tests/onnx/post.onnx")?;
//! assert!(network.is_graph());
//! # Ok::<(), unrolled::Error>(())
//! ```

mod any_network;
mod apply;
mod archive;
mod default_metadata;
mod eval_set;
mod evidence;
mod file_kinds;
mod find_head;
mod find_network;
mod infer_config;
mod layout;
mod load_report;
mod name_map;
mod open_options;
#[cfg(feature = "onnx")]
mod opened_graph;
mod opened_model;
mod option_files;
mod part_numbers;
mod pickle;
mod pytorch;
mod safetensors_file;
mod state_dict;
mod untrained;

pub(crate) use self::any_network::dispatch;
pub use self::any_network::{AnyEstimate, AnyNetwork, is_graph_path};
pub use self::eval_set::{DEFAULT_BATCH, EvalSetOptions};
pub use self::load_report::{LoadReport, OtherArrays, Suggestion, WrongShape};
pub use self::name_map::NameMap;
pub use self::open_options::OpenOptions;
#[cfg(feature = "onnx")]
pub use self::opened_graph::OpenedGraph;
pub use self::opened_model::OpenedModel;
pub use self::option_files::{boundaries_to_toml, read_arch, read_boundaries, read_labels};
pub(crate) use self::safetensors_file::{header as safetensors_header, shard_path};
