//! Result types and their renderings.
mod result;
pub use result::*;
